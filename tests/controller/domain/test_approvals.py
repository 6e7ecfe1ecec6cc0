"""Who must approve what, and whose approval counts."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain import approvals
from sopwith_controller.domain import rollout as lifecycle
from sopwith_controller.domain.errors import RefusedError
from sopwith_controller.domain.rollout_entities import Approval, RolloutState
from sopwith_formats.sop_policy import ChangeClass
from tests.controller.domain.builders import NOW, a_manifest, a_plan, a_policy, a_rollout, a_spec

ROLLOUT = a_rollout(a_plan(1), state=RolloutState.IN_REVIEW, change_class="normal")
POLICY = a_policy()


def approval(person: str, plan_sha256: str = ROLLOUT.plan_sha256) -> Approval:
    return Approval(person, plan_sha256, NOW)


@pytest.mark.parametrize(
    ("by_sop", "release_class", "profile", "emergency", "expected"),
    [
        ("sop", "standard", "standard", False, "standard"),
        ("sop", "standard", "evaluation", False, "standard"),
        ("sop", "standard", "regulated", False, "normal"),
        ("sop", "normal", "standard", False, "normal"),
        ("sop", "normal", "evaluation", False, "normal"),
        ("sop", "normal", "regulated", False, "normal"),
        ("sop", "emergency", "standard", False, "normal"),
        ("sop", "emergency", "regulated", False, "normal"),
        ("before", "standard", "standard", False, "normal"),
        ("before", "standard", "evaluation", False, "normal"),
        ("before", "normal", "regulated", False, "normal"),
        ("sop", "standard", "regulated", True, "emergency"),
        ("sop", "normal", "standard", True, "emergency"),
        ("before", "standard", "standard", True, "emergency"),
    ],
)
def test_strictest_class_counts_and_only_a_rollout_opens_the_emergency_door(
    by_sop: str, release_class: str, profile: str, emergency: bool, expected: str
):
    policy = a_policy(change_classes={"standard": ChangeClass(by_sop)})
    manifest = a_manifest(change_class=release_class)

    found = approvals.change_class_of(a_spec(emergency=emergency), manifest, policy, profile)

    assert found == expected


@pytest.mark.parametrize(
    ("change_class", "profile", "needed"),
    [("standard", "standard", 0), ("normal", "standard", 1), ("normal", "regulated", 1), ("emergency", "regulated", 0)],
)
def test_each_class_asks_for_its_approvers(change_class: str, profile: str, needed: int):
    assert approvals.approvers_needed(POLICY, change_class, profile) == needed


def test_regulated_profile_wants_an_approver_whatever_the_sop_says():
    policy = a_policy(change_classes={"normal": ChangeClass("sop")})

    assert approvals.approvers_needed(policy, "normal", "standard") == 0
    assert approvals.approvers_needed(policy, "normal", "regulated") == 1


def test_sop_without_the_class_follows_the_shipped_one():
    assert approvals.rule_of(a_policy(change_classes={}), "normal").approver_roles == ("owner", "it_manager")


def test_it_manager_may_approve():
    approvals.check_approver(ROLLOUT, POLICY, person="mia", roles=["it_manager"], plan_sha256=ROLLOUT.plan_sha256)


@pytest.mark.parametrize(
    ("person", "roles", "digest", "gate", "words"),
    [
        ("mia", ["it_manager"], "0" * 64, "approval_fresh", "changed"),
        ("otto", ["owner"], ROLLOUT.plan_sha256, "operator_role", "cannot approve it"),
        ("olaf", ["operator"], ROLLOUT.plan_sha256, "operator_role", "neither"),
    ],
)
def test_approval_that_does_not_count_is_refused_with_a_mend(person, roles, digest, gate, words):
    with pytest.raises(RefusedError, match=words) as caught:
        approvals.check_approver(ROLLOUT, POLICY, person=person, roles=roles, plan_sha256=digest)

    assert caught.value.refusal.gate == gate
    assert "rollout" in caught.value.refusal.remedy


def test_class_may_let_the_requester_approve():
    policy = a_policy(change_classes={"normal": ChangeClass("before", 1, (), not_requester=False)})

    approvals.check_approver(ROLLOUT, policy, person="otto", roles=["owner"], plan_sha256=ROLLOUT.plan_sha256)


def test_approvals_of_another_plan_are_stale():
    rollout = replace(ROLLOUT, approvals=(approval("mia", "0" * 64), approval("olga")))

    assert [a.person for a in approvals.valid_approvals(rollout)] == ["olga"]


def test_one_person_counts_once():
    policy = a_policy(change_classes={"normal": ChangeClass("before", 2, ("owner",))})
    rollout = replace(ROLLOUT, approvals=(approval("olga"),))

    assert not approvals.is_enough(rollout, policy, "standard", [approval("olga")])
    assert approvals.is_enough(rollout, policy, "standard", [approval("mia")])


@pytest.mark.gate("blocks", "approval_fresh")
def test_start_without_fresh_approvals_is_refused():
    with pytest.raises(RefusedError, match="0 of 1 approvals"):
        approvals.check_fresh(ROLLOUT, POLICY, "standard")

    approvals.check_fresh(replace(ROLLOUT, approvals=(approval("mia"),)), POLICY, "standard")


ROSTER = {"mia": ("it_manager",), "olga": ("owner",), "otto": ("owner",), "vera": ("viewer",)}


@pytest.mark.parametrize(
    ("given", "age", "counted"),
    [
        (approval("mia"), timedelta(0), ["mia"]),
        (approval("mia"), approvals.APPROVAL_LIFE, []),
        (approval("mia", "0" * 64), timedelta(0), []),
        (approval("vera"), timedelta(0), []),
        (approval("gone"), timedelta(0), []),
        (approval("otto"), timedelta(0), []),
    ],
)
def test_approval_counts_for_a_start_while_it_is_young_and_its_giver_may_approve(given, age, counted):
    rollout = replace(ROLLOUT, approvals=(given,))

    assert [a.person for a in approvals.standing(rollout, POLICY, ROSTER, NOW + age)] == counted


def test_class_that_lets_the_requester_approve_counts_their_approval():
    policy = a_policy(change_classes={"normal": ChangeClass("before", 1, (), not_requester=False)})
    rollout = replace(ROLLOUT, approvals=(approval("otto"),))

    assert [a.person for a in approvals.standing(rollout, policy, ROSTER, NOW)] == ["otto"]


@pytest.mark.gate("blocks", "sop_step_order")
@pytest.mark.parametrize(
    ("state", "gate"), [(RolloutState.DRAFT, "sop_step_order"), (RolloutState.IN_REVIEW, "approval_fresh")]
)
def test_nothing_starts_before_its_preparation_and_approval(state: RolloutState, gate: str):
    with pytest.raises(RefusedError) as caught:
        approvals.check_prepared(replace(ROLLOUT, state=state))

    assert caught.value.refusal.gate == gate
    assert ROLLOUT.id in caught.value.refusal.remedy


@pytest.mark.parametrize("state", [RolloutState.APPROVED, RolloutState.RUNNING, RolloutState.COMPLETED])
def test_what_was_approved_is_the_state_machines_affair(state: RolloutState):
    approvals.check_prepared(replace(ROLLOUT, state=state))


def test_signed_approval_of_this_plan_by_this_person_of_today_is_taken():
    approvals.check_envelope(ROLLOUT, (ROLLOUT.id, ROLLOUT.plan_sha256, "boss"), "boss", NOW, NOW)


@pytest.mark.parametrize(
    ("rollout", "plan", "person", "age", "words"),
    [
        ("r-other", ROLLOUT.plan_sha256, "boss", 0, "for another rollout"),
        (ROLLOUT.id, "e" * 64, "boss", 0, "for another plan"),
        (ROLLOUT.id, ROLLOUT.plan_sha256, "eve", 0, "by eve"),
        (ROLLOUT.id, ROLLOUT.plan_sha256, "boss", 14, "14 days ago"),
    ],
)
def test_signed_approval_of_anything_else_is_refused(rollout: str, plan: str, person: str, age: int, words: str):
    with pytest.raises(RefusedError, match=words) as caught:
        approvals.check_envelope(ROLLOUT, (rollout, plan, person), "boss", NOW - timedelta(days=age), NOW)

    assert caught.value.refusal.gate == "approval_fresh"


@pytest.mark.parametrize("state", [RolloutState.PAUSED, RolloutState.SUSPENDED])
def test_approval_of_what_stands_still_changes_neither_state_nor_reason(state: RolloutState):
    held = replace(ROLLOUT, state=state, state_reason="paused by otto: complaints")

    after = lifecycle.approve(held, approval("mia"), enough=True)

    assert (after.state, after.state_reason) == (state, held.state_reason)
    assert [one.person for one in after.approvals] == ["mia"]
