"""Recurrence rules and time zones: what may be written, and that every fault is named with its mend."""

import time
from datetime import UTC, datetime

import pytest

from sopwith_formats.errors import FormatError
from sopwith_formats.recurrence import check_rule, check_window, starts_of_year
from sopwith_formats.sop_policy import Window
from sopwith_formats.time_zones import database_version, find_zone, first_moment, zone_names


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY",
        "FREQ=DAILY;INTERVAL=3",
        "FREQ=DAILY;BYDAY=MO,TU;BYMONTH=1,7",
        "FREQ=WEEKLY;BYDAY=SA;WKST=SU",
        "FREQ=MONTHLY;BYDAY=+2TU",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "FREQ=MONTHLY;BYMONTHDAY=-1",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
        "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO",
        "FREQ=YEARLY;BYYEARDAY=366",
        "FREQ=YEARLY;INTERVAL=6",
    ],
)
def test_rule_that_comes_is_taken(rule):
    assert check_rule(f"RRULE:{rule}") == rule


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("weekly", "is not KEY=VALUE"),
        ("FREQ=DAILY;FREQ=WEEKLY", "each key once"),
        ("BYDAY=SA", "does not say FREQ"),
        ("FREQ=HOURLY", "does not say FREQ"),
        ("FREQ=DAILY\nRRULE:FREQ=WEEKLY", "does not say FREQ"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY cannot be 'XX'"),
        ("FREQ=WEEKLY;BYDAY=2MO", "BYDAY cannot be"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY cannot be"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL cannot be"),
        ("FREQ=DAILY;INTERVAL=1,2", "INTERVAL cannot be"),
        ("FREQ=MONTHLY;BYMONTH=13", "BYMONTH cannot be"),
        ("FREQ=DAILY;BYWEEKNO=3", "FREQ=DAILY does not know"),
        ("FREQ=DAILY;BYEASTER=0", "does not know"),
        ("FREQ=DAILY;COUNT=3", "a window does not end"),
        ("FREQ=DAILY;UNTIL=20270101", "a window does not end"),
        ("FREQ=DAILY;BYHOUR=3", "uses BYHOUR"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never come"),
        ("FREQ=DAILY;BYMONTH=4;BYMONTHDAY=-31", "never come"),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=TU", "never come"),
        ("FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1", "never come"),
        ("FREQ=YEARLY;INTERVAL=7", "not within any 6 years"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=SA", "not within any 6 years"),
    ],
)
def test_rule_that_makes_no_sense_is_refused_at_once_with_its_mend(rule, words):
    began = time.process_time()

    with pytest.raises(FormatError, match=words) as caught:
        check_rule(rule)

    assert caught.value.remedy
    assert time.process_time() - began < 5


def test_days_of_a_year_are_counted_from_the_anchor():
    fortnights = starts_of_year("FREQ=WEEKLY;INTERVAL=2", "06:30", 2026)

    assert fortnights[0] == datetime(2026, 1, 12, 6, 30)  # noqa: DTZ001  a time on the clock
    assert len(fortnights) == 26
    assert starts_of_year("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "06:30", 2026) == ()


@pytest.mark.parametrize(
    ("window", "key"),
    [
        (Window("FREQ=DAILY", "24:00", 3600), "start"),
        (Window("FREQ=DAILY", "22:00", 0), "duration"),
        (Window("FREQ=DAILY", "22:00", 3600, "UTC", 3600), "cutoff"),
        (Window("FREQ=DAILY", "22:00", 3600, "Moon/Tycho"), "time_zone"),
        (Window("DAILY", "22:00", 3600), "rrule"),
    ],
)
def test_window_names_the_key_that_is_wrong(window, key):
    with pytest.raises(FormatError) as caught:
        check_window(window)

    assert caught.value.where == key


def test_zones_are_those_of_the_locked_package_and_not_of_the_machine(monkeypatch):
    monkeypatch.setenv("PYTHONTZPATH", "/nowhere")

    assert find_zone("localtime") is None
    assert find_zone("../../etc/passwd") is None
    assert all(find_zone(name) for name in zone_names())
    assert database_version()[:4].isdecimal()


def test_a_zone_that_nobody_knows_is_utc():
    assert first_moment(datetime(2026, 1, 1, 12), find_zone("")) == datetime(2026, 1, 1, 12, tzinfo=UTC)  # noqa: DTZ001  a time on the clock
