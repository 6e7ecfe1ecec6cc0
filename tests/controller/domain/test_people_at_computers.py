"""What the planner makes of people at a computer: told, put off, and let go."""

from sopwith_controller.domain import assignment as mirror
from sopwith_controller.domain.entities import Reason
from sopwith_controller.domain.tick import MoveAssignment, RenewLease
from sopwith_formats.vocabulary import AssignmentState, Outcome
from tests.controller.domain.builders import HOUR, MINUTE, NOW, World, a_plan, an_assignment

BUSY = Reason("USER_BUSY", "People at the computer were told; it begins at 12:15.", "wait")


def put_off(world: World, number: int, until, deferrals: int = 1) -> None:
    before = world.assignments[f"a{number}"]
    world.assignments[f"a{number}"] = mirror.defer(before, deferrals=deferrals, until=until, now=world.now)


def test_put_off_computer_moves_to_the_tail_and_explain_says_until_when():
    world = World(a_plan(1, 1, max_concurrency=1))
    world.tick()
    put_off(world, 0, NOW + HOUR)
    world.reports(0, AssignmentState.PREPARING, reasons=[BUSY], next_try_time=NOW + MINUTE)

    actions = world.tick()

    assert any(isinstance(action, MoveAssignment) and action.assignment == "a0" for action in actions)
    assert world.offered() == [0, 1]
    why = world.why(0)
    assert (why.waits_for, why.until) == ("deferral", NOW + HOUR)
    assert why.message == "people at pc0 put it off until 2026-11-23T11:00:00Z (once)"


def test_ready_measurement_of_a_put_off_computer_does_not_bring_it_back_early():
    world = World(a_plan(1, 1))
    world.tick()
    put_off(world, 0, NOW + HOUR, deferrals=2)
    world.reports(0, AssignmentState.PREPARING, reasons=[BUSY])
    world.tick()
    world.ends(1)
    world.tick()
    world.now += MINUTE
    world.back(0)

    assert [a for a in world.tick() if isinstance(a, RenewLease)] == []
    assert "(2 times so far)" in world.why(0).message

    world.now += HOUR
    world.back(0)
    assert [a.assignment for a in world.tick() if isinstance(a, RenewLease)] == ["a0"]


def test_people_who_were_told_are_the_reason_of_a_staged_computer():
    world = World(a_plan(1))
    world.tick()
    world.reports(0, AssignmentState.STAGED, reasons=[BUSY])
    world.tick()

    assert (world.why(0).waits_for, world.why(0).message) == ("deferral", BUSY.message)


def test_let_go_after_all_ends_the_deferral():
    held = mirror.defer(an_assignment(state=AssignmentState.PREPARING), deferrals=1, until=NOW + HOUR, now=NOW)

    free = mirror.defer(held, deferrals=1, until=None, now=NOW)

    assert (free.deferrals, free.deferred_until_time) == (1, None)


def test_late_words_of_people_change_nothing():
    ended = an_assignment(state=AssignmentState.ENDED, outcome=Outcome.SUCCEEDED)
    twice = mirror.defer(an_assignment(), deferrals=2, until=NOW + HOUR, now=NOW)

    assert mirror.defer(ended, deferrals=1, until=NOW, now=NOW) is ended
    assert mirror.defer(twice, deferrals=1, until=NOW, now=NOW) is twice
