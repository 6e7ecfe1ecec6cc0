"""What becomes of an approved rollout when the world moved before its start: retained, replaced, sent back, closed."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import grpc
import pytest

from sopwith.v1 import (
    deviation_service_pb2,
    fleet_service_pb2,
    release_service_pb2,
    release_service_pb2_grpc,
    rollout_service_pb2,
)
from sopwith_controller.domain import approvals
from sopwith_controller.domain.entities import SopState
from sopwith_controller.domain.rollout_entities import Rollout, RolloutState
from tests.controller.colleagues import Colleague, change_rollout, colleague, gate_of, make_normal
from tests.controller.house import House
from tests.controller.simulated_agent import SimulatedAgent

LONG_AGO = approvals.APPROVAL_LIFE + timedelta(minutes=1)


class Scene:
    """Two computers, who asks and who approves."""

    def __init__(self, house: House, agents: list[SimulatedAgent], operator: Colleague, boss: Colleague) -> None:
        self.house = house
        self.agents = agents
        self.operator = operator
        self.boss = boss

    async def approved(self, **spec: Any) -> Any:
        return await self.boss.approve(await self.operator.submitted(**spec))

    async def row(self, identifier: str) -> Rollout:
        async with self.house.parts.database.read() as unit:
            rollout = await unit.rollouts.get(identifier)
        assert rollout is not None
        return rollout

    async def retire(self, name: str) -> None:
        await self.boss.fleet.RetireComputer(fleet_service_pb2.RetireComputerRequest(computer=name, reason="sold"))

    async def revise(self, policy_sha256: str = "") -> None:
        """Let the next revision of the SOP take effect; equal but for its number where no digest is given."""
        async with self.house.parts.database.write() as unit:
            before = await unit.sops.effective("SU-SOP-001")
            assert before is not None
            await unit.sops.put(replace(before, state=SopState.SUPERSEDED))
            after = replace(before, revision=before.revision + 1)
            await unit.sops.put(replace(after, policy_sha256=policy_sha256 or before.policy_sha256))
            await unit.commit()

    async def explained(self, identifier: str, computer: str = "") -> dict[str, tuple[str, str]]:
        request = rollout_service_pb2.ExplainRolloutRequest(id=identifier, computer=computer)
        reply = await self.operator.rollouts.ExplainRollout(request)
        return {one.computer: (one.waits_for, one.remedy) for one in reply.explanations}

    async def refused(self, identifier: str) -> str:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.operator.start(identifier)
        assert [warrant for agent in self.agents for warrant in agent.warrants] == []
        return gate_of(caught.value)


@pytest.fixture
async def scene(house: House) -> Scene:
    operator = await colleague(house, "operator", "operator")
    boss = await colleague(house, "boss", "it_manager", "owner", "release_manager")
    agents = [await house.computer(name, labels={"site": "berlin"}) for name in ("pc1", "pc2")]
    for agent in agents:
        agent.works = False
        await agent.connect()
    return Scene(house, agents, operator, boss)


async def test_equal_effect_retains_the_approval(scene: Scene):
    await make_normal(scene.house)
    rollout = await scene.approved(audience="site=berlin")
    await scene.house.computer("pc9", labels={"site": "paris"})
    await scene.revise()

    await scene.operator.start(rollout.id)

    after = await scene.row(rollout.id)
    assert (after.state, after.plan_sha256) == (RolloutState.RUNNING, rollout.plan_sha256)
    [started] = await scene.house.log("ROLLOUT_STARTED")
    decided = {decision["gate"]: decision for decision in json.loads(started.details)["gates"]}
    assert decided["approval_fresh"]["inputs"]["approved_by"] == ["boss"]
    assert json.loads(started.details)["replaced"] == []


async def test_explain_says_before_the_start_what_every_computer_waits_for(scene: Scene):
    await make_normal(scene.house)
    rollout = await scene.operator.submitted()

    in_review = await scene.explained(rollout.id)
    await scene.boss.approve(rollout)
    approved = await scene.explained(rollout.id)
    only_one = await scene.explained(rollout.id, "pc2")
    await scene.operator.start(rollout.id)

    assert in_review == dict.fromkeys(("pc1", "pc2"), ("approval", f"sopwith rollout approve {rollout.id}"))
    assert approved == dict.fromkeys(("pc1", "pc2"), ("start", f"sopwith rollout start {rollout.id} --reason TEXT"))
    assert list(only_one) == ["pc2"]
    assert len(await scene.explained(rollout.id)) == 2


async def test_plan_that_people_approved_goes_back_when_a_computer_left(scene: Scene):
    await make_normal(scene.house)
    rollout = await scene.approved()
    await scene.retire("pc2")

    gate = await scene.refused(rollout.id)

    after = await scene.row(rollout.id)
    assert (gate, after.state, after.approvals) == ("approval_fresh", RolloutState.DRAFT, ())
    assert "left: pc2" in after.state_reason
    [entry] = await scene.house.log("ROLLOUT_REPLANNED")
    assert "left: pc2" in entry.message


async def test_plan_that_went_back_starts_after_it_was_approved_again(scene: Scene):
    await make_normal(scene.house)
    rollout = await scene.approved()
    await scene.retire("pc2")
    await scene.refused(rollout.id)

    again = await scene.boss.approve(await scene.operator.submit(rollout.id))
    await scene.operator.start(rollout.id)

    assert again.plan_sha256 != rollout.plan_sha256
    assert (await scene.row(rollout.id)).state is RolloutState.RUNNING


async def test_plan_that_people_approved_goes_back_when_labels_bring_somebody_in(scene: Scene):
    await make_normal(scene.house)
    await scene.house.computer("pc9", labels={"site": "paris"})
    rollout = await scene.approved(audience="site=berlin")
    await scene.boss.fleet.LabelComputer(fleet_service_pb2.LabelComputerRequest(computer="pc9", set={"site": "berlin"}))

    assert await scene.refused(rollout.id) == "approval_fresh"
    assert "joined: pc9" in (await scene.row(rollout.id)).state_reason


@pytest.mark.clause("I Consistency", "digest")
async def test_plan_that_people_approved_goes_back_under_another_policy(scene: Scene):
    await make_normal(scene.house)
    rollout = await scene.approved()
    await scene.revise("f" * 64)

    assert await scene.refused(rollout.id) == "approval_fresh"
    assert "the policy of the SOP" in (await scene.row(rollout.id)).state_reason


async def test_plan_that_people_approved_goes_back_when_a_computer_may_try_again(scene: Scene):
    await make_normal(scene.house)
    async with scene.house.parts.database.write() as unit:
        await unit.releases.note_rolled_back("hello", "1", "c-pc2")
        await unit.commit()
    rollout = await scene.approved()
    releases = release_service_pb2_grpc.ReleaseServiceStub(scene.boss.channel)
    await releases.PermitRelease(release_service_pb2.PermitReleaseRequest(release="hello@1", reason="mended"))

    assert await scene.refused(rollout.id) == "approval_fresh"
    assert "joined: pc2" in (await scene.row(rollout.id)).state_reason


async def test_standard_change_is_replanned_by_itself_and_says_what_moved(scene: Scene):
    rollout = await scene.operator.submitted()
    await scene.retire("pc2")

    await scene.operator.start(rollout.id)

    after = await scene.row(rollout.id)
    assert after.state is RolloutState.RUNNING
    assert after.plan_sha256 != rollout.plan_sha256
    [started] = await scene.house.log("ROLLOUT_STARTED")
    assert "left: pc2" in json.loads(started.details)["replaced"]
    assert (await scene.agents[0].until_warrant()).plan_sha256 == after.plan_sha256


async def test_rollout_of_which_nothing_is_left_is_closed(scene: Scene):
    rollout = await scene.operator.submitted()
    await scene.retire("pc1")
    await scene.retire("pc2")

    assert await scene.refused(rollout.id) == "approval_fresh"
    after = await scene.row(rollout.id)
    assert (after.state, "nothing is left" in after.state_reason) == (RolloutState.ABORTED, True)


async def test_withdrawn_release_is_not_started(scene: Scene):
    await make_normal(scene.house)
    rollout = await scene.approved()
    releases = release_service_pb2_grpc.ReleaseServiceStub(scene.boss.channel)
    await releases.WithdrawRelease(release_service_pb2.WithdrawReleaseRequest(release="hello@1", reason="breaks"))

    assert await scene.refused(rollout.id) == "sop_step_order"
    assert (await scene.row(rollout.id)).state is RolloutState.APPROVED


async def test_resume_asks_for_approvals_that_ran_out_and_goes_on_with_new_ones(scene: Scene):
    await make_normal(scene.house)
    rollout = await scene.approved()
    await scene.operator.start(rollout.id)
    await scene.operator.rollouts.PauseRollout(
        rollout_service_pb2.PauseRolloutRequest(id=rollout.id, reason="complaints")
    )
    await change_rollout(
        scene.house,
        rollout.id,
        lambda one: replace(one, approvals=tuple(replace(a, time=a.time - LONG_AGO) for a in one.approvals)),
    )
    resume = rollout_service_pb2.ResumeRolloutRequest(id=rollout.id, reason="mended")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await scene.operator.rollouts.ResumeRollout(resume)
    held = await scene.row(rollout.id)
    await scene.boss.approve(rollout)
    approved = await scene.row(rollout.id)
    await scene.operator.rollouts.ResumeRollout(resume)

    assert gate_of(caught.value) == "approval_fresh"
    assert "sopwith rollout approve" in (caught.value.details() or "")
    assert (held.state, approved.state) == (RolloutState.PAUSED, RolloutState.PAUSED)
    assert approved.state_reason == held.state_reason
    assert (await scene.row(rollout.id)).state is RolloutState.RUNNING


async def test_deviation_lets_a_computer_without_room_be_updated_with_a_warning_in_its_policy(scene: Scene):
    await scene.retire("pc2")
    await _blocked(scene, "disk_free")
    rollout = await scene.operator.submitted()
    refused = await scene.refused(rollout.id)

    await _deviate(scene, gate="disk_free", rollout=rollout.id)
    await scene.operator.start(rollout.id)
    warrant = await scene.agents[0].until_warrant()

    assert refused == "ready_quorum"
    assert warrant.policy["enforce"]["disk_free"] == "warn"
    assert warrant.policy["enforce"]["source_designated"] == "block"
    [offered] = await scene.house.log("ASSIGNMENT_OFFERED")
    assert [one["gate"] for one in json.loads(offered.details)["gates"]] == ["disk_free"]


async def test_integrity_gate_has_no_deviation(scene: Scene):
    with pytest.raises(grpc.aio.AioRpcError, match="integrity gate"):
        await _deviate(scene, gate="source_designated", rollout="")


async def test_deviation_from_a_freeze_reaches_a_connected_computer_at_once_and_one_that_comes_back(scene: Scene):
    rollout = await scene.operator.submitted(max_concurrency=2)
    await scene.operator.start(rollout.id)
    first, second = scene.agents
    warrants = [await agent.until_warrant() for agent in (first, second)]
    deviation = await _deviate(scene, gate="freeze", rollout=rollout.id)

    told = await first.until_lease(lambda lease: lease.despite_freeze == deviation)
    await second.hang_up()
    second.leases.clear()
    await second.connect(journal=((warrants[1].assignment_id, "PREPARING"),))
    again = await second.until_lease(lambda lease: bool(lease.despite_freeze))
    close = deviation_service_pb2.CloseDeviationRequest(id=deviation, reason="over")
    await scene.boss.deviations.CloseDeviation(close)
    ended = await first.until_lease(lambda lease: not lease.despite_freeze)

    assert [warrant.despite_freeze for warrant in warrants] == ["", ""]
    assert (told.assignment_id, again.assignment_id) == tuple(warrant.assignment_id for warrant in warrants)
    assert told.HasField("start_until_time")
    assert ended.HasField("start_until_time")


async def _deviate(scene: Scene, gate: str, rollout: str) -> str:
    asked = deviation_service_pb2.OpenDeviationRequest(gate=gate, rollout=rollout, reason="why", measure="two watch")
    opened = (await scene.operator.deviations.OpenDeviation(asked)).deviation
    await scene.boss.deviations.ApproveDeviation(deviation_service_pb2.ApproveDeviationRequest(id=opened.id))
    identifier: str = opened.id
    return identifier


async def _blocked(scene: Scene, check: str) -> None:
    """Let the first computer report that one check blocks."""
    agent = scene.agents[0]
    agent.verdict, agent.blocked = 2, (check,)
    await agent.report_readiness()
    async with asyncio.timeout(10):
        while True:
            async with scene.house.parts.database.read() as unit:
                computer = await unit.computers.get(agent.computer.id)
            if computer is not None and computer.readiness.verdict == "NOT_READY":
                return
            await asyncio.sleep(0.05)
