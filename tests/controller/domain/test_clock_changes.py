"""Windows at every clock change of the tz database from 2026 to 2036: each intended occurrence exactly once.

Zones that go by the same clock are looked at once. Around each change every half hour and the minutes beside the jump
are tried, elsewhere samples; `make clock-changes` tries every day of every clock.
"""

import os
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sopwith_controller.domain import windows
from sopwith_formats.sop_policy import Window
from sopwith_formats.time_zones import find_zone, first_moment, zone_names
from tests.clock_changes import (
    DAY,
    FIRST_YEAR,
    LAST_YEAR,
    SECOND,
    Change,
    Clock,
    clock_of,
    clocks,
    days,
    first_moment_on,
    wall_time,
)

DURATION, CUTOFF = timedelta(hours=1), timedelta(minutes=20)
HALF_HOURS = tuple(f"{hour:02}:{minute:02}" for hour in range(24) for minute in (0, 30))
EVERY_DAY = bool(os.environ.get("SOPWITH_EVERY_DAY"))
"""Set by `make clock-changes`."""


def daily(start: str, zone: str) -> Window:
    seconds, cutoff = int(DURATION.total_seconds()), int(CUTOFF.total_seconds())
    return Window("FREQ=DAILY", start, seconds, zone, cutoff)


def check_days(clock: Clock, zone: str, start: str, looked_at: list[date]) -> None:
    """Walk along the days as the planner does, from opening to opening, and compare with what is intended."""
    window = daily(start, zone)
    intended = [first_moment_on(clock, wall_time(day, start)) for day in looked_at]
    time = intended[0] - SECOND
    for expected in dict.fromkeys(intended):
        opens = windows.next_open(window, time)
        assert opens == expected, (zone, start, time)
        before, at_opening = windows.state_at(window, opens - SECOND), windows.state_at(window, opens)
        assert not before.open
        assert at_opening.last_start == opens + DURATION - CUTOFF
        assert at_opening.closes == opens + DURATION
        time = at_opening.last_start
        assert not windows.is_open(window, time)
        assert windows.is_open(window, time - SECOND)


def near(change: Change) -> tuple[str, ...]:
    """Return times of day worth a look at a change: the jump's own minutes, and half hours around it."""
    minute = timedelta(minutes=1)
    edges = [change.wall_before, change.wall_after]
    around = {edge + shift * minute for edge in edges for shift in (-1, 0, 1)}
    around |= {edge + shift * minute for edge in edges for shift in range(-90, 91, 30)}
    return tuple(sorted({f"{moment:%H:%M}" for moment in around}))


def one_of_each(changes: Iterable[Change]) -> list[Change]:
    """Return one change of each kind: the same jump at the same time in the same month."""
    kinds = {(c.before, c.after, c.wall_before.time(), c.wall_before.month): c for c in changes}
    return list(kinds.values())


def test_every_zone_of_the_database_is_looked_at():
    looked_at = [name for names in clocks().values() for name in names]

    assert sorted(looked_at) == sorted(zone_names())
    assert len(looked_at) > 590


def test_each_intended_occurrence_happens_exactly_once_around_every_change_of_every_clock():
    looked_at = 0
    for clock, (zone, *_) in clocks().items():
        for change in clock.changes if EVERY_DAY else one_of_each(clock.changes):
            day = change.wall_before.date()
            for start in HALF_HOURS if EVERY_DAY else near(change):
                check_days(clock, zone, start, days(day - 2 * DAY, day + 2 * DAY))
            looked_at += 1

    assert looked_at > 60


def test_zones_whose_clocks_do_not_change_open_every_day():
    still = [(clock, names[0]) for clock, names in clocks().items() if not clock.changes]
    for clock, zone in still:
        for start in ("00:00", "23:59"):
            check_days(clock, zone, start, days(date(2032, 2, 27), date(2032, 3, 2)))

    assert len(still) > 30


if EVERY_DAY:  # minutes: `make clock-changes`

    def test_each_intended_occurrence_happens_exactly_once_on_every_day_of_every_clock():
        whole = days(date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 12, 31))
        for clock, (zone, *_) in clocks().items():
            for start in ("00:00", "00:30", "01:30", "02:00", "02:30", "03:00", "12:00", "23:30"):
                check_days(clock, zone, start, whole)


moments = st.integers(0, (LAST_YEAR - FIRST_YEAR + 1) * 360 * 86400).map(
    lambda seconds: datetime(FIRST_YEAR, 1, 5, tzinfo=UTC) + timedelta(seconds=seconds)
)


@given(st.sampled_from(sorted(zone_names())), st.sampled_from(HALF_HOURS), moments)
def test_a_window_is_open_at_a_moment_exactly_when_some_intended_occurrence_holds_it(zone, start, moment):
    opened = [first_moment_on(clock_of(zone), wall_time(moment.date() + n * DAY, start)) for n in range(-3, 4)]
    inside = any(opens <= moment < opens + DURATION - CUTOFF for opens in opened)

    state = windows.state_at(daily(start, zone), moment)

    assert state.open is inside
    assert inside or state.next_open == min(opens for opens in opened if opens > moment)


@given(st.sampled_from(sorted(zone_names())), moments)
def test_a_time_on_a_clock_is_the_first_moment_at_which_the_clock_has_reached_it(name, moment):
    zone = find_zone(name)
    wall = moment.replace(tzinfo=None)

    found = first_moment(wall, zone)

    assert found.astimezone(zone).replace(tzinfo=None) >= wall
    assert (found - SECOND).astimezone(zone).replace(tzinfo=None) < wall


def test_a_day_that_a_zone_skipped_opens_with_the_next_one():
    apia = daily("22:00", "Pacific/Apia")
    before = datetime(2011, 12, 30, 9, 0, tzinfo=UTC)

    assert first_moment(datetime(2011, 12, 30, 22), find_zone("Pacific/Apia")) == datetime(2011, 12, 30, 10, tzinfo=UTC)  # noqa: DTZ001  a time on the clock
    assert not windows.is_open(apia, before)
