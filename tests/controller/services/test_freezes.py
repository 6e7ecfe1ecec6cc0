"""Freezes over the fake database: scheduled ones, calendars, and what a restarted controller still knows."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from sopwith_controller.adapters.ids import RandomIds
from sopwith_controller.domain.errors import InvalidInputError, NotFoundError
from sopwith_controller.domain.freezing import CLOCK, CalendarTime
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.services.access import Caller
from sopwith_controller.services.freezes import Freezes
from sopwith_formats.vocabulary import AssignmentState
from tests import builders as make
from tests.builders import NOON, FixedClock
from tests.fakes.database import FakeDatabase

OTTO = Caller("person", "p-1", "otto", frozenset({"operator"}))
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class Agents:
    """Keeps what connected computers were told last."""

    def __init__(self) -> None:
        self.told: list[tuple[bool, str]] = []

    async def freeze(self, *, active: bool, reason: str) -> None:
        self.told.append((active, reason))


class OneTimer:
    """Runs what is due when a test asks for it."""

    def __init__(self) -> None:
        self.waiting: dict[str, tuple[datetime, Callable[[], Awaitable[None]]]] = {}

    def at(self, name: str, time: datetime, work: Callable[[], Awaitable[None]]) -> None:
        self.waiting[name] = (time, work)

    def every(self, name: str, interval: timedelta, work: Callable[[], Awaitable[None]]) -> None:
        raise AssertionError(f"nothing of freezes is done every {interval}: {name}, {work}")

    @property
    def next(self) -> datetime | None:
        return min((time for time, _ in self.waiting.values()), default=None)


class Office:
    """One controller's freezes; `restart` begins anew over the same tables."""

    def __init__(self) -> None:
        self.clock = FixedClock()
        self.database = FakeDatabase(self.clock)
        self.pokes = 0
        self.trusts_its_clock = True
        self.restart()

    def restart(self) -> None:
        self.agents, self.timer = Agents(), OneTimer()
        parts: Any = (self.database, self.clock, RandomIds(), self.agents)
        trusted = lambda: self.trusts_its_clock  # noqa: E731  it is asked each time
        self.freezes = Freezes(*parts, timers=self.timer, changed=self._changed, trusted=trusted)

    def _changed(self) -> None:
        self.pokes += 1

    async def pass_to(self, time: datetime) -> None:
        """Let time pass and run what falls due on the way."""
        while (due := self.timer.next) is not None and due <= time:
            self.clock.time = due
            [(_, work)] = self.timer.waiting.values()
            self.timer.waiting.clear()
            await work()
        self.clock.time = time

    async def log(self) -> list[tuple[str, str]]:
        async with self.database.read() as unit:
            return [(row.kind, row.message) for row in await unit.update_log.entries(0, 99)]


@pytest.fixture
def office() -> Office:
    return Office()


async def test_a_scheduled_freeze_begins_and_ends_by_itself(office: Office) -> None:
    await office.freezes.start(OTTO, "year end", NOON + 3 * HOUR, start_time=NOON + HOUR)
    before = list(office.agents.told)

    await office.pass_to(NOON + 2 * HOUR)
    within = office.agents.told[-1]
    await office.pass_to(NOON + 4 * HOUR)

    assert before == [(False, "")]
    assert within == (True, "year end")
    assert office.agents.told[-1] == (False, "")
    assert office.pokes == 3
    assert office.timer.next is None
    assert await office.log() == [
        (
            "FREEZE_SCHEDULED",
            "otto froze the fleet from 2026-11-22T13:00:00Z until 2026-11-22T15:00:00Z: year end",
        )
    ]


async def test_a_restart_before_the_begin_and_before_the_end_loses_nothing(office: Office) -> None:
    await office.freezes.start(OTTO, "year end", NOON + 3 * HOUR, start_time=NOON + HOUR)
    office.restart()
    await office.freezes.resume_watching()
    await office.pass_to(NOON + 2 * HOUR)
    begun = office.agents.told[-1]
    office.restart()
    await office.freezes.resume_watching()

    await office.pass_to(NOON + 4 * HOUR)

    assert begun == (True, "year end")
    assert office.agents.told == [(False, "")]


async def test_a_begin_that_was_slept_through_holds_after_the_restart(office: Office) -> None:
    await office.freezes.start(OTTO, "year end", NOON + 3 * HOUR, start_time=NOON + HOUR)
    office.clock.time = NOON + 2 * HOUR
    office.restart()

    await office.freezes.resume_watching()

    assert [freeze.reason for freeze in await office.freezes.active()] == ["year end"]
    assert office.timer.next == NOON + 3 * HOUR


