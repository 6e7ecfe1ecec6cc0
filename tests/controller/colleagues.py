"""People with keys of their own on a running controller: they approve by real signatures and use the real commands."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc

from sopwith.v1 import deviation_service_pb2_grpc, rollout_service_pb2
from sopwith_certs.identity import Kind
from sopwith_certs.pair import Pair
from sopwith_certs.plan_approvals import sign_approval
from sopwith_certs.signing import fingerprint, public_key_pem, read_private_key
from sopwith_controller.api.errors import REFUSAL_KEY
from sopwith_controller.desk.context import Context, write_context
from sopwith_controller.domain.entities import Person
from sopwith_formats.manifest import read_manifest
from sopwith_formats.plan_approval import PlanApproval
from sopwith_formats.rollout_spec import RolloutSpec
from sopwith_formats.sop_policy import WaveRule
from sopwith_formats.units import format_time
from tests.controller.house import Desk, House

WAVES = (WaveRule("all", "100%", 0),)
_LOGGED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[")
"""How a line begins that the controller of this very process logged meanwhile."""
Command = Callable[..., tuple[int, str, str]]


class Colleague(Desk):
    """Somebody on the roster whose key the controller knows."""

    def __init__(self, house: House, name: str, pair: Pair) -> None:
        super().__init__(house.channel(pair))
        self.house = house
        self.name = name
        self.pair = pair
        self.deviations = deviation_service_pb2_grpc.DeviationServiceStub(self.channel)

    def envelope(self, rollout: Any, *, signed: datetime | None = None, person: str = "") -> bytes:
        """Sign the plan of a rollout as approved."""
        key = read_private_key(self.pair.key_pem)
        time = format_time(signed or datetime.now(UTC))
        name = person or self.name
        return sign_approval(
            PlanApproval(rollout.id, rollout.plan_sha256, name, time, fingerprint(key.public_key())), key
        )

    async def approve(self, rollout: Any, envelope: bytes = b"") -> Any:
        """Approve the plan of a rollout, by default with a fresh signature."""
        request = rollout_service_pb2.ApproveRolloutRequest(
            id=rollout.id, plan_sha256=rollout.plan_sha256, envelope_json=envelope or self.envelope(rollout)
        )
        return (await self.rollouts.ApproveRollout(request)).rollout

    async def submitted(self, **spec: Any) -> Any:
        """Create and submit a rollout of hello@1; return it."""
        document = RolloutSpec(
            **{"rollout": "hello", "release": "hello@1", "sop": "SU-SOP-001", "waves": WAVES, **spec}
        )
        created = await self.rollouts.CreateRollout(
            rollout_service_pb2.CreateRolloutRequest(rollout_json=document.to_json().decode())
        )
        return await self.submit(created.rollout.id)

    async def submit(self, identifier: str) -> Any:
        """Submit a draft; return it."""
        request = rollout_service_pb2.SubmitRolloutRequest(id=identifier)
        return (await self.rollouts.SubmitRollout(request)).rollout

    async def start(self, identifier: str) -> Any:
        """Start a rollout; return it."""
        request = rollout_service_pb2.StartRolloutRequest(id=identifier, reason="monthly")
        return (await self.rollouts.StartRollout(request)).rollout

    async def runs(self, sopwith: Command, *words: str) -> tuple[int, str, str]:
        """Run a command of this person's; return exit code, output and messages."""
        code, out, messages = await asyncio.to_thread(sopwith, "--context", self._context(), *words)
        return code, "".join(line for line in out.splitlines(keepends=True) if not _LOGGED.match(line)), messages

    def _context(self) -> Path:
        folder = self.house.data.parent / f"desk-{self.name}"
        folder.mkdir(exist_ok=True)
        (folder / "key.pem").write_bytes(self.pair.key_pem)
        (folder / "key.pem").chmod(0o600)
        (folder / "certificate.pem").write_bytes(self.pair.certificate_pem)
        (folder / "ca.pem").write_bytes(self.house.authority.trust_bundle_pem)
        context = Context(
            path=folder / "context.toml",
            organization="Example",
            trust_domain=self.house.authority.trust_domain,
            person=self.name,
            fleet_address=self.house.config.fleet_address,
            web_address="127.0.0.1:1",
            ca_fingerprint=self.house.authority.fingerprint,
            trust_bundle="file:ca.pem",
            certificate="file:certificate.pem",
            key="file:key.pem",
        )
        write_context(context)
        return context.path


async def colleague(house: House, name: str, *roles: str) -> Colleague:
    """Put somebody with a key of their own on the roster and open their connection."""
    pair = house.pair(Kind.PERSON, f"p-{name}")
    public = public_key_pem(read_private_key(pair.key_pem).public_key()).decode()
    person = Person(id=f"p-{name}", name=name, roles=roles, state="ACTIVE", public_key_pem=public)
    async with house.parts.database.write() as unit:
        await unit.people.put(person)
        await unit.commit()
    house.parts.access.refresh_person(person)
    return Colleague(house, name, pair)


async def make_normal(house: House, version: str = "1") -> None:
    """Let a release ask for approvals before the start."""
    async with house.parts.database.write() as unit:
        release = await unit.releases.get("hello", version)
        assert release is not None
        manifest = replace(read_manifest(release.manifest_json.encode()), change_class="normal")
        await unit.releases.put(replace(release, manifest_json=manifest.to_json().decode()))
        await unit.commit()


async def change_rollout(house: House, identifier: str, change: Callable[[Any], Any]) -> None:
    """Change a rollout's row behind everybody's back."""
    async with house.parts.database.write() as unit:
        rollout = await unit.rollouts.get(identifier)
        await unit.rollouts.put(change(rollout))
        await unit.commit()


def gate_of(error: grpc.aio.AioRpcError) -> str:
    """Return the gate that refused."""
    for key, value in error.trailing_metadata() or ():
        if key == REFUSAL_KEY and isinstance(value, bytes):
            return rollout_service_pb2.Refusal.FromString(value).gate
    return f"no gate, but {error.code()}: {error.details()}"
