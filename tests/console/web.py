"""A controller's web port for tests: the real application on real HTTPS over loopback, over fakes that work."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sopwith_certs.authority import Authority
from sopwith_certs.identity import Kind
from sopwith_certs.renewal import write_pair
from sopwith_controller.adapters.clock import SystemClock
from sopwith_controller.adapters.ids import RandomIds
from sopwith_controller.adapters.issuer import BuiltInIssuer
from sopwith_controller.console.application import create_app
from sopwith_controller.console.signing import SigningRoutes
from sopwith_controller.console.source_files import SourceFolder
from sopwith_controller.console.web_server import WebServer
from sopwith_controller.domain.entities import Person, Settings, Token
from sopwith_controller.services.access import Access
from sopwith_controller.services.enrolment import Enrolment
from sopwith_formats.join import Join
from tests.certs.fleet import TRUST_DOMAIN, authority, pair
from tests.fakes.database import FakeDatabase
from tests.fakes.log_signer import FakeLogSigner

SECRET = "a-secret-of-a-token"


class StaticTrust:
    """Fills the port `Trust` from an authority."""

    def __init__(self, issuer: Authority) -> None:
        self._issuer = issuer
        self.fleet_address = "127.0.0.1:7443"

    def trust_bundle_pem(self) -> bytes:
        return self._issuer.trust_bundle_pem

    def directions(self) -> dict[str, str]:
        return {
            "fleet_address": self.fleet_address,
            "trust_domain": TRUST_DOMAIN,
            "log_key": "example.test+00000000+AAAA",
            "warrant_keys_pem": "",
            "trust_bundle_pem": self._issuer.trust_bundle_pem.decode(),
            "controller_name": "Example",
        }


class Web:
    """What a test asks of the running web port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.issuer = authority()
        self.clock = SystemClock()
        self.database: Any = FakeDatabase(self.clock, FakeLogSigner())
        self.access = Access(self.database)
        self.enrolment = Enrolment(self.database, BuiltInIssuer(self.issuer), self.clock, RandomIds(), self.access)
        self.trust = StaticTrust(self.issuer)
        self.port = 0

    def join(self, **changes: Any) -> Join:
        return replace(Join("127.0.0.1", self.port, self.issuer.fingerprint, token=SECRET), **changes)

    async def token(self, secret: str = SECRET, **changes: Any) -> None:
        now = datetime.now(UTC)
        token = Token(
            id=f"t-{secret}",
            secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
            kind="computer",
            person_id="",
            labels={},
            uses_left=1,
            expires_time=now + timedelta(hours=1),
            created_by="owner",
            created_time=now,
        )
        await self.put("tokens", replace(token, **changes))

    async def invitation(self, name: str, role: str) -> None:
        await self.put("people", Person(f"p-{name}", name, (role,), state="INVITED"))
        await self.token(kind="person", person_id=f"p-{name}")

    async def put(self, repository: str, entity: Any) -> None:
        async with self.database.write() as unit:
            await unit.put_settings(Settings("Example", TRUST_DOMAIN, "standard", "k", self.clock.now()))
            await getattr(unit, repository).put(entity)
            await unit.commit()

    async def computers(self) -> Any:
        async with self.database.read() as unit:
            return await unit.computers.all()


@asynccontextmanager
async def web_port(
    folder: Path, shown: Authority | None = None, address: str = "127.0.0.1", signing: SigningRoutes | None = None
) -> AsyncIterator[Web]:
    """Serve; `shown` is another authority whose certificate the server shows, `address` what it names."""
    web = Web(folder)
    write_pair(folder / "server", pair(shown or web.issuer, Kind.CONTROLLER, "controller-1", address=address))
    (folder / "source" / "metadata").mkdir(parents=True)
    (folder / "source" / "targets").mkdir()
    app = create_app(enrolment=web.enrolment, source=SourceFolder(folder / "source"), trust=web.trust, signing=signing)
    server = WebServer(app, folder / "server", "127.0.0.1", 0, certificate_look_seconds=0.02)
    web.port = await server.start()
    try:
        yield web
    finally:
        await server.stop()
