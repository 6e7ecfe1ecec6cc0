"""The HTTPS server of the web port: starting, stopping, and a renewed certificate without a restart.

This module decides how the application is served; what it answers is the application's. It leaves signals to whoever
runs the process, and tells the port that it really got.

Rules: TLS 1.2 at least; no client certificate, the web port serves those who have none yet; the certificate is taken
from a pair folder and taken again when a new generation lies there; one that cannot be used leaves the last good one in
force; no header names the server's software.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import structlog
import uvicorn
from starlette.types import ASGIApp

from sopwith_certs.pair import CERTIFICATE_FILE, KEY_FILE, generation
from sopwith_certs.renewal import read_pair
from sopwith_formats.errors import FormatError

CERTIFICATE_LOOK_SECONDS = 5.0
STOP_SECONDS = 5
_BACKLOG = 1024

_log = structlog.get_logger()


class WebServer:
    """One application on one address."""

    def __init__(
        self,
        app: ASGIApp,
        pair_folder: Path,
        host: str,
        port: int,
        *,
        certificate_look_seconds: float = CERTIFICATE_LOOK_SECONDS,
    ) -> None:
        self._app = app
        self._pair_folder = pair_folder
        self._host = host
        self._port = port
        self._look_seconds = certificate_look_seconds
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.set_alpn_protocols(["http/1.1"])
        self._loaded: Path | None = None
        self._server: _Server | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> int:
        """Listen and serve; return the port. Raises OSError when the address is taken, FormatError for a bad pair."""
        self._load()
        listener = _listen(self._host, self._port)
        config = uvicorn.Config(
            self._app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        config.load()
        config.ssl = self._context
        self._server = _Server(config)
        serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        self._tasks = [serving, asyncio.create_task(self._follow_certificate())]
        listening = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({serving, listening}, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if serving.done():
            await self.stop()
            await serving
        return int(listener.getsockname()[1])

    async def stop(self) -> None:
        """Take no new connection, let answers under way end for some seconds, then close everything."""
        if self._server is None:
            return
        self._server.should_exit = True
        serving, following = self._tasks
        following.cancel()
        await asyncio.gather(serving, following, return_exceptions=True)
        self._server = None

    async def _follow_certificate(self) -> None:
        while True:
            await asyncio.sleep(self._look_seconds)
            if generation(self._pair_folder) == self._loaded:
                continue
            try:
                self._load()
            except (OSError, FormatError) as error:
                _log.error("web_certificate_refused", error=str(error))
            else:
                _log.info("web_certificate_changed")

    def _load(self) -> None:
        # Remembered first: a pair that cannot be used is not tried again until another one lies there.
        self._loaded = generation(self._pair_folder)
        read_pair(self._pair_folder)
        self._context.load_cert_chain(self._loaded / CERTIFICATE_FILE, self._loaded / KEY_FILE)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell when the first connection can come."""
        await super().startup(sockets=sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the process: it drains the fleet port too."""
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.settimeout(0)
    return listener
