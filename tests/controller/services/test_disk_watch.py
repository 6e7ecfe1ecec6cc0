"""The look at the controller's disk: people are told while there is room to write it down, and once."""

from typing import Any

import pytest

from sopwith_controller.domain.errors import UnavailableError
from sopwith_controller.services.disk_watch import FREE_MIN_BYTES, DiskWatch
from tests.builders import FixedClock
from tests.fakes.database import FakeDatabase
from tests.fakes.log_signer import FakeLogSigner


class Disk:
    """So much room, and what was raised about it."""

    def __init__(self) -> None:
        self.free = FREE_MIN_BYTES
        self.takes_records = True
        self.raised: list[str] = []

    async def raise_in(self, unit: Any, *, symptom: str, severity: int, summary: str) -> None:
        assert (symptom, severity) == ("DISK_FULL", 1)
        self.raised.append(summary)

    async def after_commit(self) -> None:
        pass


class FullDatabase(FakeDatabase):
    """Refuses to write while its disk does."""

    disk: Disk

    def write(self):
        if not self.disk.takes_records:
            raise UnavailableError("the database cannot be written: database or disk is full")
        return super().write()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def watch(disk: Disk) -> DiskWatch:
    clock = FixedClock()
    database = FullDatabase(clock, FakeLogSigner())
    database.disk = disk
    incidents: Any = disk
    return DiskWatch(database, clock, incidents, lambda: disk.free)


async def test_room_enough_is_nobodys_matter(watch, disk):
    await watch.look()

    assert disk.raised == []


async def test_little_room_is_told_once_until_there_was_plenty(watch, disk):
    for free in (FREE_MIN_BYTES - 1, 0, FREE_MIN_BYTES + 1, FREE_MIN_BYTES - 1):
        disk.free = free
        await watch.look()
    first = list(disk.raised)
    for free in (2 * FREE_MIN_BYTES, FREE_MIN_BYTES - 1):
        disk.free = free
        await watch.look()

    assert len(first) == 1
    assert "make room" in first[0]
    assert len(disk.raised) == 2


async def test_disk_that_does_not_take_the_alarm_is_asked_again(watch, disk):
    disk.free, disk.takes_records = 0, False
    await watch.look()
    unheard = list(disk.raised)
    disk.takes_records = True
    await watch.look()

    assert unheard == []
    assert len(disk.raised) == 1
