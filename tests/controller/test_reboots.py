"""Leave to reboot over a real controller and the wire: given, taken back, repeated; and computers held apart."""

from typing import Any

import pytest

from sopwith.v1 import agent_service_pb2 as pb
from sopwith.v1 import fleet_service_pb2, rollout_service_pb2
from sopwith_controller.domain.entities import Computer, ComputerState
from sopwith_formats.sop_policy import DisruptionBudget, WaveRule
from tests.controller.house import House
from tests.controller.simulated_agent import SimulatedAgent

ALL_AT_ONCE = {"waves": (WaveRule("all", "100%", 0),), "disruption_budget": DisruptionBudget((), 1)}


async def waiting(house: House, count: int) -> list[SimulatedAgent]:
    """Return connected computers that install nothing by themselves."""
    agents = [await house.computer(f"pc{number}") for number in range(1, count + 1)]
    for agent in agents:
        agent.works = False
        await agent.connect()
    return agents


def asks(agent: SimulatedAgent, *, wanted: bool = True) -> int:
    return agent.progress(agent.warrants[-1], "AWAITING_REBOOT", reboot=pb.RebootWish(wanted=wanted))


def given(lease: pb.RebootLease) -> bool:
    return lease.HasField("reboot_until_time")


async def computer_of(house: House, agent: SimulatedAgent) -> Computer:
    async with house.parts.database.read() as unit:
        found = await unit.computers.get(agent.computer.id)
    assert found is not None
    return found


async def test_leave_to_reboot_is_given_taken_back_by_a_freeze_and_given_again(house: House):
    operator, boss = await house.person("operator", "operator"), await house.person("boss", "it_manager")
    [agent] = await waiting(house, 1)
    await operator.started("1")
    await agent.until_warrant()
    asks(agent)

    first = await agent.until_reboot_lease()
    freeze = await operator.fleet.StartFreeze(fleet_service_pb2.StartFreezeRequest(reason="month end"))
    held = await agent.until_reboot_lease(2)
    await boss.fleet.EndFreeze(fleet_service_pb2.EndFreezeRequest(id=freeze.freeze.id))
    again = await agent.until_reboot_lease(3)

    assert [given(first), given(held), given(again)] == [True, False, True]
    assert "month end" in held.reason
    assert first.assignment_id == agent.warrants[-1].assignment_id


async def test_one_at_a_time_has_leave_and_the_next_when_the_first_has_ended(house: House):
    operator = await house.person("operator", "operator")
    agents = await waiting(house, 2)
    identifier = await operator.started("1", **ALL_AT_ONCE)
    first = agents[0] if agents[0].warrants else agents[1]
    await first.until_warrant()
    (second,) = [agent for agent in agents if agent is not first]
    asks(first)
    await first.until_reboot_lease()

    assert not second.warrants
    first.progress(first.warrants[-1], "REBOOTING", reboot=pb.RebootWish())
    first.receipt(first.warrants[-1], "SUCCEEDED")
    await second.until_warrant()
    asks(second)
    await second.until_reboot_lease()
    second.receipt(second.warrants[-1], "SUCCEEDED")

    assert (await operator.until(identifier, "COMPLETED")).counts.succeeded == 2


async def test_leave_is_told_again_to_a_computer_that_comes_back_and_not_to_one_that_lost_it(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await waiting(house, 1)
    identifier = await operator.started("1")
    await agent.until_warrant()
    await agent.until_acknowledged(asks(agent))
    await agent.until_reboot_lease()
    journal = ((agent.warrants[-1].assignment_id, "AWAITING_REBOOT"),)

    await agent.hang_up()
    agent.reboot_leases.clear()
    await agent.connect(journal)
    again = await agent.until_reboot_lease()
    await operator.rollouts.PauseRollout(rollout_service_pb2.PauseRolloutRequest(id=identifier, reason="look at it"))
    paused = await agent.until_reboot_lease(2)
    await agent.hang_up()
    agent.reboot_leases.clear()
    await agent.connect(journal)
    without = await agent.until_reboot_lease()

    assert [given(again), given(paused), given(without)] == [True, False, False]
    assert without.reason == "the controller gave no leave to reboot"


async def test_explanation_says_what_a_computer_that_put_its_reboot_off_waits_for(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await waiting(house, 1)
    identifier = await operator.started("1")
    await agent.until_warrant()
    await agent.until_acknowledged(asks(agent, wanted=False))

    request = rollout_service_pb2.ExplainRolloutRequest(id=identifier)
    [found] = (await operator.rollouts.ExplainRollout(request)).explanations

    assert (found.waits_for, found.state) == ("deferral", "AWAITING_REBOOT")


async def test_rollout_that_only_reboots_takes_a_computer_that_nothing_but_its_reboot_keeps_from_ready(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await waiting(house, 1)
    agent.verdict, agent.blocked = 2, ("pending_reboot",)
    await agent.report_readiness()

    identifier = await operator.started("reboots", release="reboot@only", reboot_only=True)
    warrant = await agent.until_warrant()
    agent.progress(warrant, "INSTALLING")
    agent.receipt(warrant, "SUCCEEDED", commits=0, version_after="")
    ended = await operator.until(identifier, "COMPLETED")

    assert (warrant.release, warrant.version) == ("reboot", "only")
    assert warrant.policy["enforce"]["pending_reboot"] == "warn"
    assert (ended.release, ended.counts.succeeded) == ("reboot@only", 1)
    assert "reboot" not in (await computer_of(house, agent)).installed
    assert await house.log("BASELINE_SET") == []


async def test_computer_whose_rollback_failed_is_held_apart_until_a_person_accepts_it(house: House):
    operator, boss = await house.person("operator", "operator"), await house.person("boss", "it_manager")
    [agent] = await waiting(house, 1)
    agent.works, agent.outcomes = True, {"1": ("FAILED", "ROLLBACK_FAILED")}
    await operator.until(await operator.started("1"), "COMPLETED")
    held = await computer_of(house, agent)
    with pytest.raises(Exception, match="holds no computer"):
        await operator.started("2")

    await boss.fleet.AcceptComputer(fleet_service_pb2.AcceptComputerRequest(computer="pc1"))
    back = await computer_of(house, agent)
    ended: Any = await operator.until(await operator.started("2"), "COMPLETED")

    assert (held.state, held.state_reason) == (ComputerState.QUARANTINED, "its rollback failed")
    assert (back.state, back.failures_in_a_row) == (ComputerState.ACCEPTED, 0)
    assert ended.counts.succeeded == 1
