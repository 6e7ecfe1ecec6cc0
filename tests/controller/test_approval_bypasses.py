"""Every way around an approval that somebody may try, on a running controller over real mTLS: a gate refuses each.

There is no `apply` command and no call behind one: nothing but StartRollout starts a rollout.
"""

from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from sopwith.v1 import rollout_service_pb2
from sopwith_agent.adapters.identity_store import IdentityStore, Trust
from sopwith_certs.signing import new_key
from sopwith_controller.cli.program import NOUNS
from sopwith_controller.domain import approvals
from sopwith_controller.domain.rollout_entities import RolloutState
from tests.agent.workshop import Workshop
from tests.controller.colleagues import Colleague, change_rollout, colleague, gate_of, make_normal
from tests.controller.house import House
from tests.controller.simulated_agent import SimulatedAgent
from tests.controller.test_cli_people import Run, sopwith

__all__ = ["sopwith"]
AGE = approvals.APPROVAL_LIFE + timedelta(minutes=1)


class Scene:
    """A fleet of one, a release that wants an approval, and three people."""

    def __init__(self, house: House, agent: SimulatedAgent, people: dict[str, Colleague]) -> None:
        self.house = house
        self.agent = agent
        self.operator = people["operator"]
        self.boss = people["boss"]
        self.other = people["other"]

    async def approved(self, **spec: Any) -> Any:
        """Return a rollout that the boss approved."""
        return await self.boss.approve(await self.operator.submitted(**spec))

    async def refusal(self, call: Awaitable[Any]) -> str:
        """Return the gate that refused; nothing may have reached the computer."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert self.agent.warrants == []
        return gate_of(caught.value)

    async def state(self, identifier: str) -> RolloutState:
        async with self.house.parts.database.read() as unit:
            rollout = await unit.rollouts.get(identifier)
        assert rollout is not None
        return rollout.state


@pytest.fixture
async def scene(house: House) -> Scene:
    await make_normal(house)
    people = {
        "operator": await colleague(house, "operator", "operator"),
        "boss": await colleague(house, "boss", "it_manager", "operator"),
        "other": await colleague(house, "other", "owner"),
    }
    agent = await house.computer("pc1")
    agent.works = False
    await agent.connect()
    return Scene(house, agent, people)


async def test_an_approved_rollout_starts(scene: Scene):
    rollout = await scene.approved()

    await scene.operator.start(rollout.id)
    warrant = await scene.agent.until_warrant()

    assert (warrant.change_class, warrant.approvals_needed, len(warrant.approvals)) == ("normal", 1, 1)


async def test_a_start_without_approval_is_refused_over_the_wire(scene: Scene):
    rollout = await scene.operator.submitted()

    gate = await scene.refusal(scene.operator.start(rollout.id))

    assert gate == "approval_fresh"
    assert await scene.state(rollout.id) is RolloutState.IN_REVIEW


@pytest.mark.clause("III Responsibilities", "order")
async def test_a_start_of_what_was_never_submitted_is_refused(scene: Scene):
    rollout = await scene.operator.submitted()
    request = rollout_service_pb2.RejectRolloutRequest(id=rollout.id, reason="not now")
    await scene.boss.rollouts.RejectRollout(request)

    assert await scene.refusal(scene.operator.start(rollout.id)) == "sop_step_order"


async def test_the_commands_know_no_other_way_to_a_start(scene: Scene, sopwith: Run):
    rollout = await scene.operator.submitted()

    code, _, words = await scene.operator.runs(sopwith, "rollout", "start", rollout.id, "--yes", "--reason", "hurry")

    assert (code, "approval_fresh" in words, "VII" in words) == (4, True, True)
    assert "apply" not in NOUNS
    assert scene.agent.warrants == []


async def test_a_retry_starts_nothing_that_waits_for_its_approval(scene: Scene):
    rollout = await scene.operator.submitted()
    request = rollout_service_pb2.RetryRolloutRequest(id=rollout.id, reason="again")

    assert await scene.refusal(scene.operator.rollouts.RetryRollout(request)) == "approval_fresh"


async def test_a_retry_after_the_approval_ran_out_is_refused(scene: Scene):
    rollout = await scene.approved()
    await scene.operator.start(rollout.id)
    scene.agent.receipt(await scene.agent.until_warrant(), "FAILED", "DISK_FULL")
    await scene.operator.until(rollout.id, "COMPLETED")
    await change_rollout(scene.house, rollout.id, lambda one: replace(one, approvals=_aged(one)))
    request = rollout_service_pb2.RetryRolloutRequest(id=rollout.id, reason="disk cleaned")
    scene.agent.warrants.clear()

    assert await scene.refusal(scene.operator.rollouts.RetryRollout(request)) == "approval_fresh"


async def test_a_clone_inherits_no_approval(scene: Scene):
    first = await scene.operator.submitted()
    envelope = scene.boss.envelope(first)
    await scene.boss.approve(first, envelope)
    clone = await scene.operator.submitted(rollout="hello again")

    replayed = await scene.refusal(scene.boss.approve(clone, envelope))
    started = await scene.refusal(scene.operator.start(clone.id))

    assert (replayed, started) == ("approval_fresh", "approval_fresh")


async def test_an_approval_of_the_plan_before_is_refused(scene: Scene):
    first = await scene.operator.submitted()
    envelope = scene.boss.envelope(first)
    request = rollout_service_pb2.RejectRolloutRequest(id=first.id, reason="add the second one")
    await scene.boss.rollouts.RejectRollout(request)
    await scene.house.computer("pc2")
    changed = await scene.operator.submit(first.id)

    named_before = await scene.refusal(scene.boss.approve(first, envelope))
    named_now = await scene.refusal(scene.boss.approve(changed, envelope))

    assert changed.plan_sha256 != first.plan_sha256
    assert (named_before, named_now) == ("approval_fresh", "approval_fresh")


async def test_a_plan_that_moved_after_its_approval_goes_back(scene: Scene):
    rollout = await scene.approved()
    await scene.house.computer("pc2")

    gate = await scene.refusal(scene.operator.start(rollout.id))
    back = await scene.operator.rollout(rollout.id)

    assert gate == "approval_fresh"
    assert await scene.state(rollout.id) is RolloutState.DRAFT
    assert "joined: pc2" in back.state_reason
    assert "ROLLOUT_REPLANNED" in await scene.house.log_kinds()


async def test_a_plan_that_was_changed_in_the_tables_starts_nothing(scene: Scene):
    rollout = await scene.approved()
    await change_rollout(scene.house, rollout.id, lambda one: replace(one, plan_sha256="e" * 64))

    assert await scene.refusal(scene.operator.start(rollout.id)) == "approval_fresh"


async def test_an_approval_of_more_than_two_weeks_counts_no_more(scene: Scene):
    rollout = await scene.approved()
    await change_rollout(scene.house, rollout.id, lambda one: replace(one, approvals=_aged(one)))

    gate = await scene.refusal(scene.operator.start(rollout.id))

    assert gate == "approval_fresh"
    assert await scene.state(rollout.id) is RolloutState.DRAFT


async def test_an_old_signature_does_not_become_a_new_approval(scene: Scene):
    rollout = await scene.operator.submitted()
    envelope = scene.boss.envelope(rollout, signed=datetime.now(UTC) - AGE)

    assert await scene.refusal(scene.boss.approve(rollout, envelope)) == "approval_fresh"


async def test_nobody_approves_what_they_asked_for(scene: Scene):
    rollout = await scene.boss.submitted()

    gate = await scene.refusal(scene.boss.approve(rollout))

    assert gate == "operator_role"
    assert await scene.refusal(scene.boss.start(rollout.id)) == "approval_fresh"


async def test_an_operator_approves_nothing(scene: Scene):
    rollout = await scene.boss.submitted()

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await scene.operator.approve(rollout)

    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert await scene.state(rollout.id) is RolloutState.IN_REVIEW


async def test_an_approval_that_somebody_else_signed_is_refused(scene: Scene):
    rollout = await scene.operator.submitted()
    borrowed = scene.boss.envelope(rollout)
    renamed = scene.other.envelope(rollout, person="boss")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await scene.other.approve(rollout, borrowed)
    gate = await scene.refusal(scene.other.approve(rollout, renamed))

    assert (caught.value.code(), gate) == (grpc.StatusCode.PERMISSION_DENIED, "approval_fresh")
    assert await scene.state(rollout.id) is RolloutState.IN_REVIEW


async def test_the_approval_of_somebody_who_left_counts_no_more(scene: Scene):
    rollout = await scene.approved()
    async with scene.house.parts.database.write() as unit:
        person = await unit.people.get("p-boss")
        assert person is not None
        await unit.people.put(replace(person, state="REVOKED"))
        await unit.commit()

    assert await scene.refusal(scene.operator.start(rollout.id)) == "approval_fresh"
    assert await scene.state(rollout.id) is RolloutState.DRAFT


async def test_a_computer_that_comes_back_is_sent_nothing_whose_approval_is_gone(scene: Scene):
    approved = await scene.approved()
    await scene.operator.start(approved.id)
    await scene.agent.until_warrant()
    await scene.agent.hang_up()
    scene.agent.warrants.clear()

    await change_rollout(scene.house, approved.id, lambda one: replace(one, approvals=()))
    await scene.agent.connect()
    await scene.house.parts.advancing.sweep()

    assert scene.agent.warrants == []


async def test_a_real_agent_refuses_where_the_controllers_own_check_is_switched_off(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(approvals, "approvers_needed", lambda *_: 0)
    monkeypatch.setattr(approvals, "is_enough", lambda *_, **__: True)
    (tmp_path / "agent").mkdir()
    shop = Workshop(tmp_path / "agent")
    shop.install("1")
    identity = _identity(tmp_path / "identity", scene.house)
    shop.bench = replace(shop.bench, approval_proof=identity, computer_id=lambda: "c-pc1")
    shop.worker = type(shop.worker)(shop.bench, shop.stopping)
    manifest = shop.publish("2")
    rollout = await scene.operator.submitted()
    await scene.operator.start(rollout.id)
    warrant = await scene.agent.until_warrant()
    told = shop.warrant(manifest)

    shop.offer(
        replace(
            warrant,
            version="2",
            manifest_sha256=told.manifest_sha256,
            issued_time=told.issued_time,
            deadline_time=told.deadline_time,
            start_until_time=told.start_until_time,
            assignment_id=told.assignment_id,
        )
    )
    shop.run()

    receipt = shop.receipt()
    assert (receipt.outcome, receipt.symptom) == ("FAILED", "WARRANT_REFUSED")
    assert "0 of 1 approvals" in receipt.detail
    assert (shop.installed(), receipt.commits) == ("1", 0)


async def test_a_real_agent_believes_the_approval_that_the_controller_sends_and_no_other_plan_or_person(
    scene: Scene, tmp_path: Path
):
    rollout = await scene.approved()
    await scene.operator.start(rollout.id)
    warrant = await scene.agent.until_warrant()
    identity = _identity(tmp_path / "identity", scene.house)
    given = warrant.approvals[0]

    person, approval = identity.approver(given["envelope"], given["certificate"])

    assert (person, approval.rollout_id, approval.plan_sha256) == ("p-boss", rollout.id, rollout.plan_sha256)
    assert warrant.requester == "p-operator"


def _identity(folder: Path, house: House) -> IdentityStore:
    """Return the identity folder of a computer that pinned this controller's authorities."""
    store = IdentityStore(folder)
    store.keep_enrolling_key(new_key())
    store.keep_authorities(house.authority.trust_bundle_pem)
    store.keep_trust(Trust("127.0.0.1:1", house.authority.trust_domain, "127.0.0.1", 2, "", "", "pc1"))
    return store


def _aged(rollout: Any) -> tuple[Any, ...]:
    return tuple(replace(one, time=one.time - AGE) for one in rollout.approvals)
