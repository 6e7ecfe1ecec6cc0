"""A request that is sent twice has one effect and the same answer: every changing call of the wire, by its descriptor.

The table below holds one row per call; a test compares it with the wire, so that a new call cannot forget its row.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from sopwith.v1 import (
    fleet_service_pb2,
    incident_service_pb2,
    practice_service_pb2,
    release_service_pb2,
    release_service_pb2_grpc,
    rollout_service_pb2,
)
from sopwith_certs.plan_approvals import sign_approval
from sopwith_certs.signing import fingerprint, new_key, public_key_pem
from sopwith_controller.api.roles import ALL_ROLES, ROLES
from sopwith_controller.domain.entities import ComputerState, Person
from sopwith_formats.plan_approval import PlanApproval
from sopwith_formats.rollout_spec import RolloutSpec
from sopwith_formats.sop_policy import WaveRule
from sopwith_formats.units import format_time
from sopwith_formats.vocabulary import Symptom
from tests.controller.house import Desk, House
from tests.controller.simulated_agent import SimulatedAgent

SERVICES = {
    "FleetService": fleet_service_pb2,
    "IncidentService": incident_service_pb2,
    "PracticeService": practice_service_pb2,
    "ReleaseService": release_service_pb2,
    "RolloutService": rollout_service_pb2,
}
BY_THEIR_CONTENT = {"UploadTarget", "DesignateSource", "CommitSource", "ImportFreezes", "ImportComputers"}
"""Sent twice they find the very same content in place: `test_releases` shows it for files, the request id of
CommitSource for metadata, `services/test_freezes` for a calendar, which goes by its events' UIDs; the second import of
a list of computers changes nothing either."""
ID = "request-1"


def _changing() -> set[str]:
    """Return the calls of these services that not everybody may make, without those that only look."""
    methods = {
        method.name
        for module, service in ((module, name) for name, module in SERVICES.items())
        for method in module.DESCRIPTOR.services_by_name[service].methods
        if not ROLES[f"/sopwith.v1.{service}/{method.name}"] >= ALL_ROLES
    }
    return methods - BY_THEIR_CONTENT - {"RunDoctor"}


class Scene:
    """A house with everybody in it."""

    def __init__(self, house: House, boss: Desk, operator: Desk) -> None:
        self.house = house
        self.boss = boss
        self.operator = operator
        self.releases = release_service_pb2_grpc.ReleaseServiceStub(boss.channel)

    async def computer(self, state: ComputerState = ComputerState.ACCEPTED) -> SimulatedAgent:
        return await self.house.computer("pc1", state=state)

    async def draft(self) -> str:
        created = await self.operator.rollouts.CreateRollout(
            rollout_service_pb2.CreateRolloutRequest(rollout_json=_spec())
        )
        identifier: str = created.rollout.id
        return identifier

    async def running(self, *, works: bool = False) -> tuple[str, SimulatedAgent]:
        agent = await self.computer()
        agent.works = works
        await agent.connect()
        identifier = await self.operator.started("1")
        await agent.until_warrant()
        return identifier, agent

    async def incident(self) -> str:
        incidents = self.house.parts.incidents
        async with self.house.parts.database.write() as unit:
            raised = await incidents.raise_in(unit, symptom=Symptom.LOG_INTEGRITY, severity=1, summary="odd")
            await unit.commit()
        return raised.id


def _spec(**changes: Any) -> str:
    waves = (WaveRule("all", "100%", 0),)
    spec = RolloutSpec(rollout="hello", release="hello@1", sop="SU-SOP-001", waves=waves, **changes)
    return spec.to_json().decode()


Made = tuple[Callable[..., Awaitable[Any]], Any]


async def _label(scene: Scene) -> Made:
    await scene.computer()
    return scene.boss.fleet.LabelComputer, fleet_service_pb2.LabelComputerRequest(computer="pc1", set={"ring": "x"})


async def _accept(scene: Scene) -> Made:
    await scene.computer(ComputerState.PENDING)
    return scene.boss.fleet.AcceptComputer, fleet_service_pb2.AcceptComputerRequest(computer="pc1")


async def _reject(scene: Scene) -> Made:
    await scene.computer(ComputerState.PENDING)
    return scene.boss.fleet.RejectComputer, fleet_service_pb2.RejectComputerRequest(computer="pc1", reason="why")


async def _retire(scene: Scene) -> Made:
    await scene.computer()
    return scene.boss.fleet.RetireComputer, fleet_service_pb2.RetireComputerRequest(computer="pc1", reason="sold")


async def _quarantine(scene: Scene) -> Made:
    await scene.computer()
    request = fleet_service_pb2.QuarantineComputerRequest(computer="pc1", reason="odd")
    return scene.boss.fleet.QuarantineComputer, request


async def _start_freeze(scene: Scene) -> Made:
    return scene.boss.fleet.StartFreeze, fleet_service_pb2.StartFreezeRequest(reason="quarter")


async def _end_freeze(scene: Scene) -> Made:
    await scene.boss.fleet.StartFreeze(fleet_service_pb2.StartFreezeRequest(reason="quarter"))
    return scene.boss.fleet.EndFreeze, fleet_service_pb2.EndFreezeRequest(reason="over")


async def _acknowledge(scene: Scene) -> Made:
    request = incident_service_pb2.AcknowledgeIncidentRequest(id=await scene.incident())
    return scene.boss.incidents.AcknowledgeIncident, request


async def _note(scene: Scene) -> Made:
    request = incident_service_pb2.NoteIncidentRequest(id=await scene.incident(), text="asked the vendor")
    return scene.boss.incidents.NoteIncident, request


async def _resolve(scene: Scene) -> Made:
    request = incident_service_pb2.ResolveIncidentRequest(id=await scene.incident(), reason="mended")
    return scene.boss.incidents.ResolveIncident, request


async def _withdraw(scene: Scene) -> Made:
    return scene.releases.WithdrawRelease, release_service_pb2.WithdrawReleaseRequest(
        release="hello@1", reason="breaks printing"
    )


async def _permit(scene: Scene) -> Made:
    agent = await scene.computer()
    async with scene.house.parts.database.write() as unit:
        await unit.releases.note_rolled_back("hello", "1", agent.computer.id)
        await unit.commit()
    return scene.releases.PermitRelease, release_service_pb2.PermitReleaseRequest(release="hello@1", reason="mended")


async def _create(scene: Scene) -> Made:
    await scene.computer()
    request = rollout_service_pb2.CreateRolloutRequest(rollout_json=_spec())
    return scene.operator.rollouts.CreateRollout, request


async def _submit(scene: Scene) -> Made:
    await scene.computer()
    request = rollout_service_pb2.SubmitRolloutRequest(id=await scene.draft())
    return scene.operator.rollouts.SubmitRollout, request


async def _in_review(scene: Scene) -> Any:
    await scene.computer()
    created = await scene.operator.rollouts.CreateRollout(
        rollout_service_pb2.CreateRolloutRequest(rollout_json=_spec())
    )
    async with scene.house.parts.database.write() as unit:
        settings = await unit.settings()
        await unit.put_settings(type(settings)(**{**vars(settings), "profile": "regulated"}))
        await unit.commit()
    done = await scene.operator.rollouts.SubmitRollout(rollout_service_pb2.SubmitRolloutRequest(id=created.rollout.id))
    return done.rollout


async def _approve(scene: Scene) -> Made:
    rollout = await _in_review(scene)
    key = new_key()
    async with scene.house.parts.database.write() as unit:
        person = await unit.people.get("p-boss")
        assert person is not None
        bound = {"public_key_pem": public_key_pem(key.public_key()).decode()}
        await unit.people.put(Person(**{**vars(person), **bound}))
        await unit.commit()
    key_id = fingerprint(key.public_key())
    approval = PlanApproval(rollout.id, rollout.plan_sha256, "boss", format_time(datetime.now(UTC)), key_id)
    request = rollout_service_pb2.ApproveRolloutRequest(
        id=rollout.id, plan_sha256=rollout.plan_sha256, envelope_json=sign_approval(approval, key)
    )
    return scene.boss.rollouts.ApproveRollout, request


async def _reject_rollout(scene: Scene) -> Made:
    rollout = await _in_review(scene)
    request = rollout_service_pb2.RejectRolloutRequest(id=rollout.id, reason="wrong week")
    return scene.boss.rollouts.RejectRollout, request


async def _start(scene: Scene) -> Made:
    await (await scene.computer()).connect()
    identifier = await scene.draft()
    await scene.operator.rollouts.SubmitRollout(rollout_service_pb2.SubmitRolloutRequest(id=identifier))
    request = rollout_service_pb2.StartRolloutRequest(id=identifier, reason="monthly")
    return scene.operator.rollouts.StartRollout, request


async def _pause(scene: Scene) -> Made:
    identifier, _ = await scene.running()
    request = rollout_service_pb2.PauseRolloutRequest(id=identifier, reason="complaints")
    return scene.operator.rollouts.PauseRollout, request


async def _resume(scene: Scene) -> Made:
    identifier, _ = await scene.running()
    await scene.operator.rollouts.PauseRollout(rollout_service_pb2.PauseRolloutRequest(id=identifier, reason="wait"))
    request = rollout_service_pb2.ResumeRolloutRequest(id=identifier, reason="go on")
    return scene.operator.rollouts.ResumeRollout, request


async def _abort(scene: Scene) -> Made:
    identifier, agent = await scene.running()
    installing = agent.progress(agent.warrants[0], "INSTALLING")
    await agent.until_acknowledged(installing)
    request = rollout_service_pb2.AbortRolloutRequest(id=identifier, reason="enough")
    return scene.operator.rollouts.AbortRollout, request


async def _retry(scene: Scene) -> Made:
    agent = await scene.computer()
    agent.outcomes["1"] = ("FAILED", "DISK_FULL")
    await agent.connect()
    identifier = await scene.operator.started("1")
    await scene.operator.until(identifier, "COMPLETED")
    agent.works = False
    request = rollout_service_pb2.RetryRolloutRequest(id=identifier, reason="disk cleaned")
    return scene.operator.rollouts.RetryRollout, request


async def _review(scene: Scene) -> Made:
    agent = await scene.computer()
    await agent.connect()
    identifier = await scene.operator.started("1", emergency=True)
    request = rollout_service_pb2.ReviewRolloutRequest(id=identifier, note="the leak is closed")
    return scene.boss.rollouts.ReviewRollout, request


async def _excuse(scene: Scene) -> Made:
    listed = [fleet_service_pb2.ListedComputer(name="pc9")]
    await scene.boss.fleet.ImportComputers(fleet_service_pb2.ImportComputersRequest(computers=listed))
    request = fleet_service_pb2.ExcuseComputerRequest(name="pc9", reason="in repair")
    request.until_time.FromDatetime(datetime.now(UTC) + timedelta(days=9))
    return scene.boss.fleet.ExcuseComputer, request


async def _drill(scene: Scene) -> Made:
    async with scene.house.parts.database.read() as unit:
        effective = await unit.sops.effective("SU-SOP-001")
    assert effective is not None
    digest = effective.policy_sha256
    request = practice_service_pb2.RecordDrillRequest(
        sop_id="SU-SOP-001", revision=1, policy_sha256=digest, tasks={"start it": "done"}
    )
    return scene.operator.practice.RecordDrill, request


async def _close_review(scene: Scene) -> Made:
    request = practice_service_pb2.CloseSopReviewRequest(sop_id="SU-SOP-001", outcome="NO_CHANGE", note="fits")
    return scene.boss.practice.CloseSopReview, request


async def _feedback(scene: Scene) -> Made:
    request = practice_service_pb2.GiveSopFeedbackRequest(sop_id="SU-SOP-001", clause="V.C", text="the soak is short")
    return scene.operator.practice.GiveSopFeedback, request


async def _dispose(scene: Scene) -> Made:
    give, said = await _feedback(scene)
    given = await give(said)
    request = practice_service_pb2.DisposeSopFeedbackRequest(
        id=given.feedback.id, disposition="accepted", reason="true"
    )
    return scene.boss.practice.DisposeSopFeedback, request


CALLS: dict[str, Callable[[Scene], Awaitable[Made]]] = {
    "LabelComputer": _label,
    "AcceptComputer": _accept,
    "RejectComputer": _reject,
    "RetireComputer": _retire,
    "QuarantineComputer": _quarantine,
    "StartFreeze": _start_freeze,
    "EndFreeze": _end_freeze,
    "AcknowledgeIncident": _acknowledge,
    "NoteIncident": _note,
    "ResolveIncident": _resolve,
    "WithdrawRelease": _withdraw,
    "PermitRelease": _permit,
    "CreateRollout": _create,
    "SubmitRollout": _submit,
    "ApproveRollout": _approve,
    "RejectRollout": _reject_rollout,
    "StartRollout": _start,
    "PauseRollout": _pause,
    "ResumeRollout": _resume,
    "AbortRollout": _abort,
    "RetryRollout": _retry,
    "ReviewRollout": _review,
    "ExcuseComputer": _excuse,
    "RecordDrill": _drill,
    "CloseSopReview": _close_review,
    "GiveSopFeedback": _feedback,
    "DisposeSopFeedback": _dispose,
}


@pytest.fixture
async def scene(house: House) -> Scene:
    """Return a house with somebody for everything, and an operator."""
    boss = await house.person("boss", "owner", "it_manager", "release_manager")
    return Scene(house, boss, await house.person("operator", "operator"))


def test_the_table_has_every_changing_call_of_the_wire():
    assert set(CALLS) == _changing()


def test_every_changing_request_can_carry_an_id():
    wire = [module.DESCRIPTOR.services_by_name[service] for service, module in SERVICES.items()]
    inputs = {method.name: method.input_type.fields_by_name for service in wire for method in service.methods}

    assert [name for name in sorted(_changing()) if "request_id" not in inputs[name]] == []


@pytest.mark.parametrize("name", sorted(CALLS))
async def test_a_request_that_is_sent_twice_has_one_effect_and_one_answer(scene: Scene, name: str):
    call, request = await CALLS[name](scene)
    request.request_id = ID
    first = await call(request)
    await scene.house.parts.advancing.sweep()
    kinds = await scene.house.log_kinds()

    again = await call(request)

    said = [kind for kind in await scene.house.log_kinds() if kind not in {"ASSIGNMENT_OFFERED", "WAVE_OPENED"}]
    assert _without_progress(again) == _without_progress(first)
    assert said == [kind for kind in kinds if kind not in {"ASSIGNMENT_OFFERED", "WAVE_OPENED"}]


async def test_an_id_that_stands_for_another_act_is_refused(scene: Scene):
    identifier, _ = await scene.running()
    pause = rollout_service_pb2.PauseRolloutRequest(id=identifier, reason="wait", request_id=ID)
    await scene.operator.rollouts.PauseRollout(pause)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await scene.operator.rollouts.ResumeRollout(
            rollout_service_pb2.ResumeRolloutRequest(id=identifier, reason="go on", request_id=ID)
        )

    assert "was used for something else" in (caught.value.details() or "")


async def test_an_id_belongs_to_the_person_who_chose_it(scene: Scene):
    identifier, _ = await scene.running()
    pause = rollout_service_pb2.PauseRolloutRequest(id=identifier, reason="wait", request_id=ID)
    await scene.operator.rollouts.PauseRollout(pause)

    resumed = await scene.boss.rollouts.ResumeRollout(
        rollout_service_pb2.ResumeRolloutRequest(id=identifier, reason="go on", request_id=ID)
    )

    assert resumed.rollout.state_reason.startswith("resumed by boss")


async def test_an_id_that_is_too_long_is_refused(scene: Scene):
    request = fleet_service_pb2.StartFreezeRequest(reason="quarter", request_id="x" * 65)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await scene.boss.fleet.StartFreeze(request)

    assert "at most 64 characters" in (caught.value.details() or "")


def _without_progress(answer: Any) -> Any:
    """Return an answer without what goes on by itself between two looks."""
    for one in ("rollout", "plan"):
        if one in answer.DESCRIPTOR.fields_by_name:
            found = getattr(answer, one)
            if one == "plan":
                for field in ("projected_finish_time", "wave_times", "deadline_time"):
                    found.forecast.ClearField(field)
            else:
                for field in ("waves", "counts", "state_reason"):
                    found.ClearField(field)
    if "incident" in answer.DESCRIPTOR.fields_by_name:
        answer.incident.ClearField("notifications")
    return answer
