"""Abort, withdraw and pause to their very end, with a clock of their own: connected at once, offline by the lease."""

from datetime import timedelta

import pytest

from sopwith_controller.domain import rollout as lifecycle
from sopwith_controller.domain.offers import LEASE
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.domain.tick import EndAssignment, FinishAbort
from sopwith_formats.vocabulary import AssignmentState
from tests.controller.domain.builders import HOUR, MINUTE, SECOND, World, a_plan

BEFORE = (AssignmentState.PREPARING, AssignmentState.DOWNLOADING, AssignmentState.STAGED)


def a_running_rollout() -> World:
    """Return one with a pending member and one in each state before INSTALLING."""
    world = World(a_plan(4, max_concurrency=3))
    world.tick()
    for number, state in zip(world.offered(), BEFORE, strict=True):
        world.reports(number, state)
    return world


def test_an_abort_ends_when_the_lease_of_an_offline_computer_has_run_out():
    world = a_running_rollout()
    world.tick(MINUTE)
    leased = world.assignments["a2"].start_until_time
    world.offline(2)
    world.rollout = lifecycle.abort(world.rollout, person="otto", reason="wrong release")
    world.tick()
    first = world.outcomes()
    assert leased is not None
    world.tick(leased - world.now - SECOND)
    waiting, look_again = world.rollout.state, world.decision.next_time

    world.tick(SECOND)

    assert first == ["CANCELLED", "CANCELLED", "", "CANCELLED"]
    assert (waiting, look_again) == (RolloutState.ABORTING, leased)
    assert (world.outcomes(), world.rollout.state) == (["CANCELLED"] * 4, RolloutState.ABORTED)
    assert leased - world.now <= LEASE
    assert isinstance(world.log[-1], FinishAbort)


def test_an_abort_waits_for_an_install_beyond_its_point_of_no_return():
    world = World(a_plan(1))
    world.tick()
    world.reports(0, AssignmentState.INSTALLING)
    world.rollout = lifecycle.abort(world.rollout, person="otto", reason="wrong release")

    world.tick(HOUR)
    waiting = world.rollout.state
    world.ends(0)
    world.tick()

    assert (waiting, world.rollout.state) == (RolloutState.ABORTING, RolloutState.ABORTED)
    assert world.outcomes() == ["SUCCEEDED"]


@pytest.mark.parametrize("state", [RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.SUSPENDED])
def test_a_withdrawn_release_is_taken_back_everywhere_and_its_rollout_ends(state: RolloutState):
    world = a_running_rollout()
    if state is RolloutState.PAUSED:
        world.rollout = lifecycle.pause(world.rollout, person="otto", reason="lunch")
    if state is RolloutState.SUSPENDED:
        world.rollout = lifecycle.suspend(world.rollout, reason="too many errors")
    world.withdrawn = True

    world.tick()

    ends = [action for action in world.log if isinstance(action, EndAssignment)]
    assert world.outcomes() == ["CANCELLED"] * 4
    assert {end.detail for end in ends} == {"hello@2 was withdrawn"}
    assert [end.withdraw for end in ends] == [True, True, True, False]
    assert world.rollout.state is RolloutState.COMPLETED


def test_a_withdrawn_release_reaches_who_is_offline_by_the_lease():
    world = a_running_rollout()
    world.offline(0, 1, 2)
    world.withdrawn = True

    world.tick()
    first = world.outcomes()
    world.tick(LEASE + timedelta(seconds=1))

    assert first == ["", "", "", "CANCELLED"]
    assert (world.outcomes(), world.rollout.state) == (["CANCELLED"] * 4, RolloutState.COMPLETED)
