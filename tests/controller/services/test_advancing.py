"""When rollouts are looked at: the first event at once, a storm of events in few ticks, nobody behind somebody else.

The loop's time is the simulation's, so that the seconds between ticks are exact and cost nothing.
"""

import asyncio
import collections
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from sopwith_controller.services.advance import Advanced
from sopwith_controller.services.advancing import Advancing
from tests.fakes.database import FakeDatabase
from tests.simulation.virtual_time import VirtualClock, VirtualLoop, VirtualTimers


class CountingAdvance:
    """Notes when a tick came; a rollout has as many assignments as it is told."""

    def __init__(self, loop: VirtualLoop, sizes: dict[str, int]) -> None:
        self.ticks: dict[str, list[float]] = collections.defaultdict(list)
        self.fails = False
        self._loop = loop
        self._sizes = sizes

    def may_run(self) -> bool:
        return True

    async def run(self, rollout_id: str) -> Advanced:
        self.ticks[rollout_id].append(round(self._loop.time(), 6))
        if self.fails:
            raise RuntimeError("the database is busy")
        rollout: Any = SimpleNamespace(id=rollout_id, state="RUNNING")
        return Advanced(rollout, assignments=self._sizes[rollout_id])


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


@contextmanager
def no_log() -> Iterator[None]:
    """Keep what is expected to fail out of the test's output."""

    def drop(*_: Any) -> Any:
        raise structlog.DropEvent

    structlog.configure(processors=[drop])
    try:
        yield
    finally:
        structlog.reset_defaults()


def ticks_of(
    loop: VirtualLoop, advance: CountingAdvance, story: Callable[[Advancing], Awaitable[None]]
) -> dict[str, list[float]]:
    """Return when each rollout was looked at while a story was told."""
    clock = VirtualClock(loop)

    async def told() -> None:
        timers = VirtualTimers(loop, clock, loop.create_task)
        advancing = Advancing(advance, FakeDatabase(clock), clock, timers, lambda *_: None)  # type: ignore[arg-type]
        await advancing.start()
        await story(advancing)
        await advancing.stop()
        timers.stop()

    with no_log():
        loop.run_until_complete(told())
    return advance.ticks


def test_first_event_is_looked_at_at_once_and_a_storm_shares_ticks(loop):
    advance = CountingAdvance(loop, {"r-1": 500})

    async def storm(advancing: Advancing) -> None:
        await asyncio.sleep(3.0)
        for _ in range(150):
            advancing.poke("r-1")
            await asyncio.sleep(0.01)
        await asyncio.sleep(5.0)

    ticks = ticks_of(loop, advance, storm)["r-1"]

    assert ticks == [3.0, 3.5, 4.0, 4.5]


def test_event_after_a_rest_waits_for_nothing(loop):
    advance = CountingAdvance(loop, {"r-1": 500})

    async def now_and_then(advancing: Advancing) -> None:
        for _ in range(3):
            advancing.poke("r-1")
            await asyncio.sleep(2.0)

    assert ticks_of(loop, advance, now_and_then)["r-1"] == [0.0, 2.0, 4.0]


def test_rollout_of_any_size_rests_a_second_at_most(loop):
    advance = CountingAdvance(loop, {"r-1": 100_000})

    async def twice(advancing: Advancing) -> None:
        advancing.poke("r-1")
        await asyncio.sleep(0.1)
        advancing.poke("r-1")
        await asyncio.sleep(3.0)

    assert ticks_of(loop, advance, twice)["r-1"] == [0.0, 1.0]


def test_rest_of_a_large_rollout_holds_no_small_one_up(loop):
    advance = CountingAdvance(loop, {"r-1": 1000, "r-2": 5})

    async def both(advancing: Advancing) -> None:
        for _ in range(10):
            advancing.poke("r-1", "r-2")
            await asyncio.sleep(0.1)
        await asyncio.sleep(3.0)

    ticks = ticks_of(loop, advance, both)

    assert ticks["r-1"] == [0.0, 1.0]
    assert ticks["r-2"] == [round(number / 10, 6) for number in range(10)]


def test_rollout_whose_tick_fails_is_tried_again_without_another_event(loop):
    advance = CountingAdvance(loop, {"r-1": 5})
    advance.fails = True

    async def mended(advancing: Advancing) -> None:
        advancing.poke("r-1")
        await asyncio.sleep(1.0)
        advance.fails = False
        await asyncio.sleep(10.0)

    assert ticks_of(loop, advance, mended)["r-1"] == [0.0, 5.0]
