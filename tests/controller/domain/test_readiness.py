"""Verdicts over what computers measured, their age, and silence."""

from datetime import timedelta

import pytest

from sopwith_controller.domain import presence, readiness
from sopwith_controller.domain.entities import Readiness
from tests.controller.domain.builders import MINUTE, NOW, READY, SECOND, not_ready

PASSED = {"name": "memory", "result": "PASSED", "code": "", "message": "4 GiB", "remedy": ""}
BLOCKED = {
    "name": "disk_free",
    "result": "BLOCKED",
    "code": "DISK_FULL",
    "message": "1 GiB is missing",
    "remedy": "clean",
}


def test_blocking_check_makes_a_computer_not_ready_with_its_reason():
    found = readiness.fold([PASSED, BLOCKED], measured_time=NOW)

    assert found.verdict == "NOT_READY"
    assert [(r.code, r.remedy) for r in found.reasons] == [("DISK_FULL", "clean")]
    assert found.checks == (PASSED, BLOCKED)


def test_computer_without_blocking_checks_is_ready():
    assert readiness.fold([PASSED], measured_time=NOW).verdict == "READY"


def test_excuse_stands_over_the_measurement_and_keeps_it():
    found = readiness.fold([BLOCKED], measured_time=NOW, excused="by olga until Friday")

    assert found.verdict == "EXCUSED"
    assert [r.message for r in found.reasons] == ["excused: by olga until Friday", "1 GiB is missing"]


@pytest.mark.parametrize(("age", "ready"), [(15 * MINUTE, True), (15 * MINUTE + SECOND, False)])
def test_verdict_counts_for_fifteen_minutes(age: timedelta, ready: bool):
    assert readiness.is_ready(READY, NOW + age) is ready
    assert readiness.needs_measuring(READY, NOW + age) is not ready
    assert readiness.stale_time(READY) == NOW + 15 * MINUTE


def test_unmeasured_computer_needs_measuring():
    assert readiness.needs_measuring(Readiness(), NOW)
    assert not readiness.is_ready(Readiness(), NOW)
    assert readiness.stale_time(Readiness()) is None


def test_not_ready_and_excused_are_not_ready():
    assert not readiness.is_ready(not_ready(), NOW)
    assert not readiness.needs_measuring(Readiness("EXCUSED"), NOW)


@pytest.mark.parametrize(("connected", "asleep"), [(True, False), (False, True)])
def test_connected_or_sleeping_computer_is_not_offline(connected: bool, asleep: bool):
    found = presence.offline_time(
        connected=connected, asleep=asleep, last_seen_time=NOW, controller_started_time=NOW, heartbeat=30 * SECOND
    )

    assert found is None


@pytest.mark.parametrize(
    ("last_seen", "started", "expected"),
    [
        (NOW, NOW - MINUTE, NOW + 90 * SECOND),
        (NOW, NOW + MINUTE, NOW + MINUTE + 90 * SECOND),
        (None, NOW, NOW + 90 * SECOND),
    ],
)
def test_nobody_is_offline_for_a_silence_in_which_the_controller_was_away(last_seen, started, expected):
    found = presence.offline_time(
        connected=False, asleep=False, last_seen_time=last_seen, controller_started_time=started, heartbeat=30 * SECOND
    )

    assert found == expected


def test_a_measurement_of_a_time_to_come_counts_for_nothing_once_the_clock_was_set_back():
    steered, set_back = (Readiness("READY", measured_time=NOW + minutes * MINUTE) for minutes in (4, 6))

    assert readiness.is_ready(steered, NOW)
    assert not readiness.is_ready(set_back, NOW)
    assert readiness.needs_measuring(set_back, NOW)


@pytest.mark.parametrize(
    ("before", "said", "news"),
    [
        (READY, Readiness("READY"), False),
        (READY, not_ready(), True),
        (not_ready(), Readiness("NOT_READY", not_ready().reasons), False),
        (not_ready(), not_ready("LOAD_HIGH"), True),
        (Readiness("READY", measured_time=NOW - 16 * MINUTE), Readiness("READY"), True),
        (Readiness(), Readiness("READY"), True),
    ],
)
def test_a_measurement_is_news_where_it_differs_or_the_last_one_had_grown_old(before, said, news):
    assert readiness.says_more(said, before, NOW) is news
