"""The people who guard and open gates in one run: approvals by a second person, deviations, freezes known ahead.

Decides when something is scheduled, imported or asked for, and what a second person says to it, by the run's dice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sopwith_certs.plan_approvals import sign_approval
from sopwith_certs.signing import fingerprint, public_key_pem
from sopwith_controller.domain.freezing import CalendarTime
from sopwith_controller.domain.rollout_entities import Rollout
from sopwith_controller.services.access import Caller
from sopwith_controller.services.deviations import Asked
from sopwith_formats.plan_approval import PlanApproval
from sopwith_formats.units import format_time
from tests.simulation.keys import key_of

if TYPE_CHECKING:
    from tests.simulation.world import World

OTTO = Caller("person", "p-otto", "otto", frozenset({"owner", "operator", "it_manager"}))
ANNA = Caller("person", "p-anna", "anna", frozenset({"it_manager"}))
WHY = "as the dice fell"
CALENDAR = "quarter ends"
APPROVES = 0.7
"""Share of the deviations asked for that a second person approves."""
CLOSES = 0.4
"""Share of those that somebody closes before their time."""
_ANNAS_KEY = key_of(ANNA.name)
ANNAS_PEM = public_key_pem(_ANNAS_KEY.public_key()).decode()
_KEY_ID = fingerprint(_ANNAS_KEY.public_key())

Try = Callable[[Callable[[Any], Awaitable[Any]]], Awaitable[Any]]


class GateKeepers:
    """Whoever opens and shuts gates."""

    def __init__(self, world: "World", try_it: Try) -> None:
        self._world = world
        self._faults = world.faults
        self._try = try_it

    def sign(self, rollout: Rollout) -> str:
        """Return the second person's signed word about a rollout's plan."""
        now = format_time(self._world.wall.now())
        approval = PlanApproval(rollout.id, rollout.plan_sha256, ANNA.name, now, _KEY_ID)
        return sign_approval(approval, _ANNAS_KEY).decode()

    async def schedule(self, _: Rollout) -> None:
        """Freeze from a later time on, and think better of it now and then."""
        begins = self._later(30.0, 3600.0)
        ends = begins + timedelta(seconds=round(self._faults.between(60.0, 3600.0)))
        frozen = await self._try(lambda c: c.freezes.start(OTTO, WHY, ends, start_time=begins))
        if frozen is not None and self._faults.random.random() < 0.3:
            await asyncio.sleep(self._faults.between(10.0, 3600.0))
            await self._try(lambda c: c.freezes.end(OTTO, frozen.id, WHY))

    async def calendar(self, _: Rollout) -> None:
        """Import a calendar, as it stands today: times come, move and go."""
        times = []
        for number in range(self._faults.random.randint(0, 3)):
            begins = self._later(-600.0, 2 * 3600.0)
            length = timedelta(seconds=round(self._faults.between(700.0, 3600.0)))
            times.append(CalendarTime(f"uid-{number}", WHY, begins, begins + length))
        await self._try(lambda c: c.freezes.import_calendar(OTTO, CALENDAR, times, dry_run=False))

    async def deviate(self, rollout: Rollout) -> None:
        """Ask for a deviation; a second person approves it or not, and somebody may close it before its time."""
        dice = self._faults.random
        now = self._world.wall.now()
        frozen = any(
            one.start_time <= now and not (one.end_time and one.end_time <= now)
            for one in self._world.tables.get("freezes", {}).values()
        )
        gate = "freeze" if frozen else "window"
        expires = self._later(300.0, 7200.0)
        asked = Asked(gate, WHY, "somebody watches", rollout=rollout.id, expires_time=expires)
        opened = await self._try(lambda c: c.deviations.open(OTTO, asked))
        await asyncio.sleep(self._faults.between(5.0, 600.0))
        if opened is None or dice.random() >= APPROVES:
            return
        await self._try(lambda c: c.deviations.approve(ANNA, opened.id))
        if dice.random() < CLOSES:
            await asyncio.sleep(self._faults.between(5.0, 3600.0))
            await self._try(lambda c: c.deviations.close(OTTO, opened.id, WHY))

    def _later(self, low: float, high: float) -> Any:
        return self._world.wall.now() + timedelta(seconds=round(self._faults.between(low, high)))
