"""The people of one run: they start rollouts, and stop, resume, abort and freeze them, by the run's dice.

Decides when a person acts and on what; whether the act is allowed the services decide, and a refusal is no fault. Who
waits for a person gets one: a suspended rollout is acknowledged and resumed, or aborted, after a while.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sopwith_controller.domain.entities import ComputerState
from sopwith_controller.domain.errors import SopwithError
from sopwith_controller.domain.rollout import ACTIVE_STATES
from sopwith_controller.domain.rollout_entities import CATCH_UP, Rollout, RolloutState
from sopwith_controller.services.clock_guard import NAME
from sopwith_formats.rollout_spec import ErrorThresholdSpec, RolloutSpec
from sopwith_formats.sop_policy import DisruptionBudget, WaveRule, Window
from tests.simulation.database import ControllerDied, DiskRefusedError
from tests.simulation.faults import HOUR
from tests.simulation.gate_keepers import ANNA, OTTO, WHY, GateKeepers
from tests.simulation.virtual_time import START

if TYPE_CHECKING:
    from tests.simulation.world import World

RESUMES_MAX = 8
WHIMS = {
    "pause": 10,
    "freeze": 6,
    "quarantine": 4,
    "schedule": 3,
    "calendar": 3,
    "deviate": 5,
    "retire": 1,
    "abort": 1,
    "withdraw": 1,
}
"""What people do without need, and how often, one beside the other."""
SOMEBODY_CANNOT_WAIT = 0.4
"""In this share of the freezes somebody asks for a deviation for a rollout."""
LAUNCHES_TRIED = 60
WINDOW_GIVEN_UP_AFTER = 20
"""Launches in vain: the window has closed meanwhile, and opens after the deadline that the start is refused for."""
RETRIES = 0.5
"""In this share of the runs people retry a rollout that has ended."""
TIRED_AFTER = timedelta(hours=8)
"""After that people withdraw the releases of catch-ups: the same computers would be offered them again for days."""
MANY = 100
"""Fleets larger than this have shorter deadlines, and people who tire sooner: an hour of waiting costs them most."""
HURRY = 0.4
FEW = 30
"""Fleets of this size may be updated two by two and end in a day."""


class People:
    """Everybody who decides something."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._faults = world.faults
        dice = self._faults.random
        self.busy = dice.choice((0.0, 0.0, 0.15 * HOUR, 0.5 * HOUR, 1.5 * HOUR))
        """Mean time between two whims; 0: they only do what is needed."""
        self._retries = dice.random() < RETRIES
        self._retried: set[str] = set()
        self._resumes: dict[str, int] = {}
        self.acts = 0
        self.gates = GateKeepers(world, self._try)

    async def work(self, specs: list[RolloutSpec]) -> None:
        """Start the rollouts one after the other, then look after them until they have ended."""
        for number, spec in enumerate(specs):
            if number:
                await asyncio.sleep(self._faults.between(300.0, 3600.0))
            await self._launch(spec, f"request-{number}")
        while await self._go_on():
            await asyncio.sleep(self._faults.between(60.0, 600.0))
            await self.look_after_everything()
        for computer in list(self._world.tables["computers"].values()):
            if computer.state is ComputerState.QUARANTINED:
                await self._let_back(computer.name)

    async def _go_on(self) -> bool:
        """Tell whether a rollout has not ended; one that has may be retried, once."""
        for rollout in self._world.rollouts():
            if rollout.state is RolloutState.COMPLETED and rollout.id not in self._retried and self._retries:
                self._retried.add(rollout.id)
                await self._retry(rollout.id)
        return any(rollout.state in ACTIVE_STATES for rollout in self._world.rollouts())

    async def _retry(self, rollout_id: str) -> None:
        await self._try(lambda c: c.rollout_retry.retry(OTTO, rollout_id, (), WHY))

    async def _let_back(self, name: str) -> None:
        for _ in range(100):
            if await self._try(lambda c: c.fleet.quarantine(OTTO, name, WHY, release=True)) is not None:
                return
            await asyncio.sleep(30.0)

    async def whims(self) -> None:
        """Do something now and then, without need."""
        while self.busy and not self._faults.healed:
            await asyncio.sleep(self._faults.pause(self.busy) or 0.0)
            await self._whim()

    async def confirm_time(self) -> None:
        """End the controller's own freeze, if there is one: the time that its clock tells now is the right one."""
        for _ in range(200):
            held = [one for one in self._world.tables.get("freezes", {}).values() if one.started_by == NAME]
            if all(one.end_time is not None for one in held) and not self._world.time.holds:
                return
            for freeze in held:
                if freeze.end_time is None:
                    await self._end_freeze(freeze.id)
            await asyncio.sleep(self._faults.between(5.0, 30.0))

    async def _end_freeze(self, freeze_id: str) -> None:
        await self._try(lambda c: c.freezes.end(OTTO, freeze_id, WHY, confirm_time=True))

    def _is_over(self, freeze_id: str) -> bool:
        freeze = self._world.tables["freezes"][freeze_id]
        return freeze.end_time is not None and freeze.end_time <= self._world.wall.now()

    async def _approve(self, rollout_id: str) -> None:
        """Let a second person sign the plan as it stands."""
        rollout = self._world.rollout(rollout_id)
        signed = self.gates.sign(rollout)
        self._world.truth.approved.add((rollout.id, rollout.plan_sha256))
        await self._try(lambda c: c.rollouts.approve(ANNA, rollout.id, rollout.plan_sha256, signed))

    async def _launch(self, spec: RolloutSpec, request_id: str) -> None:
        """Create, submit and start; try again for hours: controllers restart, clocks jump, people are away."""
        for tried in range(LAUNCHES_TRIED):
            if tried == WINDOW_GIVEN_UP_AFTER and spec.window is not None:
                spec, request_id = replace(spec, window=None, staging_seconds=None), f"{request_id}-now"
            if await self._create(spec, request_id):
                return
            await asyncio.sleep(60.0 * min(1 + tried / 4, 10))

    async def _create(self, spec: RolloutSpec, request_id: str) -> bool:
        """Create a rollout, or find the one that this request created, and bring it as far as it goes."""
        who, text = replace(OTTO, request_id=request_id), spec.to_json().decode()
        created = await self._try(lambda c: c.rollouts.create(who, text))
        return bool(created) and await self._begin(created[0].id, f"start-{request_id}")

    async def _begin(self, rollout_id: str, request_id: str) -> bool:
        """Bring a draft as far as it goes; True when it runs."""
        if self._world.rollout(rollout_id).state is RolloutState.DRAFT:
            await self._try(lambda c: c.rollouts.submit(OTTO, rollout_id))
        if self._world.rollout(rollout_id).state is RolloutState.IN_REVIEW:
            await asyncio.sleep(self._faults.between(10.0, 1800.0))
            await self._approve(rollout_id)
        if self._world.rollout(rollout_id).state is RolloutState.APPROVED:
            await self._try(lambda c: c.rollout_start.start(replace(OTTO, request_id=request_id), rollout_id, WHY))
        return self._world.rollout(rollout_id).state in ACTIVE_STATES

    async def look_after_everything(self) -> None:
        """Do what rollouts wait for."""
        for rollout in self._world.rollouts():
            await self._look_after(rollout)

    async def _look_after(self, rollout: Rollout) -> None:
        tired = TIRED_AFTER * (HURRY if len(self._world.computers) > MANY else 1)
        if rollout.origin == CATCH_UP and self._world.clock.now() - START > tired:
            await self._try(lambda c: self._world.withdraw(c, rollout.release))
        elif rollout.state is RolloutState.IN_REVIEW and rollout.origin == CATCH_UP:
            await self._approve(rollout.id)
        elif rollout.state is RolloutState.PAUSED:
            await self._try(lambda c: c.rollouts.resume(OTTO, rollout.id, WHY))
        elif rollout.state is RolloutState.SUSPENDED:
            resumes = self._resumes[rollout.id] = self._resumes.get(rollout.id, 0) + 1
            if resumes > RESUMES_MAX or self._faults.random.random() < 0.1:
                await self._try(lambda c: c.rollouts.abort(OTTO, rollout.id, WHY))
                return
            for incident in list(self._world.tables.get("incidents", {}).values()):
                if incident.rollout_id == rollout.id:
                    await self._acknowledge(incident.id)
            await self._try(lambda c: c.rollouts.resume(OTTO, rollout.id, WHY))

    async def _acknowledge(self, incident_id: str) -> None:
        await self._try(lambda c: c.incidents.acknowledge(OTTO, incident_id))

    async def _whim(self) -> None:
        dice = self._faults.random
        running = [rollout for rollout in self._world.rollouts() if rollout.state in ACTIVE_STATES]
        if not running:
            return
        rollout = dice.choice(running)
        whim = dice.choices(tuple(WHIMS), tuple(WHIMS.values()))[0]
        if whim in {"schedule", "calendar", "deviate"}:
            await getattr(self.gates, whim)(rollout)
        elif whim == "pause":
            await self._try(lambda c: c.rollouts.pause(OTTO, rollout.id, WHY))
        elif whim == "abort":
            await self._try(lambda c: c.rollouts.abort(OTTO, rollout.id, WHY))
        elif whim == "retire":
            name = dice.choice(self._world.computers).name
            await self._try(lambda c: c.fleet.retire(OTTO, name, WHY))
        elif whim == "quarantine":
            await self._hold_apart(dice.choice(self._world.computers).name)
        elif whim == "withdraw":
            await self._try(lambda c: self._world.withdraw(c, rollout.release))
        else:
            await self._freeze(rollout)

    async def _hold_apart(self, name: str) -> None:
        if await self._try(lambda c: c.fleet.quarantine(OTTO, name, WHY, release=False)) is not None:
            await asyncio.sleep(self._faults.between(60.0, 3600.0))
            await self._let_back(name)

    async def _freeze(self, rollout: Rollout) -> None:
        end = self._world.wall.now() + timedelta(seconds=round(self._faults.between(60.0, 3600.0)))
        by_itself = self._faults.random.random() < 0.5
        frozen = await self._try(lambda c: c.freezes.start(OTTO, WHY, end if by_itself else None))
        if frozen is not None and self._faults.random.random() < SOMEBODY_CANNOT_WAIT:
            self._world.loop.create_task(self.gates.deviate(rollout))
        if frozen is not None and not by_itself:
            await asyncio.sleep(self._faults.between(60.0, 3600.0))
            for _ in range(100):
                ended = await self._try(lambda c: c.freezes.end(OTTO, frozen.id, WHY))
                if ended is not None or self._is_over(frozen.id):
                    return
                await asyncio.sleep(30.0)

    async def _try(self, act: Callable[[Any], Awaitable[Any]]) -> Any:
        """Ask the controller; what it refuses, or dies of, is no fault of the run."""
        controller = self._world.controller
        if controller is None:
            return None
        self.acts += 1
        try:
            return await act(controller)
        except (SopwithError, DiskRefusedError, ControllerDied):
            return None


