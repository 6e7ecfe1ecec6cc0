"""Whom a retry takes, in which wave, and what it leaves of the rollout."""

from dataclasses import replace

import pytest

from sopwith_controller.domain import retry
from sopwith_controller.domain import rollout as lifecycle
from sopwith_controller.domain.errors import NotFoundError, RefusedError, TransitionNotAllowedError
from sopwith_controller.domain.plan_inputs import Exclusion
from sopwith_controller.domain.rollout_entities import Assignment, RolloutState, WaveProgress
from sopwith_formats.vocabulary import AssignmentState, Outcome
from tests.controller.domain.builders import HOUR, NOW, a_plan, a_rollout

PLAN = a_plan(1, 4)
DONE = WaveProgress(NOW, NOW, NOW)
OPEN = WaveProgress(NOW, NOW)
ROLLOUT = replace(a_rollout(PLAN, state=RolloutState.COMPLETED), waves=(DONE, OPEN, WaveProgress()), ended_time=NOW)


def ended(number: int, outcome: Outcome, wave: int = 1) -> Assignment:
    state = AssignmentState.ENDED
    return Assignment(f"a-{number}", "r-1", f"c-{number}", f"pc{number}", number, wave, state=state, outcome=outcome)


def test_a_retry_takes_whoever_ended_otherwise_than_well():
    everybody = [ended(number, outcome) for number, outcome in enumerate(Outcome)]

    choice = retry.choose(ROLLOUT, everybody, {}, ())

    assert [one.outcome for one in choice.chosen] == [one for one in Outcome if one is not Outcome.SUCCEEDED]
    assert choice.exclusions == ()


def test_who_cannot_be_updated_is_left_out_with_the_reason():
    why = Exclusion("pc1", "is RETIRED", "")

    choice = retry.choose(
        ROLLOUT, [ended(0, Outcome.FAILED), ended(1, Outcome.FAILED), ended(2, Outcome.SUCCEEDED)], {"c-1": why}, ()
    )

    assert [one.computer for one in choice.chosen] == ["pc0"]
    assert choice.exclusions == (why,)


def test_who_was_named_and_rolled_back_waits_for_a_second_person():
    why = Exclusion("pc1", "rolled hello@2 back", "sopwith release permit hello@2 --computer pc1")

    with pytest.raises(RefusedError, match="rolled hello@2 back") as caught:
        retry.choose(ROLLOUT, [ended(1, Outcome.ROLLED_BACK)], {"c-1": why}, ("pc1",))

    assert (caught.value.refusal.gate, caught.value.refusal.remedy) == ("second_person", why.remedy)


def test_who_was_named_and_succeeded_is_refused():
    with pytest.raises(TransitionNotAllowedError, match="pc1 succeeded already"):
        retry.choose(ROLLOUT, [ended(1, Outcome.SUCCEEDED)], {}, ("pc1",))


def test_who_has_not_ended_is_refused():
    running = replace(ended(1, Outcome.FAILED), state=AssignmentState.STAGED, outcome="")

    with pytest.raises(TransitionNotAllowedError, match="pc1 has not ended yet"):
        retry.choose(ROLLOUT, [running], {}, ("pc1",))


def test_only_the_named_ones_are_taken():
    both = [ended(1, Outcome.FAILED), ended(2, Outcome.FAILED)]

    assert [one.computer for one in retry.choose(ROLLOUT, both, {}, ("pc2",)).chosen] == ["pc2"]


def test_a_stranger_is_no_computer_of_the_rollout():
    with pytest.raises(NotFoundError, match="pc9 is no computer of hello-2"):
        retry.choose(ROLLOUT, [ended(1, Outcome.FAILED)], {}, ("pc9",))


def test_a_retry_of_nobody_says_who_was_left_out():
    why = Exclusion("pc1", "is benched", "sopwith computer accept pc1")

    with pytest.raises(TransitionNotAllowedError, match=r"nobody in hello-2 .*; pc1 is benched") as caught:
        retry.choose(ROLLOUT, [ended(1, Outcome.FAILED)], {"c-1": why}, ())
    with pytest.raises(TransitionNotAllowedError, match=r"try again$"):
        retry.choose(ROLLOUT, [ended(1, Outcome.SUCCEEDED)], {}, ())

    assert caught.value.remedy == why.remedy


def test_a_member_goes_back_into_a_wave_that_has_not_passed_and_else_into_the_tail():
    assert retry.wave_of(ROLLOUT, PLAN, ended(1, Outcome.FAILED, wave=0)) == PLAN.tail
    assert retry.wave_of(ROLLOUT, PLAN, ended(1, Outcome.FAILED, wave=1)) == 1


def test_the_next_try_is_an_assignment_of_its_own():
    before = replace(ended(1, Outcome.FAILED), attempts=3, symptom="DISK_FULL")

    after = retry.again(before, identifier="a-new", generation=2, wave=2, version_before="1")

    assert retry.replaced(before) == replace(before, replaced=True)
    assert after == Assignment("a-new", "r-1", "c-1", "pc1", 1, 2, version_before="1", generation=2)


def test_a_completed_rollout_runs_again_with_a_deadline_of_the_same_length():
    again = lifecycle.retry(
        ROLLOUT, person="otto", reason="disk  cleaned", now=NOW + HOUR, deadline_seconds=3600, waves=frozenset({1})
    )

    assert (again.state, again.generation, again.operator) == (RolloutState.RUNNING, 2, "otto")
    assert (again.deadline_time, again.counted_from, again.ended_time) == (NOW + 2 * HOUR, NOW + HOUR, None)
    assert again.waves == (DONE, replace(OPEN, ended_time=None), WaveProgress())
    assert again.state_reason == "retried by otto: disk cleaned"


@pytest.mark.parametrize("state", [RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.SUSPENDED])
def test_a_rollout_that_has_not_ended_stays_as_it_is_and_counts_what_it_counted(state: RolloutState):
    before = replace(ROLLOUT, state=state, state_reason="because", ended_time=None)

    again = lifecycle.retry(
        before, person="otto", reason="cleaned", now=NOW + HOUR, deadline_seconds=3600, waves=frozenset({1})
    )

    assert (again.state, again.generation, again.deadline_time) == (state, 2, before.deadline_time)
    assert again.counted_from == before.counted_from
    assert again.state_reason == ("retried by otto: cleaned" if state is RolloutState.RUNNING else "because")
