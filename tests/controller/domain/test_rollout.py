"""The rollout's table and what each command leaves behind."""

import itertools
from datetime import timedelta

import pytest

from sopwith_controller.domain import rollout as lifecycle
from sopwith_controller.domain.errors import InvalidInputError, TransitionNotAllowedError
from sopwith_controller.domain.rollout import TRANSITIONS, RolloutCommand, next_state
from sopwith_controller.domain.rollout_entities import Approval, Rollout, RolloutState
from tests.controller.domain.builders import HOUR, NOW, a_plan, a_rollout

PLAN = a_plan(1, 4)


def in_state(state: RolloutState) -> Rollout:
    return a_rollout(PLAN, state=state)


@pytest.mark.parametrize(("state", "command"), list(itertools.product(RolloutState, RolloutCommand)))
def test_whatever_the_table_does_not_list_is_refused_with_a_mend(state: RolloutState, command: RolloutCommand):
    rollout = in_state(state)

    if (state, command) in TRANSITIONS:
        assert next_state(rollout, command) is TRANSITIONS[state, command]
        return
    with pytest.raises(TransitionNotAllowedError, match=f"hello-2 is {state}") as caught:
        next_state(rollout, command)
    assert "sopwith" in caught.value.remedy


def test_refusal_names_what_is_allowed_instead():
    with pytest.raises(TransitionNotAllowedError, match=r"cannot be asked to start; it allows abort, submit"):
        next_state(in_state(RolloutState.DRAFT), RolloutCommand.START)


def test_submit_of_a_covered_class_is_approved_at_once():
    submitted = lifecycle.submit(
        in_state(RolloutState.DRAFT), plan_json="{}", plan_sha256="f" * 64, needs_approval=False
    )

    assert submitted.state is RolloutState.APPROVED
    assert submitted.plan_sha256 == "f" * 64


def test_submit_voids_approvals_of_an_earlier_plan():
    rollout = a_rollout(PLAN, approvals=(Approval("mia", "0" * 64, NOW),))

    submitted = lifecycle.submit(rollout, plan_json="{}", plan_sha256="f" * 64, needs_approval=True)

    assert submitted.state is RolloutState.IN_REVIEW
    assert submitted.approvals == ()


def test_rollout_is_approved_when_there_are_enough_approvals():
    rollout = in_state(RolloutState.IN_REVIEW)

    first = lifecycle.approve(rollout, Approval("mia", rollout.plan_sha256, NOW), enough=False)
    second = lifecycle.approve(first, Approval("olga", rollout.plan_sha256, NOW), enough=True)

    assert first.state is RolloutState.IN_REVIEW
    assert "another approval" in first.state_reason
    assert second.state is RolloutState.APPROVED
    assert [approval.person for approval in second.approvals] == ["mia", "olga"]


def test_rejection_sends_it_back_with_the_reason():
    rejected = lifecycle.reject(in_state(RolloutState.IN_REVIEW), person="mia", reason="not on a  Friday")

    assert rejected.state is RolloutState.DRAFT
    assert rejected.state_reason == "rejected by mia: not on a Friday"


def test_start_sets_the_deadline_and_leaves_a_place_for_the_tail():
    started = lifecycle.start(
        in_state(RolloutState.APPROVED), operator="otto", reason="monthly", now=NOW, deadline_seconds=3600, waves=2
    )

    assert started.deadline_time == NOW + HOUR
    assert len(started.waves) == 3


@pytest.mark.parametrize("reason", ["", "   "])
def test_pause_needs_a_reason(reason: str):
    with pytest.raises(InvalidInputError, match="reason"):
        lifecycle.pause(in_state(RolloutState.RUNNING), person="otto", reason=reason)


def test_pause_and_resume_keep_who_and_why():
    paused = lifecycle.pause(in_state(RolloutState.RUNNING), person="otto", reason="lunch")
    resumed = lifecycle.resume(paused, person="olga", reason="fed", now=NOW, incident_acknowledged=False)

    assert paused.state_reason == "paused by otto: lunch"
    assert resumed.state is RolloutState.RUNNING
    assert resumed.counted_from == NOW


def test_suspended_rollout_is_not_resumed_before_its_incident_is_acknowledged():
    suspended = lifecycle.suspend(in_state(RolloutState.RUNNING), reason="too many errors")

    with pytest.raises(TransitionNotAllowedError, match="not acknowledged") as caught:
        lifecycle.resume(suspended, person="otto", reason="go", now=NOW, incident_acknowledged=False)

    assert "incident acknowledge" in caught.value.remedy
    resumed = lifecycle.resume(suspended, person="otto", reason="go", now=NOW, incident_acknowledged=True)
    assert resumed.state is RolloutState.RUNNING


def test_abort_ends_when_nothing_runs_any_more():
    aborting = lifecycle.abort(in_state(RolloutState.PAUSED), person="otto", reason="wrong release")
    aborted = lifecycle.finish_abort(aborting, now=NOW)

    assert aborting.state is RolloutState.ABORTING
    assert aborted.state is RolloutState.ABORTED
    assert aborted.ended_time == NOW


def test_wave_times_are_written_down_one_by_one():
    started = lifecycle.start(
        in_state(RolloutState.APPROVED), operator="otto", reason="x", now=NOW, deadline_seconds=3600, waves=1
    )

    opened = lifecycle.open_wave(started, 0, now=NOW)
    ended = lifecycle.end_wave(opened, 0, now=NOW + HOUR)
    passed = lifecycle.pass_wave(ended, 0, now=NOW + 2 * HOUR)

    wave = passed.waves[0]
    assert (wave.opened_time, wave.ended_time, wave.passed_time) == (NOW, NOW + HOUR, NOW + timedelta(hours=2))


def test_completed_rollout_says_why_and_when():
    completed = lifecycle.complete(in_state(RolloutState.RUNNING), now=NOW, reason="all ended")

    assert (completed.state, completed.ended_time, completed.state_reason) == (RolloutState.COMPLETED, NOW, "all ended")
    assert lifecycle.with_state_reason(completed, "x").state_reason == "x"
