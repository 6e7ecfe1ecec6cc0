"""The controller's own clock, which may be set: what it says beside the time that really passes, and who believes it.

Decides when it jumps and how that ends, by the run's dice: it returns, as after a time service's word, or a person
confirms the new time by ending the freeze that the controller holds by. What may be believed meanwhile is worked out
here in other words than the controller's own guard does.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sopwith_controller.services.clock_guard import NAME
from sopwith_formats.units import parse_time
from tests.simulation.virtual_time import START, VirtualClock, VirtualLoop

if TYPE_CHECKING:
    from tests.simulation.world import World

TOLERANCE = timedelta(minutes=5)
RETURNS_WITHIN_SECONDS = 2400.0
CONFIRMED = (timedelta(minutes=10), timedelta(minutes=-10), timedelta(hours=2), timedelta(hours=-2), timedelta(days=2))
"""Jumps of which a person may say that the new time is the right one."""
WRONG = (timedelta(days=730), timedelta(days=-730), datetime(1970, 1, 1, tzinfo=UTC) - START)
CONFIRMS = 0.4
"""In this share of the jumps that may be, a person confirms the new time."""


class ControllerClock:
    """Implements the `Clock` port of the controller: the real time, and by how much it is off."""

    def __init__(self, real: VirtualClock) -> None:
        self._real = real
        self.shift = timedelta(0)

    def now(self) -> datetime:
        return self._real.now() + self.shift

    def real(self, told: datetime) -> datetime:
        """Return when a time that this clock told, or will tell, really is, as it is set now."""
        return told - self.shift


class SteadyClock:
    """Implements the `SteadyClock` port: the loop's own time, which nobody sets."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def seconds(self) -> float:
        return self._loop.time()


class ClockStory:
    """What happens to the controller's clock in one run. `was_set()` lets timers look at it again."""

    def __init__(self, world: "World", clock: ControllerClock, was_set: Callable[[], None]) -> None:
        self._world = world
        self._clock = clock
        self._was_set = was_set
        self.believed = timedelta(0)
        """By how much the clock was off when it was last right, or confirmed."""
        self._jumping = asyncio.Lock()
        self.jumps = 0

    @property
    def holds(self) -> bool:
        """Tell whether the controller must act on nothing that its clock says."""
        return abs(self._clock.shift - self.believed) > TOLERANCE

    async def run(self) -> None:
        """Let the clock jump now and then."""
        faults = self._world.faults
        mean = faults.rates.controller_clock_jump
        while mean:
            await asyncio.sleep(faults.pause(mean) or 0.0)
            if faults.healed:
                return
            async with self._jumping:
                await self._jump()

    async def settle(self) -> None:
        """Wait until the clock is right, or confirmed."""
        async with self._jumping:
            return

    def starts(self, tables: dict[str, Any]) -> None:
        """Note what a controller that starts now has to believe: no record of a later time, and no hold, no doubt."""
        held = any(one.started_by == NAME and one.end_time is None for one in tables.get("freezes", {}).values())
        log = tables.get("update_log", {})
        newest = parse_time(log[len(log) - 1].time) if log else self._clock.now()
        if not held and newest - self._clock.now() <= TOLERANCE:
            self.believed = self._clock.shift

    def ended(self, freeze: Any) -> str:
        """Take in the end of the controller's own freeze; return what is wrong with it, empty: nothing."""
        if freeze.ended_by == NAME:
            return f"{freeze.id} ended by itself while the clock is off" if self.holds else ""
        self.believed = self._clock.shift
        return ""

    async def _jump(self) -> None:
        faults, before = self._world.faults, self._clock.shift
        by = faults.random.choice((*CONFIRMED, *WRONG))
        confirmed = by in CONFIRMED and faults.random.random() < CONFIRMS
        self._set(before + by)
        await asyncio.sleep(faults.between(30.0, RETURNS_WITHIN_SECONDS))
        if not confirmed:
            self._set(before)
            await asyncio.sleep(60.0)
        await self._world.people.confirm_time()

    def _set(self, shift: timedelta) -> None:
        self.jumps += 1
        self._clock.shift = shift
        self._world.trace.note(f"the controller's clock is set: {shift} beside the real time")
        self._was_set()
