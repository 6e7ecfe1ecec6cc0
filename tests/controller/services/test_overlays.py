"""What is laid over the tables' word about computers: made once, and made anew when anything about them changes."""

from datetime import timedelta
from typing import Any

import pytest

from sopwith_controller.domain.tick import ComputerView
from sopwith_controller.services.overlays import AwayViews, SpokenOf, Word
from sopwith_controller.services.ports import Presence
from tests import builders as make
from tests.builders import FixedClock
from tests.controller.domain.builders import NOW
from tests.fakes.database import FakeDatabase

HEARTBEAT = timedelta(seconds=30)
STARTED = NOW - timedelta(hours=1)


class Register:
    """The streams that a controller saw since it started."""

    def __init__(self) -> None:
        self.known: dict[str, Presence] = {}

    def presence(self, computer_id: str) -> Presence | None:
        return self.known.get(computer_id)

    def started_time(self):
        return STARTED


@pytest.fixture
def register() -> Any:
    return Register()


@pytest.fixture
def away(register) -> AwayViews:
    return AwayViews(register, HEARTBEAT)


async def look(away: AwayViews, *views: ComputerView, **seen) -> dict[str, ComputerView]:
    database = FakeDatabase(FixedClock(NOW))
    async with database.write() as unit:
        for key, time in seen.items():
            await unit.computers.put(make.computer(key, id=key, last_seen_time=time))
        await unit.commit()
    async with database.read() as unit:
        return await away.of(unit, views)


def left(minutes: int, *, asleep: bool = False) -> Presence:
    return Presence(connected=False, asleep=asleep, last_seen_time=NOW - timedelta(minutes=minutes))


async def test_a_computer_that_left_is_offline_after_three_heartbeats(away, register):
    register.known["c1"] = left(10)

    views = await look(away, ComputerView("c1", "pc1", connected=True))

    assert not views["c1"].connected
    assert views["c1"].offline_time == NOW - timedelta(minutes=10) + 3 * HEARTBEAT


async def test_one_that_announced_sleep_is_asleep_and_not_offline(away, register):
    register.known["c1"] = left(10, asleep=True)

    views = await look(away, ComputerView("c1", "pc1", connected=True))

    assert views["c1"].asleep
    assert views["c1"].offline_time is None


async def test_one_that_this_process_never_heard_of_was_seen_when_the_tables_say(away):
    table = ComputerView("c1", "pc1", connected=True)

    before = await look(away, table, c1=NOW - timedelta(minutes=50))
    later = await look(away, table, c1=NOW - timedelta(minutes=5))

    assert before["c1"].offline_time == NOW - timedelta(minutes=50) + 3 * HEARTBEAT
    assert later["c1"].offline_time == NOW - timedelta(minutes=5) + 3 * HEARTBEAT


async def test_a_silence_in_which_the_controller_was_away_does_not_count(away):
    views = await look(away, ComputerView("c1", "pc1"), c1=NOW - timedelta(days=3))

    assert views["c1"].offline_time == STARTED + 3 * HEARTBEAT


async def test_a_view_is_the_same_object_while_nothing_changes_and_another_when_something_does(away, register):
    register.known["c1"] = left(10)
    table = ComputerView("c1", "pc1", connected=True)
    first = await look(away, table)

    same = await look(away, table)
    register.known["c1"] = left(1)
    presence_changed = await look(away, table)
    table_changed = await look(away, ComputerView("c1", "pc1", connected=True, labels={"site": "berlin"}))

    assert same["c1"] is first["c1"]
    assert presence_changed["c1"].last_seen_time == NOW - timedelta(minutes=1)
    assert table_changed["c1"].labels == {"site": "berlin"}


def test_what_others_say_is_laid_over_and_taken_away_again():
    spoken_of, table = SpokenOf(), ComputerView("c1", "pc1", connected=True)
    first, second, third = {"c1": table}, {"c1": table}, {"c1": table}

    spoken_of.lay_over(first, {"c1": Word("hello-3"), "gone": Word("hello-3")})
    spoken_of.lay_over(second, {"c1": Word("hello-3")})
    spoken_of.lay_over(third, {"c1": Word(rolled_back_before=True, measure_asked_time=NOW)})

    assert (first["c1"].busy_with, first["c1"].connected, "gone" in first) == ("hello-3", True, False)
    assert second["c1"] is first["c1"]
    assert (third["c1"].busy_with, third["c1"].rolled_back_before, third["c1"].measure_asked_time) == ("", True, NOW)
    assert table.busy_with == ""
