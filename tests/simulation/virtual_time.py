"""Time that passes only when nobody has anything to do: an event loop, a clock and timers on it.

The loop runs asyncio's own tasks, locks, timers and timeouts as they are; it does not wait for input, it moves the time
on. So a day of a fleet takes seconds. No real input or output may happen on it. Timers of one instant fire in the order
in which they were set, and what a callback raises ends the run: it is a mistake of the simulation itself.
"""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVarTuple

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
                handle._context.run(handle._callback, *handle._args)

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
    """Implements the `Timers` port for one life of a controller; `run` starts a task that dies with it."""

    def __init__(self, loop: VirtualLoop, run: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self._loop = loop
        self._run = run
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def at(self, name: str, time: datetime, work: Callable[[], Awaitable[None]]) -> None:
        self._set(name, (time - START).total_seconds(), lambda: self._start(work))

    def every(self, name: str, interval: timedelta, work: Callable[[], Awaitable[None]]) -> None:
        seconds = interval.total_seconds()

        def again() -> None:
            self._set(name, self._loop.time() + seconds, again)
            self._start(work)

        self._set(name, self._loop.time() + seconds, again)

    def stop(self) -> None:
        """Forget every timer."""
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def _set(self, name: str, when: float, fire: Callable[[], None]) -> None:
        before = self._handles.pop(name, None)
        if before is not None:
            before.cancel()
        self._handles[name] = self._loop.call_at(max(when, self._loop.time()), fire)

    def _start(self, work: Callable[[], Awaitable[None]]) -> None:
        async def once() -> None:
            await work()

        self._run(once())
