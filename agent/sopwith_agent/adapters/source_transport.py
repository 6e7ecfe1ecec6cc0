"""One GET from a source that may be hostile: where it may go, how long it may take, how little it may trickle.

This module decides which addresses are asked and when a transfer is broken off; what the bytes mean, and how many of
them are wanted, is left to the metadata fetcher and the downloader.

Rules: https, or plain http to a loopback address only; the server is verified against the fleet's authority where one
is given, else against the system's; a proxy sees a tunnel and nothing in it; a redirect is followed only within the
same origin; no content encoding; what looks like the log-in page of a network is named as that; every transfer ends by
its deadline and keeps a floor rate, headers and chunk frames included (`source_watch`).
"""

import contextlib
import ssl
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Url, parse_url

from sopwith_agent.adapters.proxies import Proxy, ProxyChoice, is_loopback
from sopwith_agent.adapters.source_watch import TransferLimits, TransferWatch
from sopwith_agent.domain.errors import StepError
from sopwith_formats.vocabulary import Symptom

REDIRECTS_MAX = 3
PORTAL_REMEDY = "log in to the network: a captive portal or an inspecting proxy answers like this"
GATHER_SECONDS = 0.1
_RECORD_BYTES = 16 * 2**10
"""What one read of a TLS connection gives at most; asking for more makes Python reserve it each time."""
_NETWORK_LOG_IN = 511
_NETWORK = (ConnectionError, TimeoutError, ssl.SSLError)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class TransferError(StepError):
    """A transfer did not come to its end; nothing is known against the content, so it may be tried again."""

    def __init__(self, message: str, *, remedy: str = "", final: bool = False) -> None:
        super().__init__(Symptom.NET_SOURCE_UNREACHABLE, message, remedy=remedy, final=final)


def check_address(url: str) -> Url:
    """Return the parts of an address that may be asked; raise StepError for any other."""
    try:
        parts = parse_url(url)
    except LocationParseError as error:
        raise TransferError(f"{url!r} is no address", remedy="write https://HOST:PORT/path/") from error
    if parts.host and parts.auth is None:
        if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.host)):
            return parts
        if parts.scheme == "http":
            raise TransferError(f"{url} is plain http", remedy="use https; plain http is for loopback addresses only")
    raise TransferError(
        f"{url!r} is no address of a source", remedy="write https://HOST:PORT/path/, without a password"
    )


