"""Freezes: where each stands, when that changes next, and what a calendar's new word does to the old one."""

import itertools
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sopwith_controller.domain.errors import InvalidInputError, NotFoundError, TransitionNotAllowedError
from sopwith_controller.domain.freezing import (
    AHEAD_MAX,
    CLOCK,
    OCCURRENCES_MAX,
    CalendarChange,
    CalendarTime,
    FreezeState,
    bring_in_line,
    check_calendar,
    end,
    held_by_clock,
    moment,
    next_change,
    state_of,
    to_end,
)
from sopwith_controller.domain.incident_entities import Freeze
from tests.controller.domain.builders import HOUR, NOW

COMING = Freeze("f-1", "year end", "otto", NOW + HOUR, NOW + 2 * HOUR, origin="plant", uid="u1")
IN_FORCE = replace(COMING, id="f-2", start_time=NOW - HOUR, uid="u2")
OVER = replace(COMING, id="f-3", start_time=NOW - 2 * HOUR, end_time=NOW, uid="u3")


def time(uid: str, start: datetime = NOW + HOUR, hours: int = 1, reason: str = "year end") -> CalendarTime:
    return CalendarTime(uid, reason, start, start + hours * HOUR)


def import_(known: list[Freeze], *times: CalendarTime, now: datetime = NOW) -> CalendarChange:
    numbers = itertools.count(100)
    return bring_in_line(known, "plant", times, now=now, person="otto", new_id=lambda: f"f-{next(numbers)}")


def carried_out(known: list[Freeze], change: CalendarChange) -> list[Freeze]:
    return list({freeze.id: freeze for freeze in (*known, *change.freezes)}.values())


@pytest.mark.parametrize(
    ("freeze", "state"),
    [
        (COMING, FreezeState.COMING),
        (IN_FORCE, FreezeState.IN_FORCE),
        (replace(IN_FORCE, end_time=None), FreezeState.IN_FORCE),
        (replace(COMING, end_time=None), FreezeState.COMING),
        (replace(COMING, start_time=NOW), FreezeState.IN_FORCE),
        (OVER, FreezeState.OVER),
        (end(COMING, NOW, "olga"), FreezeState.OVER),
        (end(IN_FORCE, NOW, "olga"), FreezeState.OVER),
    ],
)
def test_a_freeze_is_coming_in_force_or_over(freeze: Freeze, state: FreezeState):
    assert state_of(freeze, NOW) is state


def test_one_that_was_called_off_never_holds():
    off = end(COMING, NOW, "olga")

    assert off.ended_by == "olga"
    assert all(state_of(off, NOW + hours * HOUR) is FreezeState.OVER for hours in range(4))
    assert end(IN_FORCE, NOW, "olga").end_time == NOW


def test_the_next_change_is_the_earliest_begin_or_end():
    assert next_change([COMING, IN_FORCE, OVER], NOW) == NOW + HOUR
    assert next_change([IN_FORCE], NOW) == NOW + 2 * HOUR
    assert next_change([OVER, replace(IN_FORCE, end_time=None), end(COMING, NOW, "olga")], NOW) is None


def test_a_first_import_adds_what_is_not_over():
    change = import_([], time("u1"), time("u2", NOW - 5 * HOUR))

    assert change.added == (replace(COMING, id="f-100"),)
    assert (change.changed, change.removed, change.unchanged) == ((), (), 0)


def test_a_second_import_changes_nothing():
    assert import_([COMING], time("u1")) == CalendarChange(unchanged=1)


def test_a_moved_time_is_changed_and_one_that_is_gone_called_off_or_ended():
    change = import_([COMING, IN_FORCE, OVER], time("u1", NOW + 5 * HOUR, reason="moved"))

    assert change.changed == (replace(COMING, reason="moved", start_time=NOW + 5 * HOUR, end_time=NOW + 6 * HOUR),)
    assert [(freeze.id, freeze.end_time, freeze.ended_by) for freeze in change.removed] == [
        ("f-2", NOW, "calendar plant")
    ]
    off = import_([COMING]).removed[0]
    assert state_of(off, NOW + HOUR) is FreezeState.OVER


def test_a_time_that_comes_back_into_the_calendar_holds_again():
    off = import_([COMING]).removed[0]

    assert import_([off], time("u1")).changed == (COMING,)


def test_what_a_person_ended_stays_ended():
    ended = end(IN_FORCE, NOW, "olga")

    assert import_([ended], time("u2", NOW - HOUR, 5)) == CalendarChange(unchanged=1)


