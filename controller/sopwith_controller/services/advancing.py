"""When rollouts are looked at: after every event that may matter, at the planner's own next time, and now and then.

This module decides when a tick happens; what it does is `advance`'s. Rules: ticks of one rollout never overlap; the
first event is looked at at once, those that follow it share a tick when the rollout has rested, the longer the more
computers it has, because a tick over many costs as much for one event as for a hundred; a tick that changed something
is followed by another at once, at most a few; an error in one rollout's tick is logged, tried again a little later, and
holds no other rollout up; while the clock cannot be trusted there is no tick, and the end of that pokes every rollout.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from datetime import timedelta

import structlog

from sopwith_controller.domain.rollout import ACTIVE_STATES
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_controller.services.advance import Advance, Advanced
from sopwith_controller.services.ports import Clock, Database, Timers

SWEEP_EVERY = timedelta(seconds=30)
RETRY_AFTER = timedelta(seconds=5)
FOLLOWING_TICKS_MAX = 20
REST_SECONDS_EACH = 0.001
"""How long a rollout is left alone after a tick, for each of its assignments: some ten times what the tick took."""
REST_SECONDS_MAX = 1.0
"""Far below the 10 s in which a person's stop has to have arrived."""

_log = structlog.get_logger()
Watcher = Callable[[Rollout, list[Assignment]], None]


class Advancing:
    """Runs ticks in one task of its own."""

    def __init__(
        self,
        advance: Advance,
        database: Database,
        clock: Clock,
        timers: Timers,
        watcher: Watcher,
        *,
        sweep_every: timedelta = SWEEP_EVERY,
        rest_seconds_each: float = REST_SECONDS_EACH,
    ) -> None:
        """`sweep_every` is how often every running rollout is looked at although nothing happened."""
        self._rest_seconds_each = rest_seconds_each
        self._advance = advance
        self._sweep_every = sweep_every
        self._database = database
        self._clock = clock
        self._timers = timers
        self._watcher = watcher
        self._dirty: dict[str, None] = {}
        self._active: set[str] = set()
        self._rests_until: dict[str, float] = {}
        """By rollout id, in the loop's own time, which nobody can set."""
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look at every running rollout once, then at each when something happens."""
        await self.sweep()
        self._timers.every("advance/sweep", self._sweep_every, self.sweep)
        self._task = asyncio.create_task(self._work(), name="advancing")

    async def stop(self) -> None:
        """Finish the tick at hand and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def poke(self, *rollout_ids: str) -> None:
        """Look at these rollouts at once, or as soon as they have rested."""
        self._dirty.update(dict.fromkeys(rollout_ids))
        self._active.update(rollout_ids)
        self._wake.set()

    def poke_all(self) -> None:
        """Look at every running rollout at once: a freeze began, a computer came or left."""
        self.poke(*self._active)

    async def poke_of(self, computer_ids: Iterable[str]) -> None:
        """Look at the rollouts in which these computers have something to do."""
        if self._active:
            async with self._database.read() as unit:
                for computer_id in computer_ids:
                    for assignment in await unit.assignments.of_computer(computer_id, unended_only=True):
                        if assignment.rollout_id in self._active:
                            self.poke(assignment.rollout_id)

    async def sweep(self) -> None:
        """Look at every running rollout, whatever happened or did not."""
        async with self._database.read() as unit:
            self._active = {rollout.id for rollout in await unit.rollouts.in_states(sorted(ACTIVE_STATES))}
        self.poke_all()

    async def _work(self) -> None:
        time = asyncio.get_running_loop().time
        while True:
            self._wake.clear()
            now = time()
            self._rests_until = {key: until for key, until in self._rests_until.items() if until > now}
            rollout_id = next((key for key in self._dirty if key not in self._rests_until), None)
            if rollout_id is None:
                await self._wait()
                continue
            del self._dirty[rollout_id]
            rest = await self._look_at(rollout_id)
            self._rests_until[rollout_id] = time() + rest

    async def _wait(self) -> None:
        """Wait for an event, or for the end of the first rest of a rollout that has to be looked at."""
        ends = min((self._rests_until[key] for key in self._dirty), default=None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(ends):
                await self._wake.wait()

    async def _look_at(self, rollout_id: str) -> float:
        """Tick, and return for how many seconds the rollout rests."""
        try:
            result = await self._tick_until_quiet(rollout_id)
            if result is None:
                return 0.0
            if result.next_time is not None:
                self._timers.at(f"advance/{rollout_id}", result.next_time, lambda: self._poke_later(rollout_id))
        except Exception:  # noqa: BLE001  one rollout's trouble must not stop the others
            _log.exception("rollout_not_advanced", rollout=rollout_id)
            self._timers.at(
                f"advance/{rollout_id}", self._clock.now() + RETRY_AFTER, lambda: self._poke_later(rollout_id)
            )
            return REST_SECONDS_MAX
        return min(result.assignments * self._rest_seconds_each, REST_SECONDS_MAX)

    async def _tick_until_quiet(self, rollout_id: str) -> Advanced | None:
        result: Advanced | None = None
        for _ in range(FOLLOWING_TICKS_MAX):
            result = await self._advance.run(rollout_id)
            if result is None:
                if self._advance.may_run():
                    self._active.discard(rollout_id)
                return None
            if result.changed or result.acted:
                _log.info(
                    "rollout_advanced", rollout=rollout_id, state=result.rollout.state, changed=len(result.changed)
                )
            self._watcher(result.rollout, result.changed)
            if not result.acted:
                break
        return result

    async def _poke_later(self, rollout_id: str) -> None:
        self.poke(rollout_id)
