"""Timers in memory, by APScheduler 3.

What is due and when stands in the controller's own tables; these timers only wake the work that looks there, so that a
timer lost with the process costs nothing: the work runs once at the start and again by the safety net.

Rules: UTC date and interval triggers only; a late timer still runs (`misfire_grace_time` is a second by default); work
of one name never overlaps itself; an error in it is logged and the next time comes all the same.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from sopwith_controller.services.ports import Clock

_log = structlog.get_logger()


class Scheduler:
    """Satisfies the port `Timers`; used inside one running event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
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

    def at(self, name: str, time: datetime, work: Callable[[], Awaitable[None]]) -> None:
        """Run the work once, at a time or at once when that has passed."""
        due = max(time, self._clock.now())
        self._scheduler.add_job(
            _guarded, DateTrigger(due, timezone=UTC), (name, work), id=name, name=name, replace_existing=True
        )

    def every(self, name: str, interval: timedelta, work: Callable[[], Awaitable[None]]) -> None:
        """Run the work again and again."""
        trigger = IntervalTrigger(seconds=max(1, round(interval.total_seconds())), timezone=UTC)
        self._scheduler.add_job(_guarded, trigger, (name, work), id=name, name=name, replace_existing=True)


async def _guarded(name: str, work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except Exception:  # noqa: BLE001  the next time must come whatever went wrong this time
        _log.exception("timed_work_failed", work=name)
