"""What each computer waits for, in every state of a rollout."""

import pytest

from sopwith_controller.domain.entities import Readiness
from sopwith_controller.domain.planner import explain
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.domain.tick import WAITS, RolloutView
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState, Outcome
from tests.controller.domain.builders import HOUR, MINUTE, NOW, World, a_plan, a_rollout, not_ready


@pytest.mark.parametrize(
    ("state", "waits_for", "remedy"),
    [
        (RolloutState.DRAFT, "start", "sopwith rollout submit r-1"),
        (RolloutState.IN_REVIEW, "approval", "sopwith rollout approve r-1"),
        (RolloutState.APPROVED, "start", "sopwith rollout start r-1 --reason TEXT"),
        (RolloutState.ABORTED, "none", ""),
    ],
)
def test_rollout_that_does_not_run_is_explained_for_every_member_of_its_plan(state, waits_for, remedy):
    plan = a_plan(1, 2)

    found = explain(RolloutView(a_rollout(plan, state=state), plan, (), {}), NOW)

    assert [(e.computer, e.wave) for e in found] == [("pc0", "w0"), ("pc1", "w1"), ("pc2", "w1")]
    assert {(e.waits_for, e.remedy) for e in found} == {(waits_for, remedy)}


def test_a_draft_that_went_back_says_why():
    plan = a_plan(1)
    draft = a_rollout(plan, state=RolloutState.DRAFT, state_reason="the plan changed since its approval: joined: pc9")

    found = explain(RolloutView(draft, plan, (), {}), NOW)

    assert found[0].message == "the rollout is a draft: the plan changed since its approval: joined: pc9"


def test_running_rollout_without_assignments_has_nothing_to_explain():
    plan = a_plan(1)

    assert explain(RolloutView(a_rollout(plan, state=RolloutState.RUNNING), plan, (), {}), NOW) == ()


def test_computers_of_later_waves_wait_for_the_wave_before():
    world = World(a_plan(1, 2))
    world.tick()

    assert world.why(0).message == "pc0 was offered and measures whether it is ready"
    assert (world.why(1).waits_for, world.why(1).message) == ("wave", "wave w1 opens when wave w0 has passed")


def test_computer_that_is_about_to_be_offered_waits_for_nothing():
    world = World(a_plan(1))

    assert world.why(0).message == "pc0 is about to be offered"


def test_tail_is_explained_with_what_put_a_computer_there():
    world = World(a_plan(1, 1, 1))
    world.set(0, connected=False, asleep=True)
    world.tick()

    found = world.why(0)

    assert found.waits_for == "asleep"
    assert found.wave == "tail"
    assert "pc0 sleeps" in found.message
    assert "opens after the last wave" in found.message
    world.back(0)
    assert world.why(0).waits_for == "wave"


WAITING = {AssignmentState.PENDING, AssignmentState.AWAITING_REBOOT, AssignmentState.ENDED}


@pytest.mark.parametrize("state", sorted(set(AssignmentState) - WAITING))
def test_computer_at_work_says_what_it_does(state: AssignmentState):
    world = World(a_plan(1))
    world.tick()
    world.reports(0, state, percent=40)

    found = world.why(0)

    assert (found.waits_for, found.state) == ("none", state)
    assert found.message.endswith("(40 %)")


def test_ended_computers_are_not_explained():
    world = World(a_plan(2))
    world.tick()
    world.ends(0)

    assert [e.computer for e in explain(world.view(), world.now)] == ["pc1"]


def test_every_reason_is_one_of_the_closed_list_and_has_words():
    world = World(a_plan(2, 2, 2, soak=600, max_concurrency=1))
    world.set(1, readiness=not_ready())
    world.offline(3)
    seen = set()
    for _ in range(6):
        world.tick(MINUTE)
        for found in explain(world.view(), world.now):
            seen.add(found.waits_for)
            assert found.message
        for number in world.offered():
            if world.state_of(number) in BEFORE_INSTALLING:
                world.ends(number, Outcome.SUCCEEDED)
    world.tick(HOUR)

    assert seen <= set(WAITS)
    assert {"concurrency", "wave", "soak", "readiness"} <= seen


def test_explanations_change_nothing():
    world = World(a_plan(1, 3))
    world.tick()
    before = world.view()

    explain(before, NOW)

    assert world.view() == before


def test_everybody_is_explained_where_only_some_are_measured():
    world = World(a_plan(3, max_concurrency=1))
    world.answers_readiness = False
    for number in range(3):
        world.set(number, readiness=Readiness())
    world.tick()

    assert {e.message for e in explain(world.view(), NOW)} == {"is being asked to measure its readiness"}
