"""A whole controller in this process, and computers and people that talk to it over real mTLS on loopback.

What a test needs of a SOP, a source and a release is put straight into the tables: those have tests of their own.
"""

import asyncio
import hashlib
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc

from sopwith.v1 import (
    agent_service_pb2,
    agent_service_pb2_grpc,
    computer_pb2,
    fleet_service_pb2_grpc,
    incident_service_pb2_grpc,
    people_service_pb2_grpc,
    practice_service_pb2_grpc,
    report_service_pb2_grpc,
    rollout_pb2,
    rollout_service_pb2,
    rollout_service_pb2_grpc,
)
from sopwith_certs.authority import Authority, Subject, certificate_pem
from sopwith_certs.credentials import channel_credentials
from sopwith_certs.identity import Kind
from sopwith_certs.pair import Pair
from sopwith_certs.signing import new_key, private_key_pem, public_key_pem, sign
from sopwith_controller.adapters.clock import SystemClock
from sopwith_controller.adapters.ids import RandomIds
from sopwith_controller.adapters.sop_reader import StrictSopReader
from sopwith_controller.bootstrap.controller import Controller, build
from sopwith_controller.config import Config, Mail, read_config, write_settings
from sopwith_controller.desk.source_keys import key_pem, new_signer
from sopwith_controller.desk.source_signing import new_source
from sopwith_controller.domain.entities import Computer, ComputerState, Person, Release, ReleaseState, SopState
from sopwith_controller.operate.data_folder import Founding, Tools, found
from sopwith_formats.manifest import Artifact, Manifest
from sopwith_formats.receipt import PREFIX, Receipt
from sopwith_formats.rollout_spec import RolloutSpec
from sopwith_formats.sop_policy import WaveRule
from sopwith_formats.warrant import Warrant, read_warrant


def found_once(folder: Path, **changes: Any) -> Path:
    """Make a data folder whose SOP is effective and whose source lists one release; tests copy it."""
    data = folder / "controller"
    founding = Founding(
        data=data,
        organization="Example",
        owner="owner",
        it_manager="manager",
        it_manager_email="manager@localhost",
        authority="authority",
        profile="standard",
        config=Config(listen="127.0.0.1", advertise="127.0.0.1", smtp=Mail(address="smtp://127.0.0.1:9")),
    )
    found(replace(founding, **changes), Tools(SystemClock(), RandomIds(), StrictSopReader()))
    return data


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class House:
    """A running controller."""

    def __init__(self, data: Path, config: Config, controller: Controller) -> None:
        self.data = data
        self.config = config
        self.controller = controller
        self.parts = controller._parts
        self.authority = self.parts.authority
        self.channels: list[grpc.aio.Channel] = []

    async def close(self) -> None:
        """End everything."""
        for channel in self.channels:
            await channel.close(None)
        await self.controller.stop()

    def channel(self, pair: Pair | None, trust: bytes | None = None) -> grpc.aio.Channel:
        """Return a channel with these credentials; without a pair no certificate is shown."""
        bundle = trust or self.authority.trust_bundle_pem
        credentials = channel_credentials(pair, bundle) if pair else grpc.ssl_channel_credentials(bundle)
        channel = grpc.aio.secure_channel(
            self.config.fleet_address, credentials, options=[("grpc.enable_http_proxy", 0)]
        )
        self.channels.append(channel)
        return channel

    def pair(self, kind: Kind, identifier: str, issuer: Authority | None = None) -> Pair:
        """Return a key and a certificate."""
        key = new_key()
        certificate = (issuer or self.authority).issue(key.public_key(), Subject(kind, identifier), datetime.now(UTC))
        return Pair(private_key_pem(key), certificate_pem(certificate))

    async def person(self, name: str, *roles: str, **changes: Any) -> "Desk":
        """Put somebody on the roster and open their connection."""
        known = {"id": f"p-{name}", "name": name, "roles": roles, "state": "ACTIVE"}
        person = Person(**{**known, **changes})
        async with self.parts.database.write() as unit:
            await unit.people.put(person)
            await unit.commit()
        self.parts.access.refresh_person(person)
        return Desk(self.channel(self.pair(Kind.PERSON, person.id)))

    async def computer(self, name: str, **changes: Any) -> "SimulatedAgent":
        """Put a computer into the fleet; it has not dialled yet."""
        receipt_key = new_key()
        computer = replace(
            Computer(f"c-{name}", name, ComputerState.ACCEPTED, f"sha256:{name}", datetime.now(UTC)), **changes
        )
        async with self.parts.database.write() as unit:
            await unit.computers.put(computer)
            await unit.commit()
        self.parts.access.refresh_computer(computer)
        return SimulatedAgent(self, computer, receipt_key)

    async def publish(self, name: str, version: str) -> None:
        """Put a release into the tables."""
        manifest = Manifest(name, version, (Artifact(f"{name}.tar.gz", "archive", 1000, "ab" * 32),))
        release = Release(
            name=name,
            version=version,
            state=ReleaseState.PUBLISHED,
            manifest_json=manifest.to_json().decode(),
            manifest_sha256="cd" * 32,
            published_by="operator",
            published_time=datetime.now(UTC),
        )
        async with self.parts.database.write() as unit:
            await unit.releases.put(release)
            await unit.commit()

    async def designate_source(self) -> None:
        """Give the controller a real, empty source."""
        first, second, targets, online = (new_signer() for _ in range(4))
        source = new_source([first, second], targets, online.public_key, datetime.now(UTC))
        await self.parts.source.designate(source.root_json, dict(source.files), key_pem(online))

    async def make_sop_effective(self) -> None:
        """Let the drafted revision take effect, with everybody's acknowledgement."""
        async with self.parts.database.write() as unit:
            revision = await unit.sops.newest("SU-SOP-001")
            assert revision is not None
            await unit.sops.put(
                replace(
                    revision,
                    state=SopState.EFFECTIVE,
                    effective_time=datetime.now(UTC),
                    acknowledged_by=("owner", "manager", "operator"),
                )
            )
            await unit.commit()

    async def log_kinds(self) -> list[str]:
        """Return the kinds of all log entries, in order."""
        async with self.parts.database.read() as unit:
            return [row.kind for row in await unit.update_log.entries(0, 10_000)]

    async def log(self, kind: str) -> list[Any]:
        """Return the log entries of one kind."""
        async with self.parts.database.read() as unit:
            return [row for row in await unit.update_log.entries(0, 10_000) if row.kind == kind]


