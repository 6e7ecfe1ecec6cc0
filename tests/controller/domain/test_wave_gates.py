"""What the gates of a wave said when it opened and passed stands in the log, with what they looked at."""

from datetime import timedelta

from sopwith_controller.domain import wave_gates
from sopwith_controller.domain.gate_decisions import GateDecision
from sopwith_controller.domain.waves import Tally
from sopwith_formats.sop_policy import Window
from sopwith_formats.vocabulary import GateResult
from tests.builders import NOON
from tests.controller.domain.builders import a_plan


def test_a_wave_that_opens_names_window_freeze_caps_and_threshold():
    found = wave_gates.opened(a_plan(5), "canary", 1, ())
    windowed = wave_gates.opened(a_plan(5, window=Window("FREQ=DAILY", "03:00", 3600)), "canary", 0, ())

    assert [(one.gate, one.result) for one in found] == [
        ("window", GateResult.PASSED),
        ("freeze", GateResult.PASSED),
        ("wave_caps", GateResult.PASSED),
        ("error_threshold", GateResult.PASSED),
    ]
    assert found[3].inputs["errors"] == 1
    assert (found[0].inputs["window"], windowed[0].inputs["window"]) == ("always", "FREQ=DAILY")


def test_a_gate_that_a_deviation_opened_is_named_as_such_and_not_as_passed():
    freeze = GateDecision("freeze", "V.C", GateResult.DEVIATED, deviation="d-1")

    found = wave_gates.opened(a_plan(5), "canary", 0, (freeze,))

    assert [one.result for one in found if one.gate == "freeze"] == [GateResult.DEVIATED]


def test_a_wave_that_passes_names_its_result_and_its_soak():
    tally = Tally()
    for number in range(3):
        tally.add_ended(f"pc{number}", "SUCCEEDED" if number else "FAILED", NOON, None)

    success, soak = wave_gates.passed(a_plan(5), 0, tally, NOON + timedelta(hours=1))

    assert (success.gate, success.inputs["succeeded"], success.inputs["n"]) == ("wave_success", 2, 3)
    assert (soak.gate, soak.inputs["ended"]) == ("canary_soak", "2026-11-22T13:00:00Z")
    assert wave_gates.passed(a_plan(5), 0, Tally(), None)[1].inputs["ended"] == ""
