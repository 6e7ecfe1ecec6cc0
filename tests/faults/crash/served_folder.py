"""Serves a folder over HTTP with ranges, from a process of its own: forks of the harness then share no thread with it.

Usage: python -m tests.faults.crash.served_folder FOLDER. Prints its port, ends with its standard input.
"""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.faults.answers import serve_honestly


def main() -> None:
    folder = Path(sys.argv[1])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_GET(self) -> None:
            path = folder / self.path.lstrip("/")
            serve_honestly(self, path.read_bytes() if path.is_file() else None)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class names it so
            """Nobody reads it."""

    class Listener(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that dies is what is tested."""

    server = Listener(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
