"""How long the agent takes for 256 MiB over TLS, verified and flushed, beside curl, and curl followed by sha256sum.

One server on loopback serves all three, in turns, so that only what stands at the client's end differs. Both of curl's
runs write the file as the agent does; neither flushes it to the disk, which the agent has to. The agent's clock starts
in a Python that has loaded its modules, because an agent that downloads has run for long; what a start would add is
told beside it.
"""

import hashlib
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme
from bench.measure import Line, best_seconds

SIZE = 256 * 2**20
LIMIT_CURL, LIMIT_CURL_AND_SUM = 1.5, 0.6
RUNS = 5


def lines() -> list[Line]:
    """Measure all three."""
    what = "download and verify 256 MiB over TLS"
    if not shutil.which("curl") or not shutil.which("sha256sum"):
        return [Line(what, "skipped", f"{LIMIT_CURL} x curl", beside="because curl or sha256sum is missing")]
    with tempfile.TemporaryDirectory() as folder, _served(Path(folder)) as (url, authority):
        into = Path(folder) / "got"
        curl = ["curl", "-s", "--cacert", str(authority), "-o", str(into), f"{url}/file"]
        alone = summed = ours = started = float("inf")
        for _ in range(RUNS):
            alone = min(alone, _seconds(lambda: subprocess.run(curl, check=True), into))
            summed = min(summed, _seconds(lambda: _then_sum(curl, into), into))
            whole = _seconds(lambda: _fetch(url, authority, Path(folder), into), into)
            fetched = float((Path(folder) / "seconds").read_text())
            ours, started = min(ours, fetched), min(started, whole - fetched)
    told = f"curl: {alone:.2f} s; curl then sha256sum: {summed:.2f} s; a start of Python: {started:.2f} s more"
    return [
        Line(
            f"{what}, by curl alone",
            f"{ours / alone:.2f} x ({ours:.2f} s)",
            f"{LIMIT_CURL} x",
            ours / alone / LIMIT_CURL,
            told,
        ),
        Line(
            f"{what}, by curl then sha256sum",
            f"{ours / summed:.2f} x",
            f"{LIMIT_CURL_AND_SUM} x",
            ours / summed / LIMIT_CURL_AND_SUM,
            told,
        ),
    ]


def _seconds(work: Callable[[], object], into: Path) -> float:
    into.unlink(missing_ok=True)
    return best_seconds(work, 1)


def _then_sum(curl: list[str], into: Path) -> None:
    subprocess.run(curl, check=True)
    subprocess.run(["sha256sum", into], check=True, stdout=subprocess.DEVNULL)


def _fetch(url: str, authority: Path, folder: Path, into: Path) -> None:
    program = [sys.executable, "-m", "bench.download", url, str(authority), str(folder), str(into)]
    subprocess.run(program, check=True)


def _fetch_here(url: str, authority: str, folder: str, into: str) -> None:
    """Download as the agent does, in a process of its own as curl is."""
    from tuf.api.metadata import TargetFile

    from sopwith_agent.adapters.source_download import Downloader
    from sopwith_agent.adapters.source_transport import Transport

    digest = (Path(folder) / "digest").read_text()
    target = TargetFile(SIZE, {"sha256": digest}, "file")
    with Transport(Path(authority)) as transport:
        downloader = Downloader(transport, f"{url}/", Path(folder) / "parts", hash_prefixed=False)
        begun = time.perf_counter()
        downloader.fetch(target, Path(into), lambda _done, _total: None, lambda: False)
    (Path(folder) / "seconds").write_text(str(time.perf_counter() - begun))


class _Handler(BaseHTTPRequestHandler):
    content = b""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.send_header("ETag", '"1"')
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _served(folder: Path) -> Iterator[tuple[str, Path]]:
    piece = os.urandom(2**20)
    _Handler.content = piece * (SIZE // len(piece))
    (folder / "digest").write_text(hashlib.sha256(_Handler.content).hexdigest())
    authority, path = trustme.CA(), folder / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}", path
    finally:
        server.shutdown()
        server.server_close()
        _Handler.content = b""


if __name__ == "__main__":
    _fetch_here(*sys.argv[1:])
