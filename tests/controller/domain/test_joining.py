"""Who joins a rollout after its start, and where."""

from dataclasses import replace

import pytest

from sopwith_controller.domain.entities import ComputerState, Readiness
from sopwith_controller.domain.joining import belongs, groups_of_joiners, join, join_wave, joiners, takes_in
from sopwith_controller.domain.plan import PlanGroup, PlanMember
from sopwith_controller.domain.planning import make_plan
from sopwith_controller.domain.rollout_entities import RolloutState, WaveProgress
from sopwith_controller.domain.tick import OfferAssignment
from sopwith_formats.sop_policy import MaintenanceGroup
from tests.controller.domain.builders import (
    MINUTE,
    NOW,
    World,
    a_computer,
    a_plan,
    a_policy,
    a_spec,
    plan_inputs,
)

DYNAMIC = a_plan(1, 2, dynamic=True)
SERVERS = MaintenanceGroup("servers", "role=server")
DATABASES = MaintenanceGroup("databases", "role in (db, server)")


@pytest.mark.parametrize(
    ("state", "taken"),
    [
        (RolloutState.RUNNING, True),
        (RolloutState.PAUSED, True),
        (RolloutState.SUSPENDED, True),
        (RolloutState.ABORTING, False),
        (RolloutState.COMPLETED, False),
    ],
)
def test_a_dynamic_rollout_takes_in_while_it_goes_on(state, taken):
    rollout = replace(World(DYNAMIC).rollout, state=state)

    assert takes_in(rollout, DYNAMIC, NOW) is taken


def test_nobody_is_taken_in_after_the_deadline_or_by_a_fixed_audience():
    rollout = World(DYNAMIC).rollout

    assert rollout.deadline_time is not None
    assert not takes_in(rollout, DYNAMIC, rollout.deadline_time)
    assert not takes_in(replace(rollout, deadline_time=None), DYNAMIC, NOW)
    assert not takes_in(rollout, replace(DYNAMIC, dynamic=False), NOW)


def test_scope_and_exclusions_are_those_of_a_plan():
    plan = replace(DYNAMIC, audience="site=berlin")
    policy = a_policy(scope="ring!=vip", maintenance_groups=(SERVERS, DATABASES))
    berlin = {"site": "berlin"}
    computers = [
        a_computer("welcome", labels=berlin),
        a_computer("also", labels=berlin),
        a_computer("paris", labels={"site": "paris"}),
        a_computer("vip", labels={**berlin, "ring": "vip"}),
        a_computer("waiting", labels=berlin, state=ComputerState.PENDING),
        a_computer("excused", labels=berlin, readiness=Readiness("EXCUSED")),
        a_computer("rolled", labels=berlin),
        a_computer("known", labels=berlin),
        a_computer("claimed", labels={**berlin, "role": "server"}),
    ]
    ids = {computer.name: computer.id for computer in computers}

    found = joiners(plan, policy, computers, known={ids["known"]}, rolled_back={ids["rolled"]})

    assert [computer.name for computer in found] == ["also", "welcome"]


def test_a_selector_counts_for_computers_in_service_only():
    assert belongs(a_computer("pc1"), "", "")
    assert not belongs(a_computer("pc1", state=ComputerState.QUARANTINED), "", "")


def test_a_joiner_stands_in_the_last_wave_and_in_the_tail_once_that_was_judged():
    rollout = World(DYNAMIC).rollout
    judged = replace(rollout, waves=(WaveProgress(NOW, NOW, NOW), WaveProgress(NOW, NOW), WaveProgress()))

    assert join_wave(rollout, DYNAMIC) == 1
    assert join_wave(judged, DYNAMIC) == DYNAMIC.tail


def test_the_window_of_a_joiner_is_that_of_its_maintenance_group():
    policy = a_policy(maintenance_groups=(SERVERS,))
    server, other = a_computer("pc8", labels={"role": "server"}), a_computer("pc9")
    member = a_computer("pc1", labels={"role": "server"})
    plan = replace(DYNAMIC, groups=(PlanGroup("servers"),), members=(PlanMember(member.id, "pc1"),))

    assert groups_of_joiners(plan, policy, [member, server, other]) == {server.id: "servers"}
    assert groups_of_joiners(DYNAMIC, policy, [server]) == {}


def test_the_plan_of_a_dynamic_audience_holds_every_group():
    inputs = plan_inputs(2, spec=a_spec(dynamic=True), policy=a_policy(maintenance_groups=(SERVERS, DATABASES)))

    plan = make_plan(inputs).plan

    assert [group.name for group in plan.groups] == ["servers", "databases"]
    assert plan.dynamic
    assert plan.baseline


def test_a_joiner_is_offered_in_the_last_wave_and_its_n_grows():
    world = World(DYNAMIC)
    world.tick()
    world.ends(0)
    world.tick()
    computer = a_computer("pc9", id="c9", installed={"hello": "1"})
    joined = join(world.rollout, DYNAMIC, computer, assignment_id="a9", position=3)
    world.assignments["a9"] = joined
    world.computers["c9"] = replace(world.computers["c2"], id="c9", name="pc9")

    offers = [one.computer for one in world.tick(MINUTE) if isinstance(one, OfferAssignment)]
    world.ends(1)
    world.ends(2)
    world.tick(MINUTE)
    open_still = world.rollout.waves[1].ended_time is None
    world.ends(9)
    world.tick(MINUTE)

    assert (joined.position, joined.wave, joined.version_before) == (3, 1, "1")
    assert offers == ["c9"]
    assert open_still
    assert world.rollout.state_reason == "4 succeeded"
