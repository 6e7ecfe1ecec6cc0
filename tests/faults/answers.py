"""Answers of an HTTP server, honest and hostile: what the servers of the fault tests say to one GET."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

Behaviour = Callable[[BaseHTTPRequestHandler], None]


def serve_honestly(handler: BaseHTTPRequestHandler, content: bytes | None, *, etag: str = "") -> None:
    if content is None:
        return send(handler, 404, b"nothing here")
    first = handler.headers.get("Range")
    if first:
        offset = int(first.removeprefix("bytes=").rstrip("-"))
        content_range = f"bytes {offset}-{len(content) - 1}/{len(content)}"
        return send(handler, 206, content[offset:], {"Content-Range": content_range, "ETag": etag})
    return send(handler, 200, content, {"ETag": etag})


def send(
    handler: BaseHTTPRequestHandler,
    status: int,
    content: bytes,
    headers: dict[str, str] | None = None,
    *,
    announce: int = -1,
) -> None:
    """Answer; an announced length other than the content's breaks the connection off after the content."""
    handler.send_response(status)
    for name, value in (headers or {}).items():
        if value:
            handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(content) if announce < 0 else announce))
    handler.end_headers()
    handler.wfile.write(content)
    if announce >= 0 and announce != len(content):
        handler.close_connection = True


def pour_endlessly(handler: BaseHTTPRequestHandler) -> None:
    """Send a body without announced length that never ends."""
    handler.send_response(200)
    handler.end_headers()
    handler.close_connection = True
    while True:
        handler.wfile.write(b"x" * 65536)


def drip(content: bytes, *, pause: float = 0.05) -> Behaviour:
    """Send one byte at a time."""

    def behave(handler: BaseHTTPRequestHandler) -> None:
        stop = threading.Event()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        for index in range(len(content)):
            handler.wfile.write(content[index : index + 1])
            stop.wait(pause)

    return behave


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    """Send an endless header, one byte at a time."""
    stop = threading.Event()
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        handler.wfile.write(b"x")
        stop.wait(0.05)