class Transport:
    """Asks one origin at a time over a kept connection; not for several threads at once."""

    def __init__(
        self,
        authority: Path | None = None,
        limits: TransferLimits | None = None,
        proxies: ProxyChoice | None = None,
        *,
        public: bool = False,
    ) -> None:
        """`public`: a server that the system's authorities vouch for is believed too, as a mirror may be one."""
        self.limits = limits or TransferLimits()
        self._authority = authority
        self._proxies = proxies or ProxyChoice()
        self._public = public
        self._connection: HTTPConnection | None = None
        self._origin: tuple[str | None, str | None, int | None] = (None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def get(self, url: str, headers: Mapping[str, str] | None = None, *, deadline: float) -> Iterator["Answer"]:
        """Ask for one address and give the answer while its body is read; `deadline` is a monotonic time.

        Any answer is given, whatever its status: what a status means is the caller's matter.
        """
        parts = check_address(url)
        for _ in range(REDIRECTS_MAX + 1):
            with self._answer(parts, headers or {}, deadline) as answer:
                if answer.status not in _REDIRECTS:
                    yield answer
                    return
                parts = self._next_address(parts, answer)
        raise TransferError(f"{url} is redirected more than {REDIRECTS_MAX} times")

    def _next_address(self, parts: Url, answer: "Answer") -> Url:
        target = urljoin(parts.url, answer.header("Location"))
        try:
            following = parse_url(target)
        except LocationParseError as error:
            raise TransferError(f"{parts.url} redirects to {target!r}, which is no address") from error
        if _origin(following) != _origin(parts):
            raise TransferError(
                f"{parts.url} redirects to another origin ({target!r}); this is not followed",
                remedy=f"name the source's own address; or {PORTAL_REMEDY}",
            )
        return check_address(target)

    @contextlib.contextmanager
    def _answer(self, parts: Url, headers: Mapping[str, str], deadline: float) -> Iterator["Answer"]:
        watch = TransferWatch(self.limits, deadline)
        answer: Answer | None = None
        try:
            response = self._ask(parts, headers, watch)
            answer = Answer(response, watch, parts.url)
            yield answer
        except (HTTPError, HTTPException, OSError) as error:
            if isinstance(error, OSError) and not isinstance(error, (HTTPError, *_NETWORK)):
                raise  # the caller's own disk
            raise TransferError(f"{parts.url}: {watch.reason or _plain(error)}") from error
        finally:
            watch.stop()
            if answer is None or not answer.reusable:
                self.close()
            if answer is not None:
                answer.close()

    def _ask(self, parts: Url, headers: Mapping[str, str], watch: "TransferWatch") -> BaseHTTPResponse:
        kept = self._connection is not None and self._origin == _origin(parts) and self._connection.is_connected
        if kept:
            try:
                return self._send(parts, headers, watch)
            except (HTTPError, HTTPException, OSError):
                # A kept connection may end between two requests; a fresh one decides.
                if watch.reason:
                    raise
        self._connect(parts)
        return self._send(parts, headers, watch)

    def _connect(self, parts: Url) -> None:
        self.close()
        host = (parts.host or "").strip("[]")
        connection: HTTPConnection
        proxy = self._proxies.proxy_for(host) if parts.scheme == "https" else None
        if parts.scheme == "https":
            connection = self._tls_connection(host, parts.port, proxy)
        else:
            connection = HTTPConnection(host, parts.port, timeout=self.limits.connect_timeout_seconds)
        try:
            connection.connect()
        except (HTTPError, OSError) as error:
            connection.close()
            through = f" through the proxy {proxy}" if proxy else ""
            remedy = _connect_remedy(error)
            raise TransferError(f"{parts.url}{through}: {_plain(error)}", remedy=remedy) from error
        self._connection, self._origin = connection, _origin(parts)

    def _tls_connection(self, host: str, port: int | None, proxy: Proxy | None) -> HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self._authority) if self._authority else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self._public and self._authority:
            context.load_default_certs()
        seconds = self.limits.connect_timeout_seconds
        if proxy is None:
            return HTTPSConnection(host, port, timeout=seconds, ssl_context=context)
        connection = HTTPSConnection(proxy.host, proxy.port, timeout=seconds, ssl_context=context)
        connection.set_tunnel(host, port or 443, headers=proxy.headers, scheme="http")
        return connection

    def _send(self, parts: Url, headers: Mapping[str, str], watch: "TransferWatch") -> BaseHTTPResponse:
        connection = self._connection
        if connection is None or connection.sock is None:
            raise ConnectionError("the connection is closed")
        connection.timeout = self.limits.window_seconds
        connection.sock.settimeout(self.limits.window_seconds)
        watch.start(connection.sock)
        with watch.reading():
            connection.request(
                "GET",
                parts.request_uri,
                headers={"Accept-Encoding": "identity", "User-Agent": "sopwith-agent", **headers},
                preload_content=False,
                decode_content=False,
                enforce_content_length=False,
            )
            return connection.getresponse()


