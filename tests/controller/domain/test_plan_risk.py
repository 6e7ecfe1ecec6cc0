"""How much a plan dares, and which approvals it waits for."""

from dataclasses import replace

import pytest

from sopwith_controller.domain.plan_risk import approvals_missing, assess
from sopwith_formats.sop_policy import ChangeClass, Window
from tests.controller.domain.builders import a_plan, a_policy

NIGHT = Window(rrule="FREQ=DAILY", start="22:00", duration_seconds=6 * 3600, time_zone="UTC")


def test_canary_with_window_and_health_checks_dares_little():
    plan = a_plan(1, 9, 90, window=NIGHT)

    risk = assess(plan, has_health_checks=True)

    assert risk.level == "low"
    assert risk.reasons == ("a bad release reaches at most 1 computer before the first gate",)


@pytest.mark.parametrize(
    ("plan", "has_health_checks", "level", "reason"),
    [
        (a_plan(1, 99, window=NIGHT), False, "moderate", "the release has no health checks"),
        (a_plan(1, 99), True, "moderate", "no window keeps it out of working hours"),
        (a_plan(20, 80, window=NIGHT), True, "moderate", "the first wave is 20 of 100 computers"),
        (a_plan(100, window=NIGHT), True, "high", "there is one wave only"),
        (a_plan(1, 99, emergency=True), True, "high", "emergency: window and prior approval are skipped"),
    ],
)
def test_what_is_dared_is_said_with_its_reason(plan, has_health_checks, level, reason):
    risk = assess(plan, has_health_checks=has_health_checks)

    assert risk.level == level
    assert risk.reasons[0].startswith(reason)
    assert len(risk.reasons) == 2


def test_small_first_wave_of_a_few_is_no_reason_and_one_computer_needs_no_canary():
    assert assess(a_plan(10, 90, window=NIGHT), has_health_checks=True).level == "low"
    assert assess(a_plan(1, window=NIGHT), has_health_checks=True).level == "low"


def test_plan_for_nobody_reaches_nobody():
    plan = replace(a_plan(1, window=NIGHT), members=(), waves=())

    assert "at most 0 computers before" in assess(plan, has_health_checks=True).reasons[0]


def test_concurrency_bounds_how_many_are_reached_at_once():
    plan = a_plan(50, 950, window=NIGHT, max_concurrency=10)

    assert "at most 50 computers before the first gate, 10 at once" in assess(plan, has_health_checks=True).reasons[-1]


def test_standard_change_waits_for_nobody_and_a_normal_one_says_for_whom():
    policy = a_policy()

    assert approvals_missing(policy, "standard", "standard", 0) == ()
    assert approvals_missing(policy, "normal", "standard", 0) == (
        "1 approval by owner or it_manager, who did not ask for it (a normal change)",
    )
    assert approvals_missing(policy, "normal", "standard", 1) == ()


def test_two_approvers_where_the_requester_may_be_one():
    rule = ChangeClass("before", approvers_count=2, not_requester=False)
    policy = a_policy(change_classes={"normal": rule})

    assert approvals_missing(policy, "normal", "standard", 0) == (
        "2 approvals by owner or it_manager (a normal change)",
    )