class Desk:
    """One person's connection."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.fleet = fleet_service_pb2_grpc.FleetServiceStub(channel)
        self.people = people_service_pb2_grpc.PeopleServiceStub(channel)
        self.rollouts = rollout_service_pb2_grpc.RolloutServiceStub(channel)
        self.practice = practice_service_pb2_grpc.PracticeServiceStub(channel)
        self.reports = report_service_pb2_grpc.ReportServiceStub(channel)
        self.incidents = incident_service_pb2_grpc.IncidentServiceStub(channel)
        self.agents = agent_service_pb2_grpc.AgentServiceStub(channel)

    async def started(self, version: str, **spec: Any) -> str:
        """Create, submit and start a rollout; return its id."""
        waves = spec.pop("waves", (WaveRule("canary", 1, 0), WaveRule("rest", "100%", 0)))
        release = spec.pop("release", f"hello@{version}")
        document = RolloutSpec(rollout=f"hello-{version}", release=release, sop="SU-SOP-001", waves=waves, **spec)
        created = await self.rollouts.CreateRollout(
            rollout_service_pb2.CreateRolloutRequest(rollout_json=document.to_json().decode())
        )
        identifier: str = created.rollout.id
        await self.rollouts.SubmitRollout(rollout_service_pb2.SubmitRolloutRequest(id=identifier))
        await self.rollouts.StartRollout(rollout_service_pb2.StartRolloutRequest(id=identifier, reason="monthly"))
        return identifier

    async def rollout(self, identifier: str) -> Any:
        """Read a rollout."""
        return (await self.rollouts.GetRollout(rollout_service_pb2.GetRolloutRequest(id=identifier))).rollout

    async def until_ended(self, identifier: str, count: int, seconds: float = 20) -> None:
        """Watch a rollout until so many of its computers have succeeded."""
        call = self.rollouts.WatchRollout(rollout_service_pb2.WatchRolloutRequest(id=identifier))
        try:
            async with asyncio.timeout(seconds):
                async for update in call:
                    if update.rollout.counts.succeeded >= count:
                        return
        finally:
            call.cancel()

    async def until(self, identifier: str, *states: str, seconds: float = 20) -> Any:
        """Watch a rollout until it stands in one of these states."""
        call = self.rollouts.WatchRollout(rollout_service_pb2.WatchRolloutRequest(id=identifier))
        try:
            async with asyncio.timeout(seconds):
                async for update in call:
                    name = rollout_pb2.RolloutState.Name(update.rollout.state).removeprefix("ROLLOUT_STATE_")
                    if name in states:
                        return update.rollout
        finally:
            call.cancel()
        raise AssertionError(f"rollout {identifier} ended elsewhere")


class SimulatedAgent:
    """A computer that speaks the wire and pretends to install."""

    def __init__(self, house: House, computer: Computer, receipt_key: Any) -> None:
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
            elif kind == "ack":
                self.acknowledged = message.ack.sequence
            elif kind == "measure_request":
                await self.report_readiness(message.measure_request.request_id)
            elif kind in kept:
                kept[kind].append(getattr(message, kind))
            elif kind == "labels_update":
                self.labels.append(dict(message.labels_update.labels))
            elif kind == "withdraw":
                self.withdrawn.append(message.withdraw.assignment_id)
            elif kind == "warrant":
                warrant = read_warrant(message.warrant.payload)
                self.warrants.append(warrant)
                if self.works:
                    self.work(warrant)
            self._heard.set()

    def work(self, warrant: Warrant) -> None:
        """Go through the states and send the outcome."""
        outcome, symptom = self.outcomes.get(warrant.version, ("SUCCEEDED", ""))
        for state in ("PREPARING", "DOWNLOADING", "STAGED", "INSTALLING", "CONFIRMING"):
            self.progress(warrant, state)
        self.receipt(warrant, outcome, symptom)


@asynccontextmanager
async def running(data: Path, folder: Path) -> AsyncIterator[House]:
    """Run a controller over a copy of a data folder."""
    copy = folder / "controller"
    shutil.copytree(data, copy)
    config = read_config(copy).model_copy(update={"fleet_port": free_port(), "web_port": free_port()})
    (copy / "sopwith.toml").write_text(write_settings(config), encoding="utf-8")
    async with serving(copy, config) as house:
        yield house


@asynccontextmanager
async def serving(data: Path, config: Config) -> AsyncIterator[House]:
    """Run a controller over a data folder, as often as a test wants."""
    controller = await build(data, config)
    await controller.start()
    house = House(data, config, controller)
    try:
        yield house
    finally:
        await house.close()
