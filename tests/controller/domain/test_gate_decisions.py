"""What becomes of a gate's answer: passed, deviated, warned, refused; and what the log keeps of it."""

import pytest

from sopwith_controller.domain.errors import Refusal, RefusedError
from sopwith_controller.domain.gate_decisions import GateCheck, asked, gathered, judge
from sopwith_formats.vocabulary import GateResult
from tests.controller.domain.builders import a_policy
from tests.controller.domain.test_deviation import APPROVED

BOUNDS = Refusal("sop_bounds", "V", "the deadline is too long", "shorten it", "owner or it_manager")
DEADLINE = Refusal("sop_bounds", "V.B", "it cannot end in time", "shorten the soaks")
WARNING = a_policy(gates={"sop_bounds": "warn"})


def results(*refusals: Refusal, policy=None, deviations=None, missed=None):
    judgement = judge(gathered(refusals, {"sop_bounds": "V"}), policy or a_policy(), deviations or {}, missed)
    return [decision.result for decision in judgement.decisions], judgement


def test_gate_without_a_refusal_passes():
    found, judgement = results()

    assert found == [GateResult.PASSED]
    assert judgement.records() == [{"gate": "sop_bounds", "clause": "V", "result": "PASSED"}]
    assert judgement.warnings == ()


def test_refusal_blocks_where_nothing_opens_it():
    found, judgement = results(BOUNDS)

    assert found == [GateResult.REFUSED]
    assert judgement.blocking == (BOUNDS,)
    assert judgement.warnings == ()


def test_gate_that_only_warns_is_shown_and_recorded_and_refuses_nobody():
    found, judgement = results(BOUNDS, policy=WARNING)

    assert found == [GateResult.WARNED]
    assert judgement.blocking == ()
    assert judgement.warnings == ("sop_bounds would refuse, the SOP only warns: the deadline is too long",)


def test_deviation_opens_its_gate_and_its_id_stands_in_the_record():
    found, judgement = results(BOUNDS, policy=WARNING, deviations={"sop_bounds": APPROVED})

    assert found == [GateResult.DEVIATED]
    assert judgement.blocking == ()
    assert judgement.records()[0]["deviation"] == "d-1"
    assert "deviation d-1" in judgement.warnings[0]


def test_what_no_deviation_can_open_no_warning_opens_either():
    found, judgement = results(BOUNDS, DEADLINE, policy=WARNING, deviations={"sop_bounds": APPROVED})

    assert found == [GateResult.DEVIATED, GateResult.REFUSED]
    assert judgement.blocking == (DEADLINE,)


def test_refusal_names_the_deviation_that_was_given_to_another_plan():
    _, judgement = results(BOUNDS, missed={"sop_bounds": APPROVED})

    assert judgement.blocking[0].reason == "the deadline is too long (deviation d-1 was given to another plan)"


def test_refusal_of_a_gate_that_nobody_listed_is_a_decision_too():
    checks = gathered([Refusal("sop_scope", "II", "outside")], {"sop_bounds": "V"})

    assert [(check.gate, len(check.refusals)) for check in checks] == [("sop_bounds", 0), ("sop_scope", 1)]


@pytest.mark.parametrize("refuses", [True, False])
def test_answer_of_a_gate_that_raises_is_kept_with_its_inputs(refuses: bool):
    def question() -> None:
        if refuses:
            raise RefusedError(BOUNDS)

    check = asked("sop_bounds", "V", {"deadline": 1}, question)

    assert check == GateCheck("sop_bounds", "V", {"deadline": 1}, (BOUNDS,) if refuses else ())
