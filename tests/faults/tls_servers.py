"""A source behind TLS, and a proxy that tunnels to it: real sockets on loopback under names that are not loopback's."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import trustme

from tests.faults.hostile_source import HostileServer, SourceRepository, serving

HOST = "updates.example"


@dataclass
class Tunnels:
    """A proxy; `asked` holds what it was asked, header by header."""

    port: int
    asked: list[str] = field(default_factory=list)
    refuses: str = ""
    """A status line to answer with instead of opening a tunnel."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def proxy_to(port: int) -> Iterator[Tunnels]:
    """Run a proxy that connects every tunnel to one port of this computer, whatever name it was asked for."""
    listener = socket.create_server(("127.0.0.1", 0))
    tunnels = Tunnels(listener.getsockname()[1])
    open_sockets: list[socket.socket] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                open_sockets.append(client)
                threading.Thread(target=_tunnel, args=(client, tunnels, port, open_sockets), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield tunnels
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for each in open_sockets:
            each.close()
        thread.join()


def _tunnel(client: socket.socket, tunnels: Tunnels, port: int, open_sockets: list[socket.socket]) -> None:
    with contextlib.suppress(OSError):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(1024)
            if not piece:
                return
            head += piece
        tunnels.asked.append(head.decode())
        if tunnels.refuses:
            client.sendall(f"HTTP/1.1 {tunnels.refuses}\r\nContent-Length: 0\r\n\r\n".encode())
            client.close()
            return
        server = socket.create_connection(("127.0.0.1", port))
        open_sockets.append(server)
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=_pump, args=(server, client), daemon=True).start()
        _pump(client, server)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    for each in (source, target):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def serving_tls(repository: SourceRepository, authority: trustme.CA) -> Iterator[HostileServer]:
    """Serve a repository by https under HOST and localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST, "localhost", "127.0.0.1").configure_cert(context)
    with serving(repository, context) as server:
        yield server
