"""Feedback by clause is answered with a reason; gates from which people deviate again and again become proposals."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain import feedback
from sopwith_controller.domain.deviation import Deviation, DeviationState
from sopwith_controller.domain.errors import InvalidInputError, TransitionNotAllowedError
from sopwith_controller.domain.feedback import TRANSITIONS, Said
from sopwith_controller.domain.practice_entities import Disposition, Feedback, FeedbackOrigin
from tests.builders import NOON


def given(disposition: Disposition = Disposition.OPEN) -> Feedback:
    said = Said("V.C", "the  soak is short", FeedbackOrigin.PERSON, "olga")
    return replace(feedback.give("f-1", "SU-SOP-001", 2, said, NOON), disposition=disposition)


def deviation(number: int, gate: str = "window", days_ago: int = 1) -> Deviation:
    approved = NOON - timedelta(days=days_ago)
    return Deviation(
        f"d-{number}", gate, DeviationState.EXPIRED, "why", "instead", "olga", "SU-SOP-001", approved, approved,
        approver="mia", approved_time=approved,
    )  # fmt: skip


@pytest.mark.parametrize("start", list(Disposition))
@pytest.mark.parametrize("wanted", list(Disposition))
def test_a_disposition_follows_the_table_and_nothing_else(start, wanted):
    def dispose() -> Feedback:
        return feedback.dispose(given(start), wanted.lower(), person="mia", reason="true", now=NOON)

    if (start, wanted) in TRANSITIONS:
        done = dispose()
        assert (done.disposition, done.disposed_by, done.disposition_reason) == (wanted, "mia", "true")
    else:
        with pytest.raises(TransitionNotAllowedError):
            dispose()


@pytest.mark.clause("7 Continuous improvement", "feedback")
def test_feedback_names_a_clause_and_is_disposed_of_with_a_reason():
    assert given().text == "the soak is short"
    with pytest.raises(InvalidInputError, match="no clause IX"):
        feedback.give("f-1", "SU-SOP-001", 1, Said("IX", "what", FeedbackOrigin.PERSON, "olga"), NOON)
    with pytest.raises(InvalidInputError, match="a reason is needed"):
        feedback.dispose(given(), "accepted", person="mia", reason=" ", now=NOON)
    with pytest.raises(TransitionNotAllowedError, match="does not become nothing"):
        feedback.dispose(given(), "", person="mia", reason="x", now=NOON)


def test_three_deviations_within_ninety_days_are_a_hotspot_and_a_proposal():
    often = [deviation(n) for n in range(3)]
    seldom = [deviation(9, "freeze"), deviation(8, "freeze"), deviation(7, "freeze", days_ago=91)]
    open_ones = [replace(one, approved_time=None) for one in often]

    found = feedback.hotspots([*often, *seldom, *open_ones, *[deviation(n, "gone_gate") for n in range(5)]], NOON)

    assert found == {"window": 3}
    proposal = feedback.proposal_of("window", 3)
    assert (proposal.clause, proposal.origin, proposal.given_by) == ("V.C", FeedbackOrigin.MACHINE, "")
    assert "3 deviations from window" in proposal.text