def test_other_calendars_and_freezes_of_people_are_left_alone():
    others = [replace(COMING, origin="office"), replace(COMING, origin="", uid="")]

    assert import_(others).freezes == ()


@pytest.mark.parametrize(
    ("calendar", "times", "words"),
    [
        (" ", [], "no name"),
        ("plant", [time(str(number)) for number in range(OCCURRENCES_MAX + 1)], "are the most"),
        ("plant", [time("u1"), time("u1")], "stands twice"),
        ("plant", [time("")], "no UID"),
        ("plant", [time("u1", hours=0)], "ends before it begins"),
        ("plant", [time("u1", NOW + AHEAD_MAX + HOUR)], "two years ahead"),
    ],
)
def test_an_import_that_nobody_should_carry_out_is_refused(calendar: str, times: list[CalendarTime], words: str):
    with pytest.raises(InvalidInputError, match=words):
        check_calendar(calendar, times, NOW)
    check_calendar("plant", [time("u1")], NOW)


imports = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(-5, 9), st.integers(1, 4)), max_size=4)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(imports, max_size=5))
def test_after_an_import_what_holds_from_now_on_is_what_the_calendar_says(stories: list[dict[str, tuple[int, int]]]):
    known: list[Freeze] = []
    now = NOW
    for number, story in enumerate(stories):
        now = NOW + number * timedelta(minutes=40)
        times = [time(uid, NOW + start * HOUR, hours) for uid, (start, hours) in story.items()]
        numbers = itertools.count(1000 * (number + 1))

        change = bring_in_line(known, "plant", times, now=now, person="otto", new_id=lambda: f"f-{next(numbers)}")  # noqa: B023  called at once
        known = carried_out(known, change)

        holding = {freeze.uid: (freeze.start_time, freeze.end_time) for freeze in known if _open(freeze, now)}
        assert holding == {one.uid: (one.start_time, one.end_time) for one in times if one.end_time > now}
        assert import_(known, *times, now=now).freezes == ()


def _open(freeze: Freeze, now: datetime) -> bool:
    return state_of(freeze, now) is not FreezeState.OVER


BY_THE_CLOCK = Freeze("f-9", "the controller's clock jumped 2 h ahead", CLOCK, NOW - 2 * HOUR)
BY_OTTO = Freeze("f-8", "year end", "otto", NOW - 3 * HOUR)


def ended(freezes: list[Freeze], freeze_id: str = "", *, confirm_time: bool = False) -> list[str]:
    return [one.id for one in to_end(freezes, freeze_id, NOW, confirm_time=confirm_time)]


def test_the_clock_holds_until_its_freeze_is_over():
    assert held_by_clock([BY_OTTO, BY_THE_CLOCK]) == BY_THE_CLOCK
    assert held_by_clock([BY_OTTO, end(BY_THE_CLOCK, NOW, CLOCK)]) is None


def test_what_people_freeze_while_the_clock_is_wrong_begins_before_any_time_it_may_return_to():
    assert moment([BY_OTTO], NOW) == NOW
    assert moment([BY_OTTO, BY_THE_CLOCK], NOW) == NOW - 2 * HOUR
    assert moment([BY_THE_CLOCK], NOW - 4 * HOUR) == NOW - 4 * HOUR


def test_who_ends_every_freeze_ends_what_is_in_force_and_not_the_clock_s():
    assert ended([BY_OTTO, COMING, OVER]) == ["f-8"]
    assert ended([BY_OTTO, BY_THE_CLOCK]) == ["f-8"]
    assert ended([]) == []


def test_a_freeze_is_ended_by_its_id_while_it_is_not_over():
    assert ended([BY_OTTO, COMING], "f-1") == ["f-1"]
    for missing in ("f-3", "f-77"):
        with pytest.raises(NotFoundError, match=missing):
            ended([BY_OTTO, OVER], missing)


def test_the_clock_s_own_freeze_ends_where_its_time_is_confirmed_and_nowhere_else():
    assert ended([BY_OTTO, BY_THE_CLOCK], confirm_time=True) == ["f-9"]
    assert ended([BY_THE_CLOCK], "f-9", confirm_time=True) == ["f-9"]
    assert ended([BY_OTTO], confirm_time=True) == []
    for named in ("", "f-9"):
        with pytest.raises(TransitionNotAllowedError, match="the controller's own freeze"):
            ended([BY_THE_CLOCK], named)
