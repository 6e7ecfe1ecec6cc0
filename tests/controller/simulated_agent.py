"""A computer for tests of the controller: speaks the wire as an agent does, and pretends to install."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import grpc

from sopwith.v1 import (
    agent_service_pb2,
    agent_service_pb2_grpc,
    computer_pb2,
)
from sopwith_certs.identity import Kind
from sopwith_certs.signing import public_key_pem, sign
from sopwith_controller.domain.entities import Computer
from sopwith_formats.receipt import PREFIX, Receipt
from sopwith_formats.warrant import Warrant, read_warrant

if TYPE_CHECKING:
    from tests.controller.house import House


class SimulatedAgent:
    """A computer that speaks the wire and pretends to install."""

    def __init__(self, house: "House", computer: Computer, receipt_key: Any) -> None:
        self.house = house
        self.computer = computer
        self.receipt_key = receipt_key
        self.pair = house.pair(Kind.COMPUTER, computer.id)
        self.nonce = "process-1"
        self.sequence = 0
        self.receipts = 0
        self.newest_receipt = ""
        self.newest_told: tuple[int, str] | None = None
        """What Hello says of its newest signed record; None says nothing."""
        self.acknowledged = 0
        self.installed: dict[str, str] = {}
        self.outcomes: dict[str, tuple[str, str]] = {}
        """Version to (outcome, symptom); SUCCEEDED where nothing is said."""
        self.warrants: list[Warrant] = []
        self.withdrawn: list[str] = []
        self.checkpoints: list[agent_service_pb2.CheckpointUpdate] = []
        self.checkpoint = ""
        self.welcome: agent_service_pb2.Welcome | None = None
        self.labels: list[dict[str, str]] = []
        self.leases: list[agent_service_pb2.LeaseRenewal] = []
        self.reboot_leases: list[agent_service_pb2.RebootLease] = []
        self.verdict = 1
        self.blocked: tuple[str, ...] = ()
        """Checks that block, where the verdict is another than READY."""
        self.works = True
        self.messages: list[agent_service_pb2.AgentMessage] = []
        self._outgoing: asyncio.Queue[agent_service_pb2.AgentMessage | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._welcomed = asyncio.Event()
        self._heard = asyncio.Event()
        self.call: Any = None

    async def connect(self, journal: tuple[tuple[str, str], ...] = ()) -> None:
        """Dial, say Hello and wait for Welcome."""
        self._welcomed.clear()
        self._outgoing = asyncio.Queue()
        stub = agent_service_pb2_grpc.AgentServiceStub(self.house.channel(self.pair))
        hello = agent_service_pb2.Hello(
            version="0.1.0",
            process_nonce=self.nonce,
            boot_id="boot-1",
            checkpoint=self.checkpoint,
            receipt_key_pem=public_key_pem(self.receipt_key.public_key()),
            installed=self.installed,
            source_root_sha256="ab" * 32,
            journal=[agent_service_pb2.JournalSummary(assignment_id=one, state=state) for one, state in journal],
        )
        if self.newest_told is not None:
            hello.newest_receipt.number, hello.newest_receipt.payload_sha256 = self.newest_told
        hello.facts.update({"os": "linux", **self.computer.facts})
        self._outgoing.put_nowait(agent_service_pb2.AgentMessage(hello=hello))
        self.call = stub.Connect(self._messages())
        self._task = asyncio.create_task(self._listen(self.call))
        waiting = asyncio.create_task(self._welcomed.wait())
        await asyncio.wait({waiting, self._task}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._task.done():
            await self._task
        await self.report_readiness()

    async def hang_up(self) -> None:
        """End the stream."""
        self._outgoing.put_nowait(None)
        if self._task is not None:
            self.call.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def fall_asleep(self) -> None:
        """Announce sleep, say no more, and wait until the controller has ended the stream."""
        self._outgoing.put_nowait(agent_service_pb2.AgentMessage(going_to_sleep=agent_service_pb2.GoingToSleep()))
        self._outgoing.put_nowait(None)
        await self.ended()

    async def ended(self) -> grpc.StatusCode:
        """Wait until the controller ended the stream; return how."""
        assert self._task is not None
        await asyncio.wait({self._task}, timeout=10)
        code: grpc.StatusCode = await self.call.code()
        return code

    async def report_readiness(self, request_id: str = "") -> None:
        """Send readiness."""
        report = agent_service_pb2.ReadinessReport(request_id=request_id)
        report.readiness.verdict = self.verdict  # type: ignore[assignment]
        if self.verdict != 1:
            report.readiness.reasons.add(code="DISK_FULL", message="no room", remedy="make room")
            for name in self.blocked:
                report.readiness.checks.add(name=name, result=computer_pb2.CHECK_RESULT_BLOCKED)
        self._outgoing.put_nowait(agent_service_pb2.AgentMessage(readiness_report=report))

    def send(self, message: agent_service_pb2.AgentMessage, sequence: int = 0) -> int:
        """Send a reliable message, with the next number where none is given."""
        if not sequence:
            self.sequence += 1
            sequence = self.sequence
        copy = agent_service_pb2.AgentMessage()
        copy.CopyFrom(message)
        copy.sequence = sequence
        self.messages.append(copy)
        self._outgoing.put_nowait(copy)
        return sequence

    def progress(self, warrant: Warrant, state: str, **fields: Any) -> int:
        """Report a state."""
        return self.send(
            agent_service_pb2.AgentMessage(
                progress=agent_service_pb2.Progress(assignment_id=warrant.assignment_id, state=state, **fields)
            )
        )

    def receipt(self, warrant: Warrant, outcome: str, symptom: str = "", key: Any = None, **changes: Any) -> int:
        """Send a signed outcome."""
        self.receipts += 1
        now = datetime.now(UTC).replace(microsecond=0)
        before = self.installed.get(warrant.release, "")
        after = warrant.version if outcome == "SUCCEEDED" else before
        receipt = Receipt(
            number=self.receipts,
            previous_sha256=self.newest_receipt,
            assignment_id=warrant.assignment_id,
            generation=warrant.generation,
            rollout_id=warrant.rollout_id,
            computer_id=self.computer.id,
            release=warrant.release,
            version=warrant.version,
            manifest_sha256=warrant.manifest_sha256,
            warrant_sha256="",
            sop_id=warrant.sop_id,
            sop_revision=warrant.sop_revision,
            policy_sha256=warrant.policy_sha256,
            outcome=outcome,
            symptom=symptom,
            detail="",
            version_before=before,
            version_after=after,
            attempts=1,
            commits=1,
            started_time=now,
            ended_time=now,
            boot_id="boot-1",
            boot_seconds=1,
            steps=(),
            utc_offset_seconds=3600,
        )
        payload = replace(receipt, **changes).payload()
        self.newest_receipt = hashlib.sha256(payload).hexdigest()
        signature = sign(key or self.receipt_key, PREFIX + payload)
        if outcome == "SUCCEEDED":
            self.installed[warrant.release] = warrant.version
        return self.send(
            agent_service_pb2.AgentMessage(receipt=agent_service_pb2.Receipt(payload=payload, signature=signature))
        )

    def again(self, payload: bytes, signature: bytes) -> None:
        """Send a signed record once more, outside the sequence."""
        receipt = agent_service_pb2.Receipt(payload=payload, signature=signature)
        self._outgoing.put_nowait(agent_service_pb2.AgentMessage(receipt_again=receipt))

    async def until_acknowledged(self, sequence: int) -> None:
        """Wait until a message is durable."""
        await self._until(lambda: self.acknowledged >= sequence)

    async def until_warrant(self, count: int = 1) -> Warrant:
        """Wait until so many warrants came; return the newest."""
        await self._until(lambda: len(self.warrants) >= count)
        return self.warrants[-1]

    async def until_withdrawn(self, assignment_id: str) -> None:
        """Wait until an assignment was taken back."""
        await self._until(lambda: assignment_id in self.withdrawn)

    async def until_lease(
        self, wanted: Callable[[agent_service_pb2.LeaseRenewal], bool]
    ) -> agent_service_pb2.LeaseRenewal:
        """Wait until the newest lease is a wanted one; return it."""
        await self._until(lambda: bool(self.leases) and wanted(self.leases[-1]))
        return self.leases[-1]

    async def until_labels(self) -> dict[str, str]:
        """Wait until the computer was told its labels; return the newest."""
        await self._until(lambda: bool(self.labels))
        return self.labels[-1]

    async def until_reboot_lease(self, count: int = 1) -> agent_service_pb2.RebootLease:
        """Wait until so many words about its reboot came; return the newest."""
        await self._until(lambda: len(self.reboot_leases) >= count)
        return self.reboot_leases[-1]

    async def until_shown(self, count: int) -> agent_service_pb2.CheckpointUpdate:
        """Wait until so many checkpoints were shown; return the newest."""
        await self._until(lambda: len(self.checkpoints) >= count)
        return self.checkpoints[-1]

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self._heard.clear()
                await self._heard.wait()

    async def _messages(self) -> AsyncIterator[agent_service_pb2.AgentMessage]:
        while (message := await self._outgoing.get()) is not None:
            yield message

    async def _listen(self, call: Any) -> None:
        kept: dict[str, list[Any]] = {
            "checkpoint_update": self.checkpoints,
            "lease_renewal": self.leases,
            "reboot_lease": self.reboot_leases,
        }
        async for message in call:
            kind = message.WhichOneof("content")
            if kind == "welcome":
                self.welcome = message.welcome
                self._welcomed.set()
                self._hold(message.welcome.sop)
            elif kind == "ack":
                self.acknowledged = message.ack.sequence
            elif kind == "measure_request":
                await self.report_readiness(message.measure_request.request_id)
            elif kind == "sop_update":
                self._hold(message.sop_update)
            elif kind in kept:
                kept[kind].append(getattr(message, kind))
            elif kind == "labels_update":
                self.labels.append(dict(message.labels_update.labels))
            elif kind == "withdraw":
                self.withdrawn.append(message.withdraw.assignment_id)
            elif kind == "warrant":
                self._take(read_warrant(message.warrant.payload))
            self._heard.set()

    def _hold(self, sop: agent_service_pb2.SopUpdate) -> None:
        """Say which SOP this computer holds, as an agent does after every Welcome and every new revision."""
        if sop.id:
            held = agent_service_pb2.SopHeld(id=sop.id, revision=sop.revision, policy_sha256=sop.policy_sha256)
            self._outgoing.put_nowait(agent_service_pb2.AgentMessage(sop_held=held))

    def _take(self, warrant: Warrant) -> None:
        self.warrants.append(warrant)
        if self.works:
            self.work(warrant)

    def work(self, warrant: Warrant) -> None:
        """Go through the states and send the outcome."""
        outcome, symptom = self.outcomes.get(warrant.version, ("SUCCEEDED", ""))
        for state in ("PREPARING", "DOWNLOADING", "STAGED", "INSTALLING", "CONFIRMING"):
            self.progress(warrant, state)
        self.receipt(warrant, outcome, symptom)
