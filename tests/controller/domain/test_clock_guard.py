"""Whether the clock can be trusted."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopwith_controller.domain.clock_guard import TOLERANCE, Reading, in_words, jump_between, jump_since_record
from tests.controller.domain.builders import NOW

TRUSTED = Reading(NOW, 1000.0)


def later(seconds: float, jump: timedelta = timedelta(0)) -> Reading:
    return Reading(NOW + timedelta(seconds=seconds) + jump, 1000.0 + seconds)


@given(st.floats(0, 10**7), st.integers(-(10**9), 10**9))
def test_only_what_the_steady_clock_does_not_show_is_a_jump(seconds, jump):
    found = jump_between(TRUSTED, later(seconds, timedelta(seconds=jump)))

    assert (found is None) == (abs(timedelta(seconds=jump)) <= TOLERANCE) or abs(abs(jump) - 300) < 1


@pytest.mark.parametrize(
    ("wall", "words"),
    [
        (NOW.replace(year=2028), "forwards by about 731 days"),
        (NOW.replace(year=2024), "backwards by about 730 days"),
        (datetime(1970, 1, 1, tzinfo=UTC), "backwards by about 20780 days"),
        (NOW + timedelta(hours=1, seconds=1), "forwards by about 1 hour"),
        (NOW - timedelta(minutes=6), "backwards by about 6 minutes"),
    ],
)
def test_a_jump_is_told_in_words(wall, words):
    jump = jump_between(TRUSTED, Reading(wall, 1000.0))

    assert jump is not None
    assert in_words(jump) == words


def test_a_clock_that_returned_agrees_with_the_last_trusted_reading():
    jumped, returned = later(10, timedelta(days=730)), later(3600)

    assert jump_between(TRUSTED, jumped) is not None
    assert jump_between(TRUSTED, returned) is None


def test_after_a_start_only_time_before_the_record_is_a_jump():
    assert jump_since_record(NOW, NOW - timedelta(days=2)) == timedelta(days=-2)
    assert jump_since_record(NOW, NOW - timedelta(minutes=4)) is None
    assert jump_since_record(NOW, NOW + timedelta(days=5)) is None
