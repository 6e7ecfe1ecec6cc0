"""Timers in memory, by APScheduler 3.

What is due and when stands in the controller's own tables; these timers only wake the work that looks there, so that a
timer lost with the process costs nothing: the work runs once at the start and again by the safety net.

Rules: UTC date and interval triggers only; a late timer still runs (`misfire_grace_time` is a second by default); work
of one name never overlaps itself; an error in it is logged and the next time comes all the same. While the time of day
cannot be trusted no work runs: what comes again and again passes, what comes once is looked at again a little later.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from sopwith_controller.services.ports import Clock

_log = structlog.get_logger()


HELD_AGAIN_AFTER = timedelta(seconds=10)
WAITING_MAX = 100
"""How often work that was set again may wait for its earlier self; by default the timer would be dropped."""

_Work = Callable[[], Awaitable[None]]


class Scheduler:
    """Satisfies the port `Timers`; used inside one running event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._intervals: dict[str, tuple[timedelta, _Work]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._trusted: Callable[[], Awaitable[bool]] | None = None
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )

    def start(self) -> None:
        """Begin to run timers."""
        self._scheduler.start()

    def stop(self) -> None:
        """Run no timer any more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def run_only_while(self, trusted: Callable[[], Awaitable[bool]]) -> None:
        """Ask before any work whether the time of day may be acted upon."""
        self._trusted = trusted

    def clock_was_set(self) -> None:
        """Count intervals from now: a clock that was set back would let them wait until the old time comes again."""
        for name, (interval, work) in self._intervals.items():
            self.every(name, interval, work)

    def at(self, name: str, time: datetime, work: _Work) -> None:
        """Run the work once, at a time or at once when that has passed."""
        due = max(time, self._clock.now())
        self._scheduler.add_job(
            self._once,
            DateTrigger(due, timezone=UTC),
            (name, work),
            id=name,
            name=name,
            replace_existing=True,
            max_instances=WAITING_MAX,
        )

    def every(self, name: str, interval: timedelta, work: _Work) -> None:
        """Run the work again and again."""
        self._intervals[name] = (interval, work)
        trigger = IntervalTrigger(seconds=max(1, round(interval.total_seconds())), timezone=UTC)
        self._scheduler.add_job(self._again, trigger, (name, work), id=name, name=name, replace_existing=True)

    async def _once(self, name: str, work: _Work) -> None:
        lock = self._locks.setdefault(name, asyncio.Lock())
        if await self._may_run(name):
            async with lock:
                await _guarded(name, work)
            if not lock.locked():
                self._locks.pop(name, None)
        else:
            self.at(name, self._clock.now() + HELD_AGAIN_AFTER, work)

    async def _again(self, name: str, work: _Work) -> None:
        if await self._may_run(name):
            await _guarded(name, work)

    async def _may_run(self, name: str) -> bool:
        try:
            return self._trusted is None or await self._trusted()
        except Exception:  # noqa: BLE001  a clock that cannot be judged holds the work until it can
            _log.exception("clock_not_checked", work=name)
            return False


async def _guarded(name: str, work: _Work) -> None:
    try:
        await work()
    except Exception:  # noqa: BLE001  the next time must come whatever went wrong this time
        _log.exception("timed_work_failed", work=name)
