"""A controller's release side for tests: real gRPC over real mTLS, real gatekeeper, services and source folder."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import structlog.testing
from grpc import aio

from sopwith.v1 import release_service_pb2_grpc
from sopwith_certs.authority import Authority, Subject, certificate_pem
from sopwith_certs.identity import Kind
from sopwith_certs.signing import new_key, save_private_key
from sopwith_controller.adapters.clock import SystemClock
from sopwith_controller.adapters.source.folder_source import FolderSource
from sopwith_controller.api.interceptors import Gatekeeper
from sopwith_controller.api.release_api import ReleaseApi
from sopwith_controller.desk.context import Context, write_context
from sopwith_controller.services.access import Access
from sopwith_controller.services.refusals import Refusals
from sopwith_controller.services.releases import Releases
from tests.builders import computer, person
from tests.certs.fleet import TRUST_DOMAIN, now, pair
from tests.fakes.database import FakeDatabase
from tests.fakes.log_signer import FakeLogSigner


class Told:
    """The one thing of the live streams that releases use."""

    def __init__(self) -> None:
        self.designations = 0

    async def designate_source(self) -> None:
        self.designations += 1


@dataclass
class ReleasePort:
    """The running side, and ways to look into it."""

    address: str
    data: Path
    database: FakeDatabase
    told: Told
    loop: asyncio.AbstractEventLoop
    issuer: Authority
    source: FolderSource

    def ask(self, work: Any) -> Any:
        """Run a coroutine where the server runs."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def log_kinds(self) -> list[str]:
        async def read() -> list[str]:
            async with self.database.read() as unit:
                return [row.kind for row in await unit.update_log.entries(0, 1000)]

        kinds: list[str] = self.ask(read())
        return kinds

    def context(self, folder: Path, name: str) -> Path:
        """Lay a person's context."""
        folder.mkdir(exist_ok=True)
        key = new_key()
        certificate = self.issuer.issue(key.public_key(), Subject(Kind.PERSON, f"p-{name}"), now())
        save_private_key(folder / f"{name}.key.pem", key)
        (folder / f"{name}.certificate.pem").write_bytes(certificate_pem(certificate))
        (folder / "ca.pem").write_bytes(self.issuer.trust_bundle_pem)
        made = Context(
            path=folder / f"{name}.toml",
            organization="Example",
            trust_domain=TRUST_DOMAIN,
            person=name,
            fleet_address=self.address,
            web_address="127.0.0.1:7445",
            ca_fingerprint=self.issuer.fingerprint,
            trust_bundle="file:ca.pem",
            certificate=f"file:{name}.certificate.pem",
            key=f"file:{name}.key.pem",
        )
        write_context(made)
        return made.path


PEOPLE = {"owner": ("owner",), "operator": ("operator", "release_manager"), "manager": ("it_manager",)}


@cache
def _server_loop() -> asyncio.AbstractEventLoop:
    """The one loop of all these servers: gRPC binds its poller to the loops that it meets, and keeps them."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


@contextmanager
def release_port(issuer: Authority, data: Path) -> Iterator[ReleasePort]:
    """Serve until the block ends."""
    loop = _server_loop()
    told, clock = Told(), SystemClock()
    database = FakeDatabase(clock, FakeLogSigner())
    source = FolderSource(data / "source", clock)
    gateway: Any = told

    async def begin() -> tuple[aio.Server, int]:
        async with database.write() as unit:
            for name, roles in PEOPLE.items():
                await unit.people.put(person(name, roles=roles, state="ACTIVE"))
            await unit.computers.put(computer("pc1"))
            await unit.commit()
        access = Access(database)
        await access.load()
        releases = Releases(database, clock, source, gateway, changed=lambda: None)
        server = aio.server(interceptors=[Gatekeeper(access, TRUST_DOMAIN, Refusals(database))])
        api = ReleaseApi(releases, metadata_url="https://h/m/", files_url="https://h/t/")
        release_service_pb2_grpc.add_ReleaseServiceServicer_to_server(api, server)
        shown = pair(issuer, Kind.CONTROLLER, "controller-1")
        credentials = grpc.ssl_server_credentials(
            [(shown.key_pem, shown.certificate_pem)], issuer.trust_bundle_pem, require_client_auth=True
        )
        port = server.add_secure_port("127.0.0.1:0", credentials)
        await server.start()
        return server, port

    server, port = asyncio.run_coroutine_threadsafe(begin(), loop).result(20)
    try:
        with structlog.testing.capture_logs():  # the command line runs in this process and has stdout for itself
            yield ReleasePort(f"127.0.0.1:{port}", data, database, told, loop, issuer, source)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(0), loop).result(20)
        asyncio.run_coroutine_threadsafe(database.close(), loop).result(20)
