"""The clock and the triggers ask for a review of the SOP; late ones warn, and refuse only where the SOP says so."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain import sop_review
from sopwith_controller.domain.entities import ComputerState
from sopwith_controller.domain.errors import InvalidInputError, TransitionNotAllowedError
from sopwith_controller.domain.practice_entities import ReviewOutcome, ReviewTrigger
from tests.builders import NOON, computer, sop_revision
from tests.controller.domain.builders import a_policy

POLICY = a_policy()
YEAR = timedelta(seconds=POLICY.review.every_seconds)
AHEAD = timedelta(seconds=POLICY.review.warn_before_seconds)
REVISION = sop_revision(effective_time=NOON)


def asked(trigger=ReviewTrigger.NEW_PLATFORM, now=NOON):
    return sop_review.ask("v-1", REVISION, trigger, "linux", policy=POLICY, now=now)


@pytest.mark.clause("7 Continuous improvement", "no-change")
def test_reviewed_without_a_change_starts_the_clock_anew():
    done = sop_review.close(asked(), person="mia", outcome="NO_CHANGE", note="fits", now=NOON + AHEAD)

    assert sop_review.clock_due(REVISION, POLICY, []) == NOON + YEAR
    assert sop_review.clock_due(REVISION, POLICY, [done, asked()]) == NOON + AHEAD + YEAR
    assert sop_review.clock_due(replace(REVISION, effective_time=None), POLICY, []) is None


def test_the_clock_asks_ahead_of_its_time_and_once():
    early = NOON + YEAR - AHEAD - timedelta(seconds=1)

    assert sop_review.clock_review("v-1", REVISION, POLICY, [], early) is None
    found = sop_review.clock_review("v-1", REVISION, POLICY, [], NOON + YEAR - AHEAD)
    assert found is not None
    assert (found.trigger, found.due_time) == (ReviewTrigger.CLOCK, NOON + YEAR)
    assert sop_review.clock_review("v-2", REVISION, POLICY, [found], NOON + YEAR) is None
    draft = replace(REVISION, effective_time=None)
    assert sop_review.clock_review("v-1", draft, POLICY, [], NOON + YEAR) is None


def test_a_review_is_closed_once_with_a_result_and_a_note():
    done = sop_review.close(asked(), person="mia", outcome="REVISE", note=" too  short ", now=NOON)

    assert (done.outcome, done.note, done.closed_by) == (ReviewOutcome.REVISE, "too short", "mia")
    with pytest.raises(TransitionNotAllowedError):
        sop_review.close(done, person="mia", outcome="REVISE", note="again", now=NOON)
    with pytest.raises(InvalidInputError):
        sop_review.close(asked(), person="mia", outcome="MAYBE", note="x", now=NOON)


@pytest.mark.clause("7 Continuous improvement", "clock")
def test_an_overdue_review_warns_and_refuses_only_with_hard_expiry():
    late = NOON + AHEAD
    hard = replace(POLICY, review=replace(POLICY.review, hard_expiry=True))

    open_check, nothing = sop_review.expiry_check(REVISION, hard, [asked()], NOON)
    warned, warning = sop_review.expiry_check(REVISION, POLICY, [asked()], late)
    refused, _ = sop_review.expiry_check(REVISION, hard, [asked()], late)

    assert (open_check.refusals, nothing) == ((), "")
    assert warned.refusals == ()
    assert "was due" in warning
    assert refused.refusals[0].gate == "sop_effective"
    assert refused.inputs["overdue_reviews"] == ["v-1"]


def test_platforms_are_those_of_computers_in_service():
    facts = {"os": "linux", "distribution": "debian", "arch": "x86_64"}
    fleet = [
        computer("a", facts=facts),
        computer("b", facts=facts),
        computer("c", facts={}),
        computer("d", facts={"os": "plan9"}, state=ComputerState.PENDING),
    ]

    assert sop_review.platforms(fleet) == ("linux debian x86_64",)
