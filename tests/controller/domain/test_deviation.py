"""Deviations: who may grant what, until when, and for which plan."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sopwith_controller.domain import deviation as rules
from sopwith_controller.domain.deviation import Deviation, DeviationCommand, DeviationState
from sopwith_controller.domain.errors import InvalidInputError, RefusedError, TransitionNotAllowedError
from tests.controller.domain.builders import HOUR, NOW

DAY = timedelta(days=1)
PLAN = "ab" * 32
OPEN = Deviation(
    id="d-1",
    gate="window",
    state=DeviationState.OPEN,
    reason="the vendor is on site",
    measure="two people watch the canary",
    requester="otto",
    sop_id="SU-SOP-001",
    created_time=NOW,
    expires_time=NOW + 7 * DAY,
    rollout_id="r-1",
    plan_sha256=PLAN,
)
APPROVED = replace(OPEN, state=DeviationState.APPROVED, approver="mia", approved_time=NOW)
SOP_WIDE = replace(APPROVED, id="d-2", rollout_id="", plan_sha256="")


@pytest.mark.parametrize("state", list(DeviationState))
@pytest.mark.parametrize("command", list(DeviationCommand))
def test_command_that_the_table_does_not_list_is_refused(state: DeviationState, command: DeviationCommand):
    deviation = replace(OPEN, state=state)

    if (state, command) in rules.TRANSITIONS:
        assert rules.next_state(deviation, command) is rules.TRANSITIONS[state, command]
    else:
        with pytest.raises(TransitionNotAllowedError, match=state):
            rules.next_state(deviation, command)


@pytest.mark.parametrize("gate", sorted(rules.DEVIABLE))
def test_gates_with_a_deviation_are_listed(gate: str):
    rules.check_gate(gate)


@pytest.mark.parametrize("gate", sorted(rules.INTEGRITY))
def test_integrity_gates_are_never_deviable(gate: str):
    with pytest.raises(InvalidInputError, match="integrity gate"):
        rules.check_gate(gate)


@pytest.mark.parametrize(
    "gate", ["approval_fresh", "operator_role", "sop_effective", "error_threshold", "no_such_gate"]
)
def test_no_deviation_is_granted_from_other_gates(gate: str):
    with pytest.raises(InvalidInputError, match="no deviation is granted"):
        rules.check_gate(gate)


def test_deviation_lasts_seven_days_unless_something_else_is_asked_for():
    assert rules.expiry(None, NOW) == NOW + 7 * DAY
    assert rules.expiry(NOW + HOUR, NOW) == NOW + HOUR
    assert rules.expiry(NOW + 30 * DAY + rules.CLOCKS_APART, NOW) == NOW + 30 * DAY


@pytest.mark.parametrize(("until", "words"), [(NOW, "expired already"), (NOW + 31 * DAY, "30d at most")])
def test_deviation_always_expires_within_thirty_days(until, words: str):
    with pytest.raises(InvalidInputError, match=words):
        rules.expiry(until, NOW)


@pytest.mark.parametrize(("text", "words"), [("  ", "is needed"), ("x" * 2001, "at most 2000")])
def test_reason_and_measure_have_to_be_said(text: str, words: str):
    with pytest.raises(InvalidInputError, match=words):
        rules.said(text, "a reason", "--reason")


def test_what_is_said_is_kept_on_one_line():
    assert rules.said(" the\n vendor  ", "a reason", "--reason") == "the vendor"


def test_somebody_else_who_may_approve_approves():
    after = rules.approve(OPEN, person="mia", roles=["it_manager"], plan_sha256=PLAN, now=NOW)

    assert (after.state, after.approver, after.approved_time) == (DeviationState.APPROVED, "mia", NOW)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"person": "otto", "roles": ["owner"]}, "cannot approve it"),
        ({"roles": ["operator"]}, "is neither"),
        ({"plan_sha256": "0" * 64}, "changed since"),
        ({"plan_sha256": ""}, "changed since"),
        ({"now": NOW + 7 * DAY}, "expired at"),
    ],
)
def test_approval_of_a_deviation_that_does_not_count_is_refused(changes: dict[str, Any], words: str):
    asked: dict[str, Any] = {"person": "mia", "roles": ["it_manager"], "plan_sha256": PLAN, "now": NOW, **changes}

    with pytest.raises((RefusedError, TransitionNotAllowedError), match=words):
        rules.approve(OPEN, **asked)


@pytest.mark.parametrize(("person", "roles"), [("otto", ["operator"]), ("mia", ["it_manager"])])
def test_who_asked_for_it_and_who_may_approve_may_close_it(person: str, roles: list[str]):
    after = rules.close(APPROVED, person=person, roles=roles, reason="not needed", now=NOW)

    assert (after.state, after.closed_by, after.closing_reason) == (DeviationState.CLOSED, person, "not needed")


def test_somebody_else_may_not_close_it():
    with pytest.raises(RefusedError, match="neither asked"):
        rules.close(APPROVED, person="olaf", roles=["operator"], reason="no", now=NOW)


def test_deviation_expires_by_the_clock_alone():
    assert rules.expire(APPROVED, NOW) is None
    assert not rules.in_force(APPROVED, NOW + 7 * DAY)

    expired = rules.expire(APPROVED, NOW + 8 * DAY)

    assert expired is not None
    assert (expired.state, expired.closed_time) == (DeviationState.EXPIRED, APPROVED.expires_time)
    assert rules.expire(expired, NOW + 9 * DAY) is None


def covering(*deviations: Deviation, plan: str = PLAN, rollout: str = "r-1", matches: bool = True, at=NOW):
    found = rules.covering(
        deviations,
        sop_id="SU-SOP-001",
        rollout_id=rollout,
        plan_sha256=plan,
        matches_all=lambda _selector: matches,
        now=at,
    )
    return {gate: one.id for gate, one in found.items()}


def test_deviation_of_a_rollout_covers_the_plan_that_it_was_given_to():
    assert covering(APPROVED) == {"window": "d-1"}
    assert covering(APPROVED, plan="0" * 64) == {}
    assert covering(APPROVED, rollout="r-2") == {}


@pytest.mark.parametrize(
    "deviation",
    [
        OPEN,
        replace(APPROVED, state=DeviationState.CLOSED),
        replace(APPROVED, expires_time=NOW),
        replace(APPROVED, sop_id="OTHER"),
    ],
)
def test_deviation_that_is_not_in_force_covers_nothing(deviation: Deviation):
    assert covering(deviation) == {}


def test_deviation_of_the_sop_covers_rollouts_whose_computers_all_match():
    berlin = replace(SOP_WIDE, selector="site=berlin")

    assert covering(SOP_WIDE, matches=False) == {"window": "d-2"}
    assert covering(berlin) == {"window": "d-2"}
    assert covering(berlin, matches=False) == {}


def test_of_several_the_one_that_lasts_longest_covers():
    longer = replace(SOP_WIDE, id="d-3", expires_time=NOW + 9 * DAY)

    assert covering(longer, APPROVED) == covering(APPROVED, longer) == {"window": "d-3"}


def test_deviation_of_an_earlier_plan_is_named_and_does_not_count():
    assert set(rules.missed([APPROVED, SOP_WIDE], "r-1", "0" * 64, NOW)) == {"window"}
    assert rules.missed([APPROVED], "r-1", PLAN, NOW) == {}
    assert rules.missed([APPROVED], "", "", NOW) == {}
    assert rules.missed([OPEN], "r-1", "0" * 64, NOW) == {}
