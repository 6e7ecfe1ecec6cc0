"""A whole controller in this process, and computers and people that talk to it over real mTLS on loopback.

What a test needs of a SOP, a source and a release is put straight into the tables: those have tests of their own.
"""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc

from sopwith.v1 import (
    agent_service_pb2_grpc,
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
from sopwith_certs.signing import new_key, private_key_pem
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
from sopwith_formats.rollout_spec import RolloutSpec
from sopwith_formats.sop_policy import WaveRule
from tests.controller.simulated_agent import SimulatedAgent


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

    async def computer(self, name: str, **changes: Any) -> SimulatedAgent:
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
