"""Deviations and the last gate, on a running controller: over real mTLS, with real records."""

import json
from dataclasses import replace

import grpc
import pytest

from sopwith.v1 import deviation_service_pb2, deviation_service_pb2_grpc, rollout_service_pb2
from sopwith_agent.domain.errors import TrustError
from sopwith_agent.steps.authorisation import check_authorised
from sopwith_certs.identity import Kind
from sopwith_controller.domain import approvals
from sopwith_formats.manifest import read_manifest
from sopwith_formats.rollout_spec import RolloutSpec
from tests.agent.fakes import FakeApprovalProof, FakeHeldPolicies
from tests.controller.colleagues import colleague
from tests.controller.house import House
from tests.controller.test_cli_people import Run, sopwith

__all__ = ["sopwith"]
DAY = 24 * 3600
DEVIATION_KEYS = {
    "id",
    "gate",
    "clause",
    "state",
    "reason",
    "measure",
    "requester",
    "approver",
    "rollout",
    "plan_sha256",
    "computers",
    "sop_id",
    "created_time",
    "approved_time",
    "expires_time",
    "closed_time",
    "closed_by",
    "closing_reason",
}


async def test_value_outside_the_bounds_passes_with_a_deviation_that_somebody_else_approved(house: House):
    await house.publish("hello", "1")
    operator, _ = await house.person("operator", "operator"), await house.person("boss", "owner", "it_manager")
    desks = {
        name: deviation_service_pb2_grpc.DeviationServiceStub(house.channel(house.pair(Kind.PERSON, f"p-{name}")))
        for name in ("operator", "boss")
    }
    await (await house.computer("pc1")).connect()
    spec = RolloutSpec(rollout="late", release="hello@1", sop="SU-SOP-001", deadline_seconds=400 * DAY)
    created = await operator.rollouts.CreateRollout(
        rollout_service_pb2.CreateRolloutRequest(rollout_json=spec.to_json().decode())
    )
    submit = rollout_service_pb2.SubmitRolloutRequest(id=created.rollout.id)
    with pytest.raises(grpc.aio.AioRpcError, match="outside the bounds"):
        await operator.rollouts.SubmitRollout(submit)
    asked = deviation_service_pb2.OpenDeviationRequest(
        gate="sop_bounds", rollout=created.rollout.id, reason="ships at sea", measure="looked at each month"
    )
    opened = (await desks["operator"].OpenDeviation(asked)).deviation
    approve = deviation_service_pb2.ApproveDeviationRequest(id=opened.id)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await desks["operator"].ApproveDeviation(approve)
    await desks["boss"].ApproveDeviation(approve)

    submitted = await operator.rollouts.SubmitRollout(submit)

    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert [one.id for one in submitted.rollout.deviations] == [opened.id]
    assert f"deviation {opened.id}" in submitted.plan.forecast.warnings[0]
    [entry] = await house.log("ROLLOUT_SUBMITTED")
    assert opened.id in str(entry)
    assert "DEVIATION_APPROVED" in await house.log_kinds()


async def test_agent_refuses_a_normal_change_where_the_controller_forgot_to_look(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    await house.publish("hello", "1")
    async with house.parts.database.write() as unit:
        release = await unit.releases.get("hello", "1")
        assert release is not None
        manifest = replace(read_manifest(release.manifest_json.encode()), change_class="normal")
        await unit.releases.put(replace(release, manifest_json=manifest.to_json().decode()))
        await unit.commit()
    monkeypatch.setattr(approvals, "approvers_needed", lambda *_: 0)
    monkeypatch.setattr(approvals, "is_enough", lambda *_, **__: True)
    operator = await house.person("operator", "operator")
    agent = await house.computer("pc1")
    agent.works = False
    await agent.connect()

    await operator.started("1")
    warrant = await agent.until_warrant()

    assert warrant.change_class == "normal"
    with pytest.raises(TrustError, match="0 of 1 approvals") as caught:
        check_authorised(warrant, FakeApprovalProof(), FakeHeldPolicies())
    assert caught.value.symptom == "WARRANT_REFUSED"


async def test_a_deviation_is_asked_for_approved_listed_and_closed_from_the_command_line(house: House, sopwith: Run):
    operator, boss = await colleague(house, "operator", "operator"), await colleague(house, "boss", "it_manager")
    asked = ("deviation", "open", "--gate", "backup", "--reason", "old kiosks", "--measure", "images at hand")

    code, out, _ = await operator.runs(sopwith, *asked, "--expires", "2d", "-o", "json")
    opened = json.loads(out)
    own, _, words = await operator.runs(sopwith, "deviation", "approve", opened["id"])
    _, out, _ = await boss.runs(sopwith, "deviation", "approve", opened["id"], "-o", "json")
    approved = json.loads(out)
    _, table, _ = await boss.runs(sopwith, "deviation", "list")
    _, out, _ = await boss.runs(sopwith, "deviation", "close", opened["id"], "--reason", "replaced", "-o", "json")
    closed = json.loads(out)
    _, out, _ = await operator.runs(sopwith, "deviation", "list", "-o", "json")
    integrity = await operator.runs(sopwith, *asked[:3], "signature", *asked[4:])

    assert code == 0
    assert set(opened) == DEVIATION_KEYS
    assert (opened["gate"], opened["clause"], opened["state"]) == ("backup", "V.C", "OPEN")
    assert (own, "operator_role" in words or "PERMISSION" in words) == (4, True)
    assert (approved["state"], approved["approver"]) == ("APPROVED", "boss")
    assert opened["id"] in table
    assert (closed["state"], closed["closed_by"], closed["closing_reason"]) == ("CLOSED", "boss", "replaced")
    assert json.loads(out) == [closed]
    assert (integrity[0], "integrity gate" in integrity[2]) == (1, True)
