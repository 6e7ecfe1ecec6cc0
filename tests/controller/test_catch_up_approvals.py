"""Catch-ups of a class that wants approval: what becomes of one whose plan moved, or whose approvals ran out.

Retained, replaced or cleared as at any start; nobody calls for that start, so that what goes back is asked for again by
the controller itself, and never started on what was approved before.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import grpc
import pytest

from sopwith.v1 import fleet_service_pb2, rollout_service_pb2
from sopwith_controller.domain import approvals
from sopwith_controller.domain.entities import SopState
from sopwith_controller.domain.lasting_entities import Baseline
from sopwith_controller.domain.rollout_entities import Rollout, RolloutState
from sopwith_formats.sop_policy import Range, read_sop_policy
from tests.controller.colleagues import Colleague, change_rollout, colleague, gate_of, make_normal
from tests.controller.house import House
from tests.controller.simulated_agent import SimulatedAgent

LONG_AGO = approvals.APPROVAL_LIFE + timedelta(minutes=1)
NAME = "hello catch-up"


class Scene:
    """A rollout that completed, two computers that came later, and a catch-up that waits for its approval."""

    def __init__(self, house: House, operator: Colleague, boss: Colleague, other: Colleague) -> None:
        self.house, self.operator, self.boss, self.other = house, operator, boss, other
        self.late: list[SimulatedAgent] = []

    async def catch_up(self, holds: Callable[[Rollout], bool] = lambda _: True) -> Rollout:
        """Return the newest catch-up as soon as this holds of it."""
        async with asyncio.timeout(10):
            while True:
                async with self.house.parts.database.read() as unit:
                    found = [one for one in await unit.rollouts.all() if one.name == NAME]
                newest = max(found, key=lambda one: one.created_time, default=None)
                if newest is not None and holds(newest):
                    return newest
                await asyncio.sleep(0.05)

    async def baseline(self) -> Baseline:
        async with self.house.parts.database.read() as unit:
            (found,) = await unit.baselines.in_force()
        return found

    async def come(self, *names: str) -> list[SimulatedAgent]:
        agents = [await self.house.computer(name) for name in names]
        await asyncio.gather(*(agent.connect() for agent in agents))
        return agents

    async def retire(self, name: str) -> None:
        await self.boss.fleet.RetireComputer(fleet_service_pb2.RetireComputerRequest(computer=name, reason="sold"))

    async def rename(self, name: str, new: str) -> None:
        async with self.house.parts.database.write() as unit:
            (known,) = [one for one in await unit.computers.all() if one.name == name]
            await unit.computers.put(replace(known, name=new))
            await unit.commit()

    async def allow_attempts(self, highest: int) -> None:
        """Let a revision take effect that admits so many attempts; the rollout asks for three."""
        async with self.house.parts.database.read() as unit:
            effective = await unit.sops.effective("SU-SOP-001")
        assert effective is not None
        limits = read_sop_policy(effective.policy_json).limits
        await self.revise(limits=replace(limits, attempts_max=Range(1, 1, highest)))

    async def revise(self, **changes: Any) -> None:
        """Let the next revision of the SOP take effect; equal but for these parts of its policy."""
        async with self.house.parts.database.write() as unit:
            before = await unit.sops.effective("SU-SOP-001")
            assert before is not None
            policy = replace(read_sop_policy(before.policy_json), **changes)
            await unit.sops.put(replace(before, state=SopState.SUPERSEDED))
            after = replace(before, revision=before.revision + 1, policy_json=policy.to_json().decode())
            await unit.sops.put(
                replace(after, policy_sha256=f"{after.revision:064}" if changes else after.policy_sha256)
            )
            await unit.commit()

    async def retract_sop(self) -> SopState:
        """Take the effective revision away, and give it back at the next call."""
        async with self.house.parts.database.write() as unit:
            revision = await unit.sops.newest("SU-SOP-001")
            assert revision is not None
            state = SopState.RETIRED if revision.state is SopState.EFFECTIVE else SopState.EFFECTIVE
            await unit.sops.put(replace(revision, state=state))
            await unit.commit()
        return state

    async def messages(self, kind: str, rollout: Rollout) -> list[str]:
        return [entry.message for entry in await self.house.log(kind) if entry.rollout == rollout.id]

    def warrants(self) -> list[str]:
        return [agent.computer.name for agent in self.late if agent.warrants]


@pytest.fixture
async def scene(house: House) -> Scene:
    await make_normal(house)
    people = [
        await colleague(house, "operator", "operator"),
        await colleague(house, "boss", "it_manager"),
        await colleague(house, "other", "owner"),
    ]
    scene = Scene(house, *people)
    await scene.come("pc1")
    first = await scene.boss.approve(await scene.operator.submitted(attempts_max=3))
    await scene.operator.start(first.id)
    await scene.operator.until(first.id, "COMPLETED")
    scene.late = [await house.computer(name) for name in ("pc2", "pc3")]
    for agent in scene.late:
        agent.works = False
    await asyncio.gather(*(agent.connect() for agent in scene.late))
    await scene.catch_up(lambda one: one.state is RolloutState.IN_REVIEW)
    return scene


async def test_the_approval_is_the_start_and_who_asked_for_the_first_rollout_cannot_give_it(scene: Scene):
    asked = await scene.catch_up()
    before = scene.warrants()
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await scene.operator.approve(asked)

    await scene.boss.approve(asked)
    running = await scene.catch_up(lambda one: one.state is RolloutState.RUNNING)

    assert before == []
    assert gate_of(refused.value) == "operator_role"
    assert running.plan_sha256 == asked.plan_sha256
    assert running.operator == "operator"


async def test_an_equal_effect_retains_the_approval(scene: Scene):
    asked = await scene.catch_up()
    await scene.rename("pc2", "pc2-new")
    await scene.revise()

    await scene.boss.approve(asked)
    running = await scene.catch_up(lambda one: one.state is RolloutState.RUNNING)

    assert (running.id, running.plan_sha256) == (asked.id, asked.plan_sha256)
    assert await scene.messages("ROLLOUT_REPLANNED", asked) == []


async def _left(scene: Scene) -> str:
    await scene.retire("pc3")
    return "left: pc3"


async def _other_policy(scene: Scene) -> str:
    await scene.revise(gates={"load": "warn"})
    return "the policy of the SOP"


@pytest.mark.parametrize("move", [_left, _other_policy])
async def test_a_plan_that_moved_is_asked_for_again_and_starts_on_its_new_approval_only(
    scene: Scene, move: Callable[[Scene], Awaitable[str]]
):
    asked = await scene.catch_up()
    what = await move(scene)

    await scene.boss.approve(asked)
    again = await scene.catch_up(lambda one: one.plan_sha256 != asked.plan_sha256)
    waiting = scene.warrants()
    with pytest.raises(grpc.aio.AioRpcError) as replayed:
        await scene.boss.approve(asked)
    await scene.boss.approve(again)
    running = await scene.catch_up(lambda one: one.state is RolloutState.RUNNING)

    assert (again.id, again.state, again.approvals) == (asked.id, RolloutState.IN_REVIEW, ())
    assert waiting == []
    assert gate_of(replayed.value) == "approval_fresh"
    assert running.plan_sha256 == again.plan_sha256
    (told,) = await scene.messages("ROLLOUT_REPLANNED", asked)
    assert what in told
    assert "submitted again" in (await scene.messages("ROLLOUT_SUBMITTED", asked))[-1]


async def test_one_of_which_nothing_is_left_is_closed_and_the_baseline_stays_for_others(scene: Scene):
    asked = await scene.catch_up()
    for name in ("pc2", "pc3"):
        await scene.retire(name)

    await scene.boss.approve(asked)
    closed = await scene.catch_up(lambda one: one.state is RolloutState.ABORTED)
    baseline = await scene.baseline()
    await scene.come("pc4")
    next_one = await scene.catch_up(lambda one: one.id != asked.id)

    assert "nothing is left of its plan" in closed.state_reason
    assert baseline.catch_up_id == ""
    assert next_one.state is RolloutState.IN_REVIEW
    assert await scene.house.log("BASELINE_ENDED") == []


async def test_a_person_s_start_of_one_of_which_nothing_is_left_leaves_the_baseline_too(scene: Scene):
    asked = await scene.catch_up()
    await scene.retract_sop()
    await scene.boss.approve(asked)
    await scene.catch_up(lambda one: one.state is RolloutState.APPROVED)
    for name in ("pc2", "pc3"):
        await scene.retire(name)
    await scene.house.parts.newcomers.sweep()
    await scene.retract_sop()

    with pytest.raises(grpc.aio.AioRpcError):
        await scene.operator.start(asked.id)
    await scene.house.parts.newcomers.sweep()

    assert (await scene.catch_up()).state is RolloutState.ABORTED
    assert (await scene.baseline()).catch_up_id == ""


async def test_an_approval_that_ran_out_before_the_start_is_asked_for_again(scene: Scene):
    asked = await scene.catch_up()
    await scene.retract_sop()
    await scene.boss.approve(asked)
    await scene.house.parts.newcomers.sweep()
    held = await scene.catch_up()
    why = (await scene.baseline()).waiting
    aged = tuple(replace(one, time=one.time - LONG_AGO) for one in held.approvals)
    await change_rollout(scene.house, asked.id, lambda one: replace(one, approvals=aged))
    await scene.retract_sop()

    await scene.house.parts.newcomers.sweep()
    again = await scene.catch_up()
    waiting = scene.warrants()
    await scene.boss.approve(again)
    running = await scene.catch_up(lambda one: one.state is RolloutState.RUNNING)

    assert held.state is RolloutState.APPROVED
    assert "SU-SOP-001" in why
    assert (again.state, again.approvals, again.plan_sha256) == (RolloutState.IN_REVIEW, (), asked.plan_sha256)
    assert waiting == []
    assert len(running.approvals) == 1
    (told,) = await scene.messages("ROLLOUT_REPLANNED", asked)
    assert "approvals still count" in told
    assert (await scene.baseline()).waiting == ""


async def test_the_approval_of_somebody_who_left_meanwhile_is_asked_for_again(scene: Scene):
    asked = await scene.catch_up()
    await scene.retract_sop()
    await scene.boss.approve(asked)
    async with scene.house.parts.database.write() as unit:
        boss = await unit.people.get("p-boss")
        assert boss is not None
        await unit.people.put(replace(boss, state="REVOKED"))
        await unit.commit()
    await scene.retract_sop()

    await scene.house.parts.newcomers.sweep()
    again = await scene.catch_up()
    await scene.other.approve(again)
    running = await scene.catch_up(lambda one: one.state is RolloutState.RUNNING)

    assert (again.state, again.approvals) == (RolloutState.IN_REVIEW, ())
    assert [approval.person for approval in running.approvals] == ["other"]


async def test_one_that_cannot_be_asked_for_again_says_why_and_is_tried_at_every_later_look(scene: Scene):
    asked = await scene.catch_up()
    await scene.allow_attempts(2)

    await scene.boss.approve(asked)
    back = await scene.catch_up(lambda one: one.state is RolloutState.DRAFT)
    await scene.house.parts.newcomers.sweep()
    still = await scene.catch_up()
    why = (await scene.baseline()).waiting
    await scene.allow_attempts(5)
    await scene.house.parts.newcomers.sweep()
    again = await scene.catch_up()

    assert (back.state, still.state) == (RolloutState.DRAFT, RolloutState.DRAFT)
    assert "attempts_max" in why
    assert again.state is RolloutState.IN_REVIEW
    assert (await scene.baseline()).waiting == ""


async def test_one_that_a_person_rejected_waits_for_a_person_and_takes_nobody_else_in(scene: Scene):
    asked = await scene.catch_up()
    await scene.boss.rollouts.RejectRollout(rollout_service_pb2.RejectRolloutRequest(id=asked.id, reason="not now"))

    await scene.house.parts.newcomers.sweep()
    rejected = await scene.catch_up()
    explained = rollout_service_pb2.ExplainRolloutRequest(id=(await scene.baseline()).rollout_id, computer="pc2")
    (why,) = (await scene.operator.rollouts.ExplainRollout(explained)).explanations
    submitted = await scene.operator.submit(asked.id)

    assert rejected.state is RolloutState.DRAFT
    assert "rejected by boss: not now" in why.message
    assert sum(wave.size for wave in submitted.waves) == 2
    assert scene.warrants() == []
