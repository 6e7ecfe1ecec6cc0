"""One computer in a folder: the agent's real parts over real files, and what a person would find on its disk.

Real are journal, outbox, orders, register, identity with its keys, source (TUF over HTTP), installers and health
checks. The clock is set by hand, so that pauses cost nothing; the sensors always find a healthy computer.
"""

import base64
import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from sopwith_agent.adapters import state_folder
from sopwith_agent.adapters.health_checks import HealthChecks
from sopwith_agent.adapters.identity_store import IdentityStore
from sopwith_agent.adapters.installers.by_name import InstallersByName
from sopwith_agent.adapters.journal import FileJournal
from sopwith_agent.adapters.outbox import FileOutbox
from sopwith_agent.adapters.register import FileRegister
from sopwith_agent.adapters.source_handle import SourceHandle
from sopwith_agent.domain.applicability import Platform
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.orders import Orders
from sopwith_agent.steps.readiness_meter import Meter
from sopwith_agent.steps.sensor_port import Question
from sopwith_agent.steps.workbench import Workbench
from sopwith_agent.steps.worker import Worker
from sopwith_certs import signing
from sopwith_formats import canonical_json
from sopwith_formats.durable import make_private_folder
from sopwith_formats.manifest import Manifest
from sopwith_formats.receipt import PREFIX as RECEIPT_PREFIX
from sopwith_formats.receipt import Receipt, read_receipt
from sopwith_formats.vocabulary import AssignmentState
from sopwith_formats.warrant import PREFIX, Warrant
from tests.agent.fakes import (
    FakeClock,
    FakeCommands,
    FakeHeldPolicies,
    FakePeople,
    FakePower,
    FakeSensors,
    FakeWakefulness,
)

ROUNDS_MAX = 60
"""Of a worker that pauses up to a minute between rounds; an assignment that takes longer is in a loop."""


class ReachedError(BaseException):
    """The assignment entered the state that was waited for."""


class Computer:
    """What one process of the agent is made of; made anew it knows nothing but what lies on the disk."""

    def __init__(self, folder: Path, warrant_key: signing.PrivateKey) -> None:
        self.folder, self.root, state = folder, folder / "root", folder / "state"
        self.state = state
        self.root.mkdir(exist_ok=True)
        self._warrant_key = warrant_key
        state_folder.clear_leftovers(state)
        self.clock = FakeClock()
        self.identity = IdentityStore(state / "identity")
        for name in ("staging", "kept"):
            make_private_folder(state / name)
        self.journal = FileJournal(state / "journal")
        self.outbox = FileOutbox(state / "outbox", self.identity.sign_receipt, self.clock.now)
        self.orders = Orders(self.journal.kept_orders(), self.journal.keep_orders)
        self.register = FileRegister(state / "kept" / "register")
        self.source = SourceHandle(state / "source", self.identity)
        self.installers = InstallersByName()
        stopping = threading.Event()
        sensors = FakeSensors(self.clock)
        meter = Meter(sensors, self.clock, self._question, lambda _readiness: None)
        self.bench = Workbench(
            clock=self.clock,
            journal=self.journal,
            outbox=self.outbox,
            source=self.source,
            installers=self.installers,
            health=HealthChecks(),
            readiness=meter,
            register=self.register,
            power=FakePower(),
            people=FakePeople(),
            wakefulness=FakeWakefulness(),
            commands=FakeCommands(),
            orders=self.orders,
            warrant_keys=self.identity,
            approval_proof=self.identity,
            held_policies=FakeHeldPolicies(),
            platform=Platform("linux", "x86_64", "debian"),
            computer_id=lambda: "c-1",
            computer_name=lambda: "pc1",
            root=self.root,
            staging=state / "staging",
            kept=state / "kept",
            stopping=stopping.is_set,
        )
        self.worker = Worker(self.bench, stopping)

    def _question(self) -> Question:
        return Question(
            self.root, self.state, controller_connected=True, controller_ahead_seconds=0, source_designated=True
        )

    def offer(self, manifest: Manifest, assignment_id: str) -> None:
        """Hand a signed warrant over, as the controller does at first and after each Hello."""
        payload = warrant_for(manifest, assignment_id, self.clock.now()).payload()
        self.worker.offer(payload, signing.sign(self._warrant_key, PREFIX + payload))

    def work(self, until: AssignmentState | None = None, told: Callable[[str], None] = lambda _state: None) -> None:
        """Work until everything ended or an assignment entered a state; `told` hears each state once it is durable."""

        def moved(record: Record) -> None:
            told(record.state.value)
            if record.state is until:
                raise ReachedError

        self.worker.moved = moved
        try:
            for _ in range(ROUNDS_MAX):
                self.worker.run_until_idle()
                if not self.worker.unfinished():
                    return
                self.clock.advance(60)
                self.worker.wake()
        except ReachedError:
            return
        raise AssertionError("the assignment goes round in a loop")

    def signed_records(self) -> list[Receipt]:
        """Return every started record and receipt that is held, each checked: signature, number and chain."""
        key = signing.read_public_key(self.identity.receipt_key_pem())
        found: dict[int, bytes] = {}
        for folder in (self.state / "outbox", self.state / "outbox" / "receipts"):
            for path in folder.glob("*.json"):
                document = canonical_json.decode(path.read_bytes())
                if document["kind"] != "receipt":
                    continue
                payload = str(document["body"]["payload"]).encode()
                assert signing.verify(key, RECEIPT_PREFIX + payload, base64.b64decode(document["body"]["signature"]))
                assert found.setdefault(read_receipt(payload).number, payload) == payload, "one number was signed twice"
        records = [read_receipt(found[number]) for number in sorted(found)]
        before = ""
        for index, record in enumerate(records, start=1):
            assert (record.number, record.previous_sha256) == (index, before), "the chain has a gap"
            before = hashlib.sha256(found[index]).hexdigest()
        return records


def warrant_for(manifest: Manifest, assignment_id: str, now: datetime) -> Warrant:
    """Return the warrant of one release for this computer."""
    warrant = Warrant(
        assignment_id=assignment_id,
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
        deadline_time=now + timedelta(days=14),
        start_until_time=now + timedelta(days=14),
        issued_time=now,
        policy={},
    )
    return replace(warrant)
