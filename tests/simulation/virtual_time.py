"""Time that passes only when nobody has anything to do: an event loop, a clock and timers on it.

The loop runs asyncio's own tasks, locks, timers and timeouts as they are; it does not wait for input, it moves the time
on. So a day of a fleet takes seconds. No real input or output may happen on it. Timers of one instant fire in the order
in which they were set. What a callback raises ends the run, unless somebody asked for it: it is a mistake of the
simulation itself.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVarTuple

from sopwith_controller.adapters.scheduler import HELD_AGAIN_AFTER
from sopwith_controller.services.ports import Clock

START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
CLOCK_RESOLUTION_SECONDS = 1e-6
_Arguments = TypeVarTuple("_Arguments")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is the simulation's."""

    _ready: deque[Any]
    """What asyncio's own loop keeps there."""

    def __init__(self) -> None:
        super().__init__()
        self._passed = 0.0
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = itertools.count()

    def time(self) -> float:
        return self._passed

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def _run_once(self) -> None:
        """Do what is ready; where nothing is, let the time pass until something is due."""
        ready, timers = self._ready, self._timers
        if not ready:
            while timers and timers[0][2]._cancelled:
                heapq.heappop(timers)
            if not timers:
                raise RuntimeError("everybody waits for somebody else: the simulation stands still")
            self._passed = max(self._passed, timers[0][0])
        due = self._passed + CLOCK_RESOLUTION_SECONDS
        while timers and timers[0][0] < due:
            timer = heapq.heappop(timers)[2]
            if not timer._cancelled:
                ready.append(timer)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                try:
                    handle._context.run(handle._callback, *handle._args)
                except BaseException as error:
                    if self.get_exception_handler() is None:
                        raise
                    self.call_exception_handler({"message": "a callback failed", "exception": error})

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Leave a cancelled timer where it is: it is passed over when its time comes."""


class VirtualClock:
    """Implements the `Clock` port, to the millisecond."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._passed, self._now = 0.0, START

    def now(self) -> datetime:
        passed = self._loop.time()
        if passed != self._passed:
            self._passed, self._now = passed, START + timedelta(milliseconds=round(passed * 1000))
        return self._now


class VirtualTimers:
    """Implements the `Timers` port for one life of a controller; `run` starts a task that dies with it.

    Dates are the controller's clock's, which may be set; intervals are the loop's. As with the house's own scheduler
    work waits while the time of day may not be acted upon.
    """

    def __init__(self, loop: VirtualLoop, clock: Clock, run: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self._loop = loop
        self._clock = clock
        self._run = run
        self._dates: dict[str, tuple[datetime, Callable[[], Awaitable[None]]]] = {}
        self._handles: dict[str, asyncio.TimerHandle] = {}
        self._trusted: Callable[[], Awaitable[bool]] | None = None

    def run_only_while(self, trusted: Callable[[], Awaitable[bool]]) -> None:
        """Ask before any work whether the time of day may be acted upon."""
        self._trusted = trusted

    def at(self, name: str, time: datetime, work: Callable[[], Awaitable[None]]) -> None:
        self._dates[name] = (time, work)
        self._wait(name)

    def every(self, name: str, interval: timedelta, work: Callable[[], Awaitable[None]]) -> None:
        seconds = interval.total_seconds()

        def again() -> None:
            self._set(name, self._loop.time() + seconds, again)
            self._run(self._if_trusted(work, lambda: None))

        self._set(name, self._loop.time() + seconds, again)

    def clock_was_set(self) -> None:
        """Wait for every date as the clock tells it now."""
        for name in list(self._dates):
            self._wait(name)

    def stop(self) -> None:
        """Forget every timer."""
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()
        self._dates.clear()

    def _wait(self, name: str) -> None:
        time, work = self._dates[name]

        def due() -> None:
            del self._dates[name], self._handles[name]
            self._run(self._if_trusted(work, lambda: self._try_later(name, work)))

        self._set(name, self._loop.time() + max(0.0, (time - self._clock.now()).total_seconds()), due)

    def _try_later(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        if name not in self._dates:
            self.at(name, self._clock.now() + HELD_AGAIN_AFTER, work)

    def _set(self, name: str, when: float, fire: Callable[[], None]) -> None:
        before = self._handles.pop(name, None)
        if before is not None:
            before.cancel()
        self._handles[name] = self._loop.call_at(max(when, self._loop.time()), fire)

    async def _if_trusted(self, work: Callable[[], Awaitable[None]], otherwise: Callable[[], None]) -> None:
        if self._trusted is None or await self._trusted():
            await work()
        else:
            otherwise()
