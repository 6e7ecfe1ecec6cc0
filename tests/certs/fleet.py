"""A throw-away fleet for tests: an authority, pairs of each kind, and real TLS handshakes over loopback."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import grpc

from sopwith_certs.authority import Authority, Subject, certificate_pem
from sopwith_certs.credentials import server_credentials
from sopwith_certs.identity import Kind
from sopwith_certs.pair import Pair
from sopwith_certs.renewal import write_pair
from sopwith_certs.signing import new_key, private_key_pem

TRUST_DOMAIN = "example.test"
ECHO = "/test.Echo/Echo"

Answer = Callable[[bytes, grpc.aio.ServicerContext[bytes, bytes]], Awaitable[bytes]]


def now() -> datetime:
    return datetime.now(UTC)


def authority(at: datetime | None = None) -> Authority:
    return Authority.create("Example", TRUST_DOMAIN, at or now())


def pair(
    issuer: Authority, kind: Kind, identifier: str, at: datetime | None = None, address: str = "127.0.0.1"
) -> Pair:
    key = new_key()
    serves = kind is Kind.CONTROLLER
    subject = Subject(kind, identifier, ("localhost",) if serves else (), (address,) if serves else ())
    certificate = issuer.issue(key.public_key(), subject, at or now())
    return Pair(private_key_pem(key), certificate_pem(certificate))


def lay_server(folder: Path, issuer: Authority) -> tuple[Path, Path]:
    """Write a controller's pair and bundle; return both places."""
    write_pair(folder / "server", pair(issuer, Kind.CONTROLLER, "controller-1"))
    (folder / "bundle.pem").write_bytes(issuer.trust_bundle_pem)
    return folder / "server", folder / "bundle.pem"


@asynccontextmanager
async def serving(pair_folder: Path, bundle: Path, answer: Answer) -> AsyncIterator[str]:
    """Serve one echo method with our credentials; give the address."""
    server = grpc.aio.server()
    method: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", {"Echo": method}),))
    port = server.add_secure_port("127.0.0.1:0", server_credentials(pair_folder, bundle))
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


async def call(address: str, credentials: grpc.ChannelCredentials, message: bytes = b"hello") -> bytes:
    async with grpc.aio.secure_channel(address, credentials) as channel:
        echo: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(ECHO)
        return await echo(message, timeout=5)
