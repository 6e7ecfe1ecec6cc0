"""What a computer's gates decided, in the words of the signed record."""

from dataclasses import replace

import pytest

from sopwith_agent.domain.assignment import Event
from sopwith_agent.domain.decisions import of_event, of_readiness, of_way_back
from sopwith_agent.domain.readiness import assess
from sopwith_formats.agent_decision import TEXT_MAX_CHARACTERS
from sopwith_formats.vocabulary import Symptom
from tests.agent.domain.test_readiness import FIT, POLICY
from tests.agent.domain.test_record import record


def test_every_check_that_got_an_answer_says_what_was_measured_and_required() -> None:
    measured = replace(FIT, metered=True, memory_available_bytes=1, user_sessions=None)

    decided = {one.gate: one for one in of_readiness(assess(measured, POLICY))}

    assert "user_session" not in decided
    assert {gate: one.result for gate, one in decided.items() if one.result != "PASSED"} == {
        "metered": "REFUSED",
        "memory": "WARNED",
    }
    assert decided["metered"].as_text() == {
        "gate": "metered",
        "clause": "V.A",
        "result": "REFUSED",
        "measured": "metered",
        "required": "not metered",
    }
    assert decided["clock_skew"].required == "within 300 s of the controller"


@pytest.mark.parametrize(
    ("event", "symptom", "found"),
    [
        (Event.HEALTHY, "", [("health_checks", "V.B", "PASSED")]),
        (Event.REFUSED, Symptom.METADATA_EXPIRED, [("metadata_fresh", "V.A", "REFUSED")]),
        (Event.UNHEALTHY, Symptom.VERSION_MISMATCH, [("health_checks", "V.B", "REFUSED")]),
        (Event.NOT_NEEDED, Symptom.NOT_APPLICABLE, [("applicable", "IV", "REFUSED")]),
        (Event.FAILED_CHANGED, Symptom.TIMEOUT, []),
        (Event.NOT_NEEDED, "", []),
    ],
)
def test_an_event_decides_its_gate_and_what_is_no_gates_decides_none(event: Event, symptom: str, found: object) -> None:
    assert [(one.gate, one.clause, one.result) for one in of_event(event, symptom, "why")] == found


def test_the_way_back_passes_where_there_is_one_and_warns_where_the_policy_lets_it() -> None:
    kept = of_way_back("kept; the older file", possible=True, required=True)
    none = of_way_back("none; first of its kind", possible=False, required=False)

    assert (kept.result, kept.required) == ("PASSED", "a way back")
    assert (none.result, none.required) == ("WARNED", "none, the policy only warns")


def test_the_newest_decision_of_a_gate_counts_and_long_texts_are_cut() -> None:
    (refused,) = of_event(Event.REFUSED, Symptom.SIGNATURE_INVALID, "x" * 1000)
    passed = replace(refused, result="PASSED")

    assert len(refused.measured) == TEXT_MAX_CHARACTERS
    assert record().decide(refused).decide(passed).decisions == (passed,)
