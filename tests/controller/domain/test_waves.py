"""Counting: numbers as people see them, and thresholds."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain import rollout as lifecycle
from sopwith_controller.domain.plan import PlanThresholds
from sopwith_controller.domain.waves import (
    Counts,
    Tally,
    count,
    crossed_error_threshold,
    in_words,
    missed_success_threshold,
    wave_views,
)
from sopwith_formats.vocabulary import AssignmentState, Outcome
from tests.controller.domain.builders import NOW, World, a_plan, a_rollout, an_assignment, shares

THRESHOLDS = PlanThresholds("95%", "2%", 3, 2)


def test_every_assignment_is_counted_once():
    ended = [an_assignment(n, state=AssignmentState.ENDED, outcome=o) for n, o in enumerate(Outcome)]
    running = [an_assignment(20), an_assignment(21, state=AssignmentState.STAGED)]

    counts = count(shares([*ended, *running]))

    assert vars(counts) == dict.fromkeys(Counts.__dataclass_fields__, 1)
    assert counts.total == 10
    assert not counts.all_well
    assert count(shares(ended[:1])).all_well


def test_counts_in_words_name_what_there_is():
    assert in_words(Counts(succeeded=4, rolled_back=1)) == "4 succeeded, 1 rolled back"
    assert in_words(Counts()) == "nobody"


def test_waves_before_the_start_are_shown_as_planned():
    plan = a_plan(1, 4)

    views = wave_views(a_rollout(plan), plan, [])

    assert [(view.name, view.state, view.size) for view in views] == [("w0", "PENDING", 1), ("w1", "PENDING", 4)]


def test_states_of_waves_follow_their_times():
    world = World(a_plan(1, 1, soak=60))
    assignments = list(world.assignments.values())

    def state() -> str:
        return wave_views(world.rollout, world.plan, shares(assignments))[0].state

    assert state() == "PENDING"
    world.rollout = lifecycle.open_wave(world.rollout, 0, now=NOW)
    assert state() == "OPEN"
    world.rollout = lifecycle.end_wave(world.rollout, 0, now=NOW)
    assert state() == "SOAKING"
    over = lifecycle.complete(world.rollout, now=NOW, reason="")
    assert wave_views(over, world.plan, shares(assignments))[0].state == "ENDED"
    world.rollout = lifecycle.pass_wave(world.rollout, 0, now=NOW)
    assert state() == "PASSED"


def test_tail_is_shown_while_it_has_members():
    world = World(a_plan(1, 1))
    world.offline(0)
    world.tick()

    views = wave_views(world.rollout, world.plan, shares(world.assignments.values()))

    assert [(view.name, view.size) for view in views] == [("w0", 1), ("w1", 0), ("tail", 1)]
    assert views[0].counts.active == 1
    assert views[2].counts.pending == 1


def test_rollout_that_kept_no_wave_times_shows_pending_waves():
    plan = a_plan(1)

    assert wave_views(a_rollout(plan), plan, shares([an_assignment()]))[0].state == "PENDING"


def tally(succeeded: int, errors: int, unended: int = 0, accepted: int = 0) -> Tally:
    return Tally(
        unended=unended,
        ended=succeeded + errors + accepted,
        accepted=accepted,
        succeeded=succeeded,
        errors=errors,
        error_names=[f"e{n}" for n in range(errors)],
    )


@pytest.mark.gate("blocks", "error_threshold")
@pytest.mark.parametrize(
    ("tallies", "lost", "words"),
    [
        ([tally(98, 2)], [], None),
        ([tally(97, 3)], [], "3 of 100 computers of wave w0"),
        ([tally(0, 1, unended=40)], [], "1 of 41 computers"),
        ([tally(98, 2), tally(98, 1)], [], "3 computers went wrong, and 3 are the limit"),
        ([tally(9, 0)], ["x"], None),
        ([tally(9, 0)], ["x", "y"], "2 computers fell silent"),
        ([tally(0, 0)], [], None),
        ([tally(0, 1, accepted=99)], [], "1 of 1 computers"),
    ],
)
def test_error_thresholds(tallies: list[Tally], lost: list[str], words: str | None):
    crossing = crossed_error_threshold(THRESHOLDS, tallies, [f"w{n}" for n in range(len(tallies))], lost)

    if words is None:
        assert crossing is None
    else:
        assert crossing is not None
        assert words in crossing.reason


@pytest.mark.parametrize(
    ("one", "missed"),
    [(tally(95, 5), False), (tally(94, 6), True), (tally(0, 0, accepted=5), False), (tally(1, 0, accepted=5), False)],
)
def test_success_threshold(one: Tally, missed: bool):
    assert (missed_success_threshold(THRESHOLDS, "w0", one) is not None) is missed


def test_what_ended_before_a_resume_is_accepted_and_what_was_taken_back_is_no_member():
    one = Tally()

    one.add_ended("a", Outcome.FAILED, NOW, NOW)
    one.add_ended("b", Outcome.FAILED, NOW + timedelta(seconds=1), NOW)
    one.add_ended("c", Outcome.CANCELLED, NOW, None)
    one.add_ended("d", Outcome.SKIPPED, NOW, None)
    one.add_ended("e", Outcome.NOT_READY, NOW, None)

    assert (one.members, one.accepted, one.errors, one.succeeded, one.cancelled) == (4, 1, 1, 1, 1)
    assert one.error_names == ["b"]


def test_unsafe_computers_make_a_suspension_grave():
    world = World(a_plan(1, 1))
    world.tick()
    world.ends(0, Outcome.FAILED, symptom="ROLLBACK_FAILED")

    suspend = world.tick()[0]

    assert getattr(suspend, "severity", 0) == 1
    assert replace(world.rollout, state_reason="").state == "SUSPENDED"
