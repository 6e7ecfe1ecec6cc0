"""Timers on the real APScheduler: work set again while it runs waits, a late one runs once, an error ends nothing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio

from sopwith_controller.adapters.clock import SystemClock
from sopwith_controller.adapters.scheduler import Scheduler

DAYS = timedelta(days=5)
SECONDS = 10


@pytest_asyncio.fixture
async def scheduler() -> AsyncIterator[Scheduler]:
    made = Scheduler(SystemClock())
    made.start()
    yield made
    made.stop()


class Work:
    """Work that goes on until it is let go, and knows how many of it run."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.at_once = self.most_at_once = 0
        self.go_on = asyncio.Event()
        self._changed = asyncio.Condition()

    def named(self, name: str):
        async def work() -> None:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            async with self._changed:
                self.begun.append(name)
                self._changed.notify_all()
            await self.go_on.wait()
            self.at_once -= 1

        return work

    async def until_begun(self, count: int) -> None:
        async with asyncio.timeout(SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(self.begun) >= count)


async def test_work_that_is_set_again_while_it_runs_waits_and_is_not_lost(scheduler):
    work, now = Work(), SystemClock().now()
    scheduler.at("look", now, work.named("first"))
    await work.until_begun(1)

    scheduler.at("look", now, work.named("second"))
    scheduler.at("other", now, work.named("other"))
    await work.until_begun(2)
    begun_meanwhile = list(work.begun)
    work.go_on.set()
    await work.until_begun(3)

    assert begun_meanwhile == ["first", "other"]
    assert work.begun == ["first", "other", "second"]
    assert work.most_at_once == 2


async def test_work_that_is_set_again_before_it_begins_runs_once_with_the_newest_word(scheduler):
    work, now = Work(), SystemClock().now()
    work.go_on.set()
    for number in range(5):
        scheduler.at("look", now, work.named(f"word {number}"))
    await work.until_begun(1)
    scheduler.at("last", SystemClock().now(), work.named("last"))
    await work.until_begun(2)

    assert work.begun == ["word 4", "last"]


async def test_a_time_that_passed_long_ago_is_due_at_once_and_once(scheduler):
    work = Work()
    work.go_on.set()

    scheduler.at("late", SystemClock().now() - DAYS, work.named("late"))
    await work.until_begun(1)
    scheduler.at("last", SystemClock().now(), work.named("last"))
    await work.until_begun(2)

    assert work.begun == ["late", "last"]


async def test_an_error_ends_neither_the_work_that_waits_nor_that_of_other_names(scheduler):
    work, now = Work(), SystemClock().now()
    work.go_on.set()

    async def fails() -> None:
        raise OSError("no such table")

    scheduler.at("look", now, fails)
    scheduler.at("other", now, work.named("other"))
    await work.until_begun(1)
    scheduler.at("look", now, work.named("again"))
    await work.until_begun(2)

    assert work.begun == ["other", "again"]


async def test_no_work_runs_while_the_time_is_not_trusted_and_what_comes_once_is_kept(scheduler, monkeypatch):
    monkeypatch.setattr("sopwith_controller.adapters.scheduler.HELD_AGAIN_AFTER", timedelta(milliseconds=50))
    work, asked = Work(), []
    work.go_on.set()

    async def trusted() -> bool:
        asked.append(len(work.begun))
        return len(asked) > 2

    scheduler.run_only_while(trusted)
    scheduler.at("once", SystemClock().now(), work.named("once"))
    await work.until_begun(1)

    assert asked == [0, 0, 0]
    assert work.begun == ["once"]


@pytest.mark.parametrize("set_back", [False, True])
async def test_intervals_count_from_the_start_and_from_a_clock_that_was_set(scheduler, set_back):
    work = Work()
    scheduler.every("again", timedelta(seconds=1), work.named("again"))

    if set_back:
        scheduler.clock_was_set()
    at_the_start = list(work.begun)
    await work.until_begun(1)
    work.go_on.set()

    assert at_the_start == []
    assert work.most_at_once == 1