def specs_for(world: "World") -> list[RolloutSpec]:
    """Return the run's rollouts: one, or several that meet each other."""
    dice = world.faults.random
    version = dice.choice(("2", "2-bad"))
    rollouts = [_spec(world, "hello", version)]
    if dice.random() < 0.4:
        rollouts.append(_spec(world, "tools", dice.choice(("5", "5-bad"))))
    if dice.random() < 0.3:
        rollouts.append(_spec(world, "hello", "3"))
    return rollouts


def _spec(world: "World", name: str, version: str) -> RolloutSpec:
    dice = world.faults.random
    soak = dice.choice((0, 300, 1200))
    waves: tuple[WaveRule, ...] = (
        WaveRule("canary", dice.choice((1, 3)), soak),
        WaveRule("early", dice.choice(("10%", "30%")), soak),
        WaveRule("rest", "100%"),
    )
    errors = dice.choice((None, ErrorThresholdSpec("20%", 10, 5), ErrorThresholdSpec("100%", 1000, 1000)))
    window = dice.choice((None, None, Window("FREQ=DAILY", "06:00", 2 * 3600, "UTC", cutoff_seconds=600)))
    return RolloutSpec(
        rollout=f"{name}-{version}",
        release=f"{name}@{version}",
        sop="SU-SOP-001",
        waves=waves if dice.random() < 0.9 else waves[2:],
        success_threshold=dice.choice((None, "50%", "0%")),
        error_threshold=errors,
        max_concurrency=dice.choice((None, "25%", "100%", 2 if len(world.computers) <= FEW else "10%")),
        dynamic=dice.random() < 0.3,
        baseline=dice.random() < 0.5,
        window=window,
        staging_seconds=dice.choice((None, 1800)) if window else None,
        bandwidth_max=dice.choice((None, None, 50)),
        disruption_budget=dice.choice((None, None, DisruptionBudget(("site",), 2))),
        deadline_seconds=round(dice.choice((2, 4, 8)) * HOUR * (HURRY if len(world.computers) > MANY else 1)),
        attempts_max=dice.choice((None, 1)),
    )
