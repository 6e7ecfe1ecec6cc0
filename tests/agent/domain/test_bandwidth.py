"""How fast a computer may download, by its own clock."""

from datetime import datetime

import pytest

from sopwith_agent.domain.bandwidth import Pace, RateRule, rate_at

OFFICE = RateRule(50_000, 8 * 60, 18 * 60, ("mon", "tue", "wed", "thu", "fri"))
NIGHT = RateRule(1_000_000, 22 * 60, 6 * 60, ("fri",))
MONDAY, SATURDAY = 30, 28


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute)  # noqa: DTZ001  the computer's own wall clock


@pytest.mark.parametrize(
    ("local", "rate"),
    [
        (at(MONDAY, 7, 59), None),
        (at(MONDAY, 8), 50_000),
        (at(MONDAY, 17, 59), 50_000),
        (at(MONDAY, 18), None),
        (at(SATURDAY, 12), None),
        (at(27, 22), 1_000_000),
        (at(SATURDAY, 5, 59), 1_000_000),
        (at(SATURDAY, 6), None),
        (at(SATURDAY, 22), None),
    ],
)
def test_rate_of_the_hour_is_the_one_that_is_in_force(local: datetime, rate: int | None) -> None:
    assert rate_at((OFFICE, NIGHT), local) == rate


def test_slowest_of_several_rules_counts() -> None:
    assert rate_at((RateRule(10_000), OFFICE), at(MONDAY, 12)) == 10_000


def test_rule_without_hours_holds_all_day() -> None:
    assert RateRule(10_000).covers(at(MONDAY, 0))
    assert RateRule(10_000).covers(at(MONDAY, 23, 59))


def test_pace_keeps_the_rate_over_many_pieces() -> None:
    pace, now = Pace(), 100.0
    for _ in range(10):
        now += pace.pause_seconds(5_000, 10_000, now)

    assert now == pytest.approx(105.0)


def test_time_in_which_nothing_moved_is_not_saved_up() -> None:
    pace = Pace()
    pace.pause_seconds(10_000, 10_000, 0.0)

    assert pace.pause_seconds(10_000, 10_000, 3600.0) == pytest.approx(1.0)


def test_no_rate_means_no_pause_and_owes_nothing_later() -> None:
    pace = Pace()
    pace.pause_seconds(10**9, 10_000, 0.0)

    assert pace.pause_seconds(10**9, None, 1.0) == 0
    assert pace.pause_seconds(1_000, 10_000, 1.0) == pytest.approx(0.1)
