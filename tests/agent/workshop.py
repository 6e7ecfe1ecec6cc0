"""A whole agent without its network: real journal, outbox, register and orders in a folder, fakes around them."""

import hashlib
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from sopwith_agent.adapters.journal import FileJournal
from sopwith_agent.adapters.outbox import FileOutbox
from sopwith_agent.adapters.register import FileRegister
from sopwith_agent.domain.applicability import Platform
from sopwith_agent.domain.readiness import Readiness
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.orders import Orders
from sopwith_agent.steps.people import PeopleDesk
from sopwith_agent.steps.ports import Journal
from sopwith_agent.steps.readiness_meter import Meter
from sopwith_agent.steps.sensor_port import Question
from sopwith_agent.steps.workbench import Workbench
from sopwith_agent.steps.worker import Worker
from sopwith_formats.manifest import Manifest
from sopwith_formats.receipt import Receipt, read_receipt
from sopwith_formats.warrant import Warrant
from tests.agent.fakes import (
    FakeAnnouncer,
    FakeApprovalProof,
    FakeClock,
    FakeCommands,
    FakeHealth,
    FakeHeldPolicies,
    FakeInstaller,
    FakeInstallers,
    FakePeople,
    FakePower,
    FakeSensors,
    FakeSource,
    FakeWakefulness,
    FakeWarrantKeys,
    hello,
)


class Workshop:
    """Everything that outlives an agent's process; `start` makes the process's part anew."""

    def __init__(self, folder: Path, clock: Any = None) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.root.mkdir()
        self.clock: Any = clock or FakeClock()
        self.source = FakeSource()
        self.installer = FakeInstaller()
        self.health = FakeHealth()
        self.sensors = FakeSensors(self.clock)
        self.power = FakePower()
        self.people = FakePeople()
        self.commands = FakeCommands()
        self.keys = FakeWarrantKeys()
        self.held_policies = FakeHeldPolicies()
        self.announcer = FakeAnnouncer()
        self.wakefulness = FakeWakefulness()
        self.connected = True
        self.measured: list[Readiness] = []
        self.tell_readiness = self.measured.append
        self.start()

    def start(self, wrap_journal: Any = None) -> None:
        """Begin as a new process does, with nothing but what lies on disk."""
        journal = FileJournal(self.folder / "journal")
        self.journal: Journal = wrap_journal(journal) if wrap_journal else journal
        self.outbox = FileOutbox(self.folder / "outbox", lambda _data: b"signed", self.clock.now)
        self.orders = Orders(journal.kept_orders(), journal.keep_orders)
        self.register = FileRegister(self.folder / "register")
        self.kept = self.folder / "kept"
        self.kept.mkdir(exist_ok=True)
        self.stopping = threading.Event()
        self.desk = PeopleDesk(
            self.announcer,
            journal.kept_notices(),
            journal.keep_notices,
            now=self.clock.fleet_now,
            tell_controller=lambda body: self.outbox.put("deferral", body),
        )
        self.meter = Meter(self.sensors, self.clock, self._question, self._tell)
        self.bench = Workbench(
            clock=self.clock,
            journal=self.journal,
            outbox=self.outbox,
            source=self.source,
            installers=FakeInstallers(self.installer),
            health=self.health,
            readiness=self.meter,
            register=self.register,
            power=self.power,
            people=self.people,
            wakefulness=self.wakefulness,
            commands=self.commands,
            orders=self.orders,
            warrant_keys=self.keys,
            approval_proof=FakeApprovalProof(),
            held_policies=self.held_policies,
            platform=Platform("linux", "x86_64", "debian"),
            computer_id=lambda: "c-1",
            computer_name=lambda: "pc1",
            root=self.root,
            staging=self.folder / "staging",
            kept=self.kept,
            stopping=self.stopping.is_set,
        )
        self.worker = Worker(self.bench, self.stopping)
        self.people.desk = self.desk
        self.desk.answered = self.worker.wake

    def _question(self) -> Question:
        return Question(
            self.root,
            self.folder,
            controller_connected=self.connected,
            controller_ahead_seconds=self.clock.controller_ahead_seconds(),
            source_designated=bool(self.source.root),
        )

    def _tell(self, readiness: Readiness) -> None:
        self.tell_readiness(readiness)

    def publish(self, version: str = "2", **changes: Any) -> Manifest:
        manifest, files = hello(version, **changes)
        self.source.publish(manifest, files)
        return manifest

    def install(self, version: str = "1") -> Manifest:
        """Have a version on the computer as an earlier assignment left it."""
        manifest = self.publish(version)
        (self.root / "hello").write_text(version)
        self.register.remember(manifest)
        return manifest

    def warrant(self, manifest: Manifest, **changes: Any) -> Warrant:
        warrant = Warrant(
            assignment_id="a-1",
            generation=1,
            computer_id="c-1",
            computer_name="pc1",
            rollout_id="r-1",
            release=manifest.name,
            version=manifest.version,
            manifest_sha256=hashlib.sha256(manifest.to_json()).hexdigest(),
            sop_id="SU-SOP-001",
            sop_revision=1,
            policy_sha256="a" * 64,
            plan_sha256="b" * 64,
            change_class="standard",
            emergency=False,
            attempts_max=3,
            deadline_time=self.clock.now() + timedelta(days=14),
            start_until_time=self.clock.now() + timedelta(days=14),
            issued_time=self.clock.now(),
            policy={},
        )
        return replace(warrant, **changes)

    def offer(self, warrant: Warrant, signature: bytes = b"good") -> None:
        self.worker.offer(warrant.payload(), signature)

    def run(self, rounds: int = 40, seconds: float = 5) -> None:
        """Work, and let time pass while something waits."""
        for _ in range(rounds):
            self.worker.run_until_idle()
            if not self.worker.unfinished():
                return
            self.clock.advance(seconds)
            self.worker.wake()

    def record(self, assignment_id: str = "a-1") -> Record:
        record = self.journal.load(assignment_id)
        assert record is not None
        return record

    def signed(self) -> list[Receipt]:
        """Return all started records and receipts that wait in the outbox, in order."""
        messages = self.outbox.after(0, 1000)
        return [read_receipt(str(m.body["payload"]).encode()) for m in messages if m.kind == "receipt"]

    def receipts(self) -> list[Receipt]:
        """Return the receipts among them."""
        return [record for record in self.signed() if record.kind == "ENDED"]

    def receipt(self) -> Receipt:
        (receipt,) = self.receipts()
        return receipt

    def told(self) -> list[str]:
        """Return the states that were told, in order, repetitions left out."""
        states: list[str] = []
        for message in self.outbox.after(0, 1000):
            state = str(message.body.get("state", ""))
            if message.kind == "progress" and states[-1:] != [state]:
                states.append(state)
        return states

    def installed(self) -> str:
        path = self.root / "hello"
        return path.read_text() if path.exists() else ""
