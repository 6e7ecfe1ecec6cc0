"""Time that passes only when nobody has anything to do: an event loop, a clock and timers on it.

The loop is asyncio's own; its selector does not wait, it moves the time on. So that services with tasks, locks, timers
and timeouts run as they are, and a day of a fleet takes seconds. No real input or output may happen on it.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
CLOCK_RESOLUTION_SECONDS = 1e-6


class _PatientSelector(selectors.SelectSelector):
    """Lets time pass instead of waiting for input."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits for somebody else: the simulation stands still")
        self.passed += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is the simulation's."""

    def __init__(self) -> None:
        self._patient = _PatientSelector()
        super().__init__(self._patient)
        self._clock_resolution = CLOCK_RESOLUTION_SECONDS

    def time(self) -> float:
        return self._patient.passed


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
