"""Three updates in a row that ended badly put a computer on the bench."""

import pytest

from sopwith_controller.domain.bench import (
    BENCHED_AFTER,
    REFUSALS,
    bench_remedy,
    failures_after,
    is_benched,
    why_benched,
)
from sopwith_controller.domain.plan_inputs import Exclusion
from sopwith_controller.domain.planning import make_plan
from sopwith_formats.vocabulary import Outcome, Symptom
from tests.controller.domain.builders import World, a_computer, a_plan, plan_inputs


@pytest.mark.parametrize(
    ("outcomes", "failures"),
    [
        (("FAILED", "ROLLED_BACK", "UNREACHABLE"), 3),
        (("FAILED", "FAILED", "SUCCEEDED"), 0),
        (("FAILED", "SKIPPED", "FAILED"), 2),
        (("FAILED", "CANCELLED", "NOT_READY", "NOT_STARTED"), 1),
    ],
)
def test_failures_in_a_row_are_counted(outcomes: tuple[str, ...], failures: int):
    counted = 0
    for outcome in outcomes:
        counted = failures_after(counted, outcome)

    assert counted == failures


def test_a_correction_counts_once():
    unreachable = failures_after(0, Outcome.UNREACHABLE)

    assert failures_after(unreachable, Outcome.FAILED, Outcome.UNREACHABLE) == 1
    assert failures_after(unreachable, Outcome.SKIPPED, Outcome.UNREACHABLE) == 0
    assert failures_after(0, Outcome.FAILED, Outcome.CANCELLED) == 1


def test_who_refuses_what_it_was_sent_is_not_benched_for_it():
    for symptom in REFUSALS:
        assert failures_after(2, Outcome.FAILED, symptom=symptom) == 2
    assert failures_after(2, Outcome.FAILED, symptom=Symptom.INSTALLER_EXIT_NONZERO) == BENCHED_AFTER


def test_a_benched_computer_is_left_out_of_plans_with_reason_and_remedy():
    benched = a_computer("pc1", failures_in_a_row=BENCHED_AFTER)
    nearly = a_computer("pc2", failures_in_a_row=BENCHED_AFTER - 1)

    planning = make_plan(plan_inputs(computers=(benched, nearly)))

    assert (is_benched(benched), is_benched(nearly)) == (True, False)
    assert [member.name for member in planning.plan.members] == ["pc2"]
    assert planning.exclusions == (Exclusion("pc1", why_benched(3), bench_remedy("pc1")),)


def test_a_computer_benched_meanwhile_moves_to_the_tail_and_blocks_nobody():
    world = World(a_plan(1, 1))
    world.set(0, benched=why_benched(3))

    world.tick()

    assert (world.wave_of(0), world.offered()) == (2, [1])
    assert "pc0 is benched: its last 3 updates failed" in world.why(0).message
    assert "sopwith computer accept pc0" in world.why(0).remedy
