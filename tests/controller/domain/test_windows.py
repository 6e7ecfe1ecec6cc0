"""Windows on any clock: recurrence, clock changes, cutoff, what makes no sense."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sopwith_controller.domain import windows
from sopwith_controller.domain.errors import InvalidInputError
from sopwith_formats.recurrence import ANCHOR
from sopwith_formats.sop_policy import Window
from tests.controller.domain.builders import HOUR, MINUTE, NOW

SATURDAY = Window("FREQ=WEEKLY;BYDAY=SA", "22:00", 6 * 3600, "Europe/Berlin", 1800)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_no_window_is_always_open():
    assert windows.state_at(None, NOW) == windows.ALWAYS
    assert windows.ALWAYS.next_change is None
    assert windows.next_open(None, NOW) == NOW


@pytest.mark.parametrize(
    ("now", "is_open"),
    [
        ("2026-11-28T20:59", False),
        ("2026-11-28T21:00", True),
        ("2026-11-29T02:29", True),
        ("2026-11-29T02:30", False),
        ("2026-11-29T12:00", False),
    ],
)
def test_window_is_open_from_its_start_until_the_cutoff(now: str, is_open: bool):
    assert windows.is_open(SATURDAY, utc(now)) is is_open


def test_closed_window_tells_when_it_opens_and_open_one_when_it_closes():
    closed = windows.state_at(SATURDAY, utc("2026-11-27T12:00"))
    opened = windows.state_at(SATURDAY, utc("2026-11-28T22:00"))

    assert closed.next_change == utc("2026-11-28T21:00")
    assert windows.next_open(SATURDAY, utc("2026-11-27T12:00")) == utc("2026-11-28T21:00")
    assert opened.next_change == opened.last_start == utc("2026-11-29T02:30")


def test_local_window_follows_each_computers_own_zone():
    window = Window("FREQ=DAILY", "22:00", 3600)

    assert windows.is_open(window, utc("2026-11-23T21:30"), "Europe/Berlin")
    assert not windows.is_open(window, utc("2026-11-23T21:30"), "America/New_York")
    assert windows.is_open(window, utc("2026-11-23T22:30"), "")
    assert windows.is_open(window, utc("2026-11-23T22:30"), "Moon/Tycho")


def test_start_that_the_clocks_skip_moves_behind_the_gap_and_lasts_as_long():
    window = Window("FREQ=DAILY", "02:30", 3600, "Europe/Berlin")

    state = windows.state_at(window, utc("2027-03-28T01:00"))

    assert not windows.is_open(window, utc("2027-03-28T00:59"))
    assert windows.next_open(window, utc("2027-03-28T00:00")) == utc("2027-03-28T01:00")
    assert state.last_start == utc("2027-03-28T02:00")


def test_start_that_the_clocks_show_twice_happens_once():
    window = Window("FREQ=DAILY", "02:30", 1800, "Europe/Berlin")

    day = utc("2026-10-24T12:00")
    minutes = [day + n * MINUTE for n in range(0, 24 * 60, 5)]
    opened = [time for time in minutes if windows.is_open(window, time)]

    assert opened[0] == utc("2026-10-25T00:30")
    assert len(opened) == 6


def test_window_over_a_clock_change_keeps_its_real_length():
    window = Window("FREQ=WEEKLY;BYDAY=SA", "22:00", 6 * 3600, "Europe/Berlin")

    state = windows.state_at(window, utc("2026-10-24T21:00"))

    assert state.last_start == utc("2026-10-24T20:00") + 6 * HOUR


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_every_day_of_a_year_has_its_one_opening(zone: str):
    window = Window("FREQ=DAILY", "02:15", 3600, zone)
    time = datetime(2027, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    days = []

    for _ in range(365):
        opens = windows.next_open(window, time)
        assert opens is not None
        days.append(opens.astimezone(ZoneInfo(zone)).date())
        time = opens + 2 * HOUR

    assert days == [datetime(2027, 1, 1).date() + timedelta(days=n) for n in range(365)]  # noqa: DTZ001  a calendar day


def test_interval_means_the_same_at_any_time():
    window = Window("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", "00:00", 3600, "UTC")

    first = windows.next_open(window, utc("2026-11-01T00:00"))

    assert first is not None
    assert (first.date() - ANCHOR).days % 14 == 0
    assert windows.next_open(window, first + 2 * HOUR) == first + timedelta(days=14)


def test_rule_that_never_comes_opens_never():
    window = Window("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "00:00", 3600, "UTC")

    state = windows.state_at(window, NOW)

    assert (state.open, state.next_open) == (False, None)
    assert windows.next_open(window, NOW) is None


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (Window("FREQ=DAILY", "22:00", 3600, "Europe/Atlantis"), "no time zone"),
        (Window("FREQ=DAILY", "22:00", 3600, "UTC", 3600), "cutoff"),
        (Window("FREQ=DAILY", "22:00", 400 * 86400, "UTC"), "31 days"),
        (Window("FREQ=DAILY", "22:60", 3600, "UTC"), "no time of day"),
        (Window("FREQ=HOURLY", "22:00", 3600, "UTC"), "does not say FREQ"),
    ],
)
def test_wrong_zone_cutoff_or_length_is_refused(window: Window, words: str):
    with pytest.raises(InvalidInputError, match=words) as caught:
        windows.check_window(window)

    assert caught.value.remedy


def test_window_that_makes_sense_is_returned():
    assert windows.check_window(SATURDAY) is SATURDAY


def test_where_occurrences_overlap_the_one_that_ends_last_counts():
    window = Window("FREQ=DAILY", "22:00", 30 * 3600, "UTC", 3600)

    state = windows.state_at(window, utc("2026-11-23T23:00"))

    assert state.last_start == utc("2026-11-25T03:00")
    assert state.closes == utc("2026-11-25T04:00")