async def test_overlapping_freezes_hold_until_the_last_has_ended(office: Office) -> None:
    await office.freezes.start(OTTO, "first", NOON + 2 * HOUR)
    await office.freezes.start(OTTO, "second", NOON + 3 * HOUR, start_time=NOON + HOUR)

    await office.pass_to(NOON + 2.5 * HOUR)
    held = office.agents.told[-1]
    await office.pass_to(NOON + 3 * HOUR)

    assert held == (True, "second")
    assert office.agents.told[-1] == (False, "")


async def test_a_coming_freeze_is_called_off_by_its_id_only(office: Office) -> None:
    coming = await office.freezes.start(OTTO, "year end", None, start_time=NOON + HOUR)

    none = await office.freezes.end(OTTO, "", "")
    ended = await office.freezes.end(OTTO, coming.id, "not needed")
    await office.pass_to(NOON + 2 * HOUR)

    assert none == []
    assert [freeze.ended_by for freeze in ended] == ["otto"]
    assert await office.freezes.active() == []
    with pytest.raises(NotFoundError):
        await office.freezes.end(OTTO, coming.id, "again")


async def test_an_end_that_does_not_come_after_the_begin_is_refused(office: Office) -> None:
    with pytest.raises(InvalidInputError):
        await office.freezes.start(OTTO, "x", NOON + HOUR, start_time=NOON + HOUR)


async def test_a_calendar_is_imported_once_and_followed_when_it_changes(office: Office) -> None:
    one = CalendarTime("u1", "inventory", NOON + HOUR, NOON + 2 * HOUR)
    two = CalendarTime("u2", "holidays", NOON + 5 * HOUR, NOON + 9 * HOUR)
    tried = await office.freezes.import_calendar(OTTO, "plant", [one, two], dry_run=True)
    untouched = await office.freezes.all()
    await office.freezes.import_calendar(OTTO, "plant", [one, two], dry_run=False)

    again = await office.freezes.import_calendar(OTTO, "plant", [one, two], dry_run=False)
    await office.pass_to(NOON + 1.5 * HOUR)
    begun = office.agents.told[-1]
    later = await office.freezes.import_calendar(OTTO, "plant", [two], dry_run=False)

    assert (len(tried.added), list(untouched)) == (2, [])
    assert (again.freezes, again.unchanged) == ((), 2)
    assert begun == (True, "inventory")
    assert [freeze.ended_by for freeze in later.removed] == ["calendar plant"]
    assert office.agents.told[-1] == (False, "")
    assert office.timer.next == NOON + 5 * HOUR
    assert [message for _, message in await office.log()] == [
        "otto imported the freeze calendar plant: 2 new, 0 changed, 0 called off",
        "otto imported the freeze calendar plant: 0 new, 0 changed, 1 called off",
    ]


async def test_computers_hear_of_an_end_only_from_a_controller_that_believes_its_clock(office: Office) -> None:
    freeze = await office.freezes.start(OTTO, "year end", None)
    office.trusts_its_clock = False

    await office.freezes.end(OTTO, freeze.id, "over")
    pokes = office.pokes
    await office.freezes.start(OTTO, "again", None)

    assert pokes == 2
    assert office.agents.told == [(True, "year end"), (True, "again")]


async def test_leave_from_before_a_person_confirmed_the_time_ends_with_the_confirmation(office: Office) -> None:
    held = Freeze("f-9", "the controller's clock jumped backwards by about 10 minutes", CLOCK, NOON)
    lease = NOON + 5 * MINUTE  # the clock that jumped gave it at what was noon then
    waits, staged = AssignmentState.AWAITING_REBOOT, AssignmentState.STAGED
    leave = [
        make.assignment(1, state=staged, start_until_time=lease),
        make.assignment(2, state=waits, reboot_until_time=lease),
        make.assignment(3, state=staged, start_until_time=NOON - MINUTE),
        make.assignment(4, state=AssignmentState.PENDING),
    ]
    async with office.database.write() as unit:
        await unit.rollouts.put(make.rollout(state=RolloutState.RUNNING))
        for one in leave:
            await unit.computers.put(make.computer(f"pc{one.position}", id=one.computer_id))
        await unit.assignments.put_all(leave)
        await unit.freezes.put(held)
        await unit.commit()
    people = await office.freezes.start(OTTO, "year end", None)

    async def times() -> list[tuple[datetime | None, datetime | None]]:
        async with office.database.read() as unit:
            found = await unit.assignments.of_rollout(leave[0].rollout_id)
            return [(one.start_until_time, one.reboot_until_time) for one in found]

    await office.freezes.end(OTTO, people.id, "over")
    given = await times()
    await office.freezes.end(OTTO, held.id, "it is noon", confirm_time=True)

    assert given == [(lease, None), (None, lease), (NOON - MINUTE, None), (None, None)]
    assert await times() == [(NOON, None), (None, NOON), (NOON - MINUTE, None), (None, None)]