class Answer:
    """A server's answer whose body is read piece by piece, under watch."""

    def __init__(self, response: BaseHTTPResponse, watch: "TransferWatch", url: str) -> None:
        self._response = response
        self._watch = watch
        self._url = url
        self._received = 0
        self._ended = False
        self._failure: Exception | None = None
        self.status = response.status
        length = self.header("Content-Length")
        self.content_length = int(length) if length.isascii() and length.isdigit() else None
        """How many bytes the server announces, None when it does not; read once, because each piece is counted."""
        if self.status == _NETWORK_LOG_IN:
            raise TransferError(f"{url}: the network wants a log-in first (status 511)", remedy=PORTAL_REMEDY)
        encoding = self.header("Content-Encoding").lower()
        if encoding not in ("", "identity"):
            raise TransferError(f"{url} answers with the content encoding {encoding!r}, which was not asked for")

    def header(self, name: str) -> str:
        """Return a header's text, empty when it is absent."""
        return str(self._response.headers.get(name, ""))

    @property
    def is_page(self) -> bool:
        """Tell whether the server calls its body a web page."""
        return self.header("Content-Type").lower().strip().startswith(("text/html", "application/xhtml"))

    def hold_back(self, buffer_bytes: int) -> None:
        """Let the system take in no more than this ahead of the reader, so that a slow reader slows the sender."""
        self._watch.hold_back(buffer_bytes)

    @property
    def framed(self) -> bool:
        """Tell whether the end of the body is marked, so that an early end is known from a whole body."""
        return self.content_length is not None or "chunked" in self.header("Transfer-Encoding").lower()

    @property
    def reusable(self) -> bool:
        """Tell whether the connection may carry another request."""
        return self._ended and self.content_length is not None and self.header("Connection").lower() != "close"

    def close(self) -> None:
        """Let the server's socket go; a response that ends with its connection holds it beyond the connection."""
        self._response.close()

    def read(self, amount: int) -> bytes:
        """Return what comes, at most `amount` bytes, waiting for at least one; nothing at the end of the body.

        Records are gathered for a moment, because what is done for each call costs more than a record does. What came
        before a failure is given first.
        """
        if self._ended:
            return b""
        with self._watch.reading():
            piece = self._gather(amount)
        if self._failure is None:
            self._watch.check()
        elif not piece:
            raise self._failure
        self._received += len(piece)
        announced = self.content_length
        if not piece:
            self._ended = True
            if announced is not None and self._received < announced:
                raise ConnectionError(f"the connection ended after {self._received} of {announced} bytes")
            if self._watch.reason:
                raise ConnectionError(self._watch.reason)
        elif announced is not None and self._received >= announced:
            self._ended = True
        return piece

    def _gather(self, amount: int) -> bytes:
        if self._failure:
            return b""
        read, progressed, records, missing = self._response.read1, self._watch.progressed, [], amount
        if self.content_length is not None:
            missing = min(missing, max(1, self.content_length - self._received))
        until = time.monotonic() + GATHER_SECONDS
        try:
            while record := read(min(missing, _RECORD_BYTES), decode_content=False):
                progressed(len(record))
                records.append(record)
                missing -= len(record)
                if not missing or time.monotonic() > until:
                    break
        except (HTTPError, HTTPException, OSError) as error:
            self._failure = error
        return records[0] if len(records) == 1 else b"".join(records)

    def more_follows(self, patience_seconds: float) -> bool:
        """Tell whether the body goes on after what was read; a server that stays silent has no more to say."""
        if self._ended:
            return False
        self._watch.be_patient_for(patience_seconds)
        try:
            return bool(self._response.read1(1, decode_content=False))
        except (HTTPError, HTTPException, OSError):
            return False


def _origin(parts: Url) -> tuple[str | None, str | None, int | None]:
    return parts.scheme, parts.host, parts.port or {"http": 80, "https": 443}.get(parts.scheme or "")


def _plain(error: BaseException) -> str:
    """Return one line for people, without the library's object names."""
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {getattr(error, 'verify_message', '') or error.reason or 'handshake'}"
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return "the host's name cannot be resolved"
    if isinstance(error, (TimeoutError, urllib3.exceptions.TimeoutError)):
        return "no answer in time"
    cause = error.__cause__ if isinstance(error, urllib3.exceptions.NewConnectionError) else error
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return " ".join(str(error).split())[:200] or type(error).__name__


def _connect_remedy(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return f"give the authority's certificate, or correct this computer's clock; or {PORTAL_REMEDY}"
    return "check the address and the network"
