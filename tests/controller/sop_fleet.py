"""A controller's SOP use cases over the fake database, with three real people and their real keys."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sopwith_certs.signing import PrivateKey, fingerprint, new_key, public_key_pem
from sopwith_certs.statements import sign_statement
from sopwith_controller.adapters.ids import RandomIds
from sopwith_controller.adapters.sop_reader import StrictSopReader
from sopwith_controller.domain.entities import Person, SopRevision
from sopwith_controller.services.access import Caller
from sopwith_controller.services.ports import Database
from sopwith_controller.services.signing_links import SigningLinks
from sopwith_controller.services.sops import Sops, SopView, draft_revision
from sopwith_formats.dsse_statement import MEANINGS, SopStatement
from sopwith_formats.sop_template import SopBlanks, fill_template
from sopwith_formats.units import format_time
from tests.builders import NOON, FixedClock, settings
from tests.fakes.database import FakeDatabase
from tests.fakes.log_signer import FakeLogSigner

ID = "SU-SOP-001"
NAMES = {"owner": "owner", "it_manager": "manager", "authority": "authority"}
DOCUMENT = fill_template(
    SopBlanks(
        organization="Example",
        owner="owner",
        it_manager="manager",
        it_manager_email="manager@localhost",
        authority="authority",
        date="2026-11-22",
    )
)


def revised(number: int, *changes: tuple[str, str], document: bytes = DOCUMENT) -> bytes:
    """Return the document as its next revision, with changes."""
    text = document.decode().replace("revision: 1\n", f"revision: {number}\n", 1)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text.encode()


class Announcements:
    """The one thing of the live streams that SOPs use."""

    def __init__(self) -> None:
        self.revisions: list[SopRevision] = []
        self.listeners: list[frozenset[str] | None] = []

    async def announce_sop(self, revision: SopRevision, listeners: frozenset[str] | None = None) -> None:
        self.revisions.append(revision)
        self.listeners.append(listeners)


class SopFleet:
    """Everything that a test of SOPs needs."""

    def __init__(self, now: datetime = NOON, database: Database | None = None) -> None:
        self.clock = FixedClock(now)
        self.database: Database = database or FakeDatabase(self.clock, FakeLogSigner())
        self.announcements = Announcements()
        gateway: Any = self.announcements
        self.reader = StrictSopReader()
        self.sops = Sops(self.database, self.clock, self.reader, gateway)
        self.links = SigningLinks(self.database, self.clock, RandomIds(), self.sops, mail=True, wake=lambda: None)
        self.profile = "standard"
        self.keys: dict[str, PrivateKey] = {}
        self.people: dict[str, Person] = {}

    async def begin(self, profile: str = "standard", document: bytes = DOCUMENT) -> "SopFleet":
        """Put the three signatories, an operator and the draft in place, as init and enrolment do."""
        for role, name in {**NAMES, "operator": "operator"}.items():
            await self.person(name, role)
        async with self.database.write() as unit:
            self.profile = profile
            await unit.put_settings(settings(profile=profile))
            await unit.sops.put(draft_revision(self.reader.read(document), document, self.clock.now()))
            await unit.commit()
        return self

    async def person(self, name: str, *roles: str) -> Person:
        key = new_key()
        made = Person(
            f"p-{name}",
            name,
            roles,
            email=f"{name}@localhost",
            state="ACTIVE",
            key_fingerprint=fingerprint(key.public_key()),
            public_key_pem=public_key_pem(key.public_key()).decode(),
        )
        self.keys[name], self.people[name] = key, made
        async with self.database.write() as unit:
            await unit.people.put(made)
            await unit.commit()
        return made

    def caller(self, name: str) -> Caller:
        person = self.people[name]
        return Caller("person", person.id, person.name, frozenset(person.roles))

    async def statement(self, name: str, role: str, **changes: Any) -> SopStatement:
        revision = (await self.sops.history(ID))[-1].revision
        made = SopStatement(
            sop_id=revision.id,
            revision=revision.revision,
            document_sha256=revision.document_sha256,
            policy_sha256=revision.policy_sha256,
            decision="approve",
            meaning=MEANINGS[role],
            printed_name=name,
            person_id=self.people[name].id,
            role=role,
            signed_time=format_time(self.clock.now()),
            key_id=self.people[name].key_fingerprint,
            public_key_pem=self.people[name].public_key_pem,
        )
        return replace(made, **changes)

    async def code(self, name: str) -> str:
        """Have a code sent, and read it as the person does."""
        _, link = await self.links.send_code(self.caller(name), ID)
        async with self.database.read() as unit:
            (message,) = await unit.notifications.of_incident(link.id)
        return message.body.splitlines()[0]

    async def sign(self, name: str, role: str, **changes: Any) -> SopView:
        if self.profile == "regulated" and "challenge" not in changes:
            changes["challenge"] = await self.code(name)
        envelope = sign_statement(await self.statement(name, role, **changes), self.keys[name])
        return await self.sops.sign(self.caller(name), ID, 0, envelope)

    async def sign_all(self) -> SopView:
        await self.sign("owner", "owner")
        await self.sign("manager", "it_manager")
        return await self.sign("authority", "authority")

    async def effective(self, profile: str = "standard") -> "SopFleet":
        """Begin, submit and sign."""
        await self.begin(profile)
        await self.sops.submit(self.caller("owner"), ID)
        await self.sign_all()
        return self

    async def kinds(self) -> list[str]:
        """Return the kinds of all entries of the update log."""
        async with self.database.read() as unit:
            return [row.kind for row in await unit.update_log.entries(0, 1000)]
