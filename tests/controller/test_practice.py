"""The SOP's practice over the wire and on the command line: coverage, guidance, equipment, trace, figures, roles."""

import json
from collections.abc import Callable

import grpc
import pytest

from sopwith.v1 import (
    fleet_service_pb2,
    incident_service_pb2,
    practice_service_pb2,
    report_service_pb2,
    rollout_service_pb2,
    sop_service_pb2,
    sop_service_pb2_grpc,
    update_log_service_pb2,
    update_log_service_pb2_grpc,
)
from sopwith_controller.api.roles import AUDITOR, ROLES
from sopwith_controller.cli.coverage import read_list
from sopwith_controller.desk.errors import DeskError
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.post_review import CLOSES_AFTER
from sopwith_formats.sop_policy import WaveRule
from sopwith_formats.vocabulary import Symptom
from tests.controller.house import House

ALL_AT_ONCE = (WaveRule("all", "100%", 0),)


async def test_a_list_is_imported_twice_and_excuses_stay(house: House):
    operator = await house.person("operator", "operator")
    await house.computer("pc1")
    listed = [fleet_service_pb2.ListedComputer(name=name) for name in ("pc1", "pc2", "pc3")]
    request = fleet_service_pb2.ImportComputersRequest(computers=listed)
    dry = await operator.fleet.ImportComputers(fleet_service_pb2.ImportComputersRequest(computers=listed, dry_run=True))
    first = await operator.fleet.ImportComputers(request)
    again = await operator.fleet.ImportComputers(request)

    found = await operator.fleet.GetCoverage(fleet_service_pb2.GetCoverageRequest())

    assert (dry.added, first.added, again.added, again.unchanged) == (3, 3, 0, 3)
    assert (found.covered, found.listed) == (1, 3)
    assert [(one.name, one.standing) for one in found.computers] == [
        ("pc1", "ENROLLED"),
        ("pc2", "MISSING"),
        ("pc3", "MISSING"),
    ]
    unknown = fleet_service_pb2.ExcuseComputerRequest(name="pc9", reason="x")
    with pytest.raises(grpc.aio.AioRpcError, match="not on the list"):
        await operator.fleet.ExcuseComputer(unknown)


def test_a_list_is_names_or_a_table_with_a_column_called_name(tmp_path):
    names, table = tmp_path / "names.txt", tmp_path / "list.csv"
    names.write_text("# ours\npc1\npc2,by the door\n\n")
    table.write_text('\ufeffSite,Name,Note\nberlin,pc1,"by the door, left"\n', encoding="utf-8")
    (tmp_path / "empty").write_text("\n# nobody\n")

    assert read_list(names) == [("pc1", ""), ("pc2", "by the door")]
    assert read_list(table) == [("pc1", "by the door, left")]
    with pytest.raises(DeskError, match="names no computer"):
        read_list(tmp_path / "empty")
    with pytest.raises(DeskError, match="cannot be read"):
        read_list(tmp_path / "absent")


@pytest.mark.clause("III Responsibilities", "guidance")
async def test_guidance_of_the_it_manager_stands_in_the_rollouts_status_and_an_operators_does_not(house: House):
    manager, operator = await house.person("manager", "it_manager"), await house.person("operator", "operator")
    agent = await house.computer("pc1")
    agent.outcomes["1"] = ("FAILED", "INSTALLER_EXIT_NONZERO")
    await agent.connect()
    identifier = await operator.started("1", waves=ALL_AT_ONCE)
    await operator.until(identifier, "COMPLETED")
    found = await manager.incidents.ListIncidents(incident_service_pb2.ListIncidentsRequest())
    number = found.incidents[0].id
    note = incident_service_pb2.NoteIncidentRequest(id=number, text="wait for the vendor", guidance=True)

    with pytest.raises(grpc.aio.AioRpcError, match="give guidance"):
        await operator.incidents.NoteIncident(note)
    await manager.incidents.NoteIncident(note)

    shown = await operator.rollouts.GetRollout(rollout_service_pb2.GetRolloutRequest(id=identifier))
    assert list(shown.rollout.guidance) == ["wait for the vendor"]


async def test_a_hands_on_incident_is_closed_with_its_equipment_acknowledged_and_recorded(house: House):
    owner = await house.person("owner2", "owner")
    incidents = house.parts.incidents
    async with house.parts.database.write() as unit:
        raised = await incidents.raise_in(unit, symptom=Symptom.ROLLBACK_FAILED, severity=1, summary="no way back")
        await unit.commit()
    request = incident_service_pb2.ResolveIncidentRequest(id=raised.id, reason="mended by hand")
    with pytest.raises(grpc.aio.AioRpcError, match="Closed shoes"):
        await owner.incidents.ResolveIncident(request)

    request.ppe_acknowledged = True
    done = await owner.incidents.ResolveIncident(request)

    assert done.incident.resolution == "mended by hand"
    (entry,) = await house.log(LogKind.INCIDENT_RESOLVED)
    assert "equipment acknowledged: Grounding wrist strap" in entry.message
    (refused,) = await house.log(LogKind.GATE_REFUSED)
    assert json.loads(refused.details)["clause"] == "V.C"


async def test_a_real_rollout_is_traced_and_counted(house: House):
    operator = await house.person("operator", "operator")
    for number in range(1, 4):
        agent = await house.computer(f"pc{number}")
        agent.outcomes["1"] = ("ROLLED_BACK", "HEALTH_CHECK_FAILED") if number == 3 else ("SUCCEEDED", "")
        await agent.connect()
    identifier = await operator.started("1", waves=ALL_AT_ONCE)
    await operator.until(identifier, "COMPLETED")

    found = await operator.reports.TraceRollout(report_service_pb2.TraceRolloutRequest(id=identifier))
    figures = await operator.reports.GetKpis(report_service_pb2.GetKpisRequest())

    results = {line.clause: line.result for line in found.lines}
    assert {clause for clause, result in results.items() if result != "PASS"} <= {"V.E.2"}
    kpis = {one.id: (one.numerator, one.denominator) for one in figures.kpis}
    assert (kpis["record_completeness"], kpis["rollback_rate"]) == ((3, 3), (1, 3))
    assert {one.id: one.result for one in figures.objectives}["O1"] == "MET"
    assert {one.id: one.result for one in figures.objectives}["O3"] == "MISSED"


@pytest.mark.clause("7 Continuous improvement", "rollout")
async def test_a_clean_rollout_closes_its_own_review_after_a_day_and_another_waits_for_a_person(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    operator = await house.person("operator", "operator")
    agent = await house.computer("pc1")
    await agent.connect()
    clean = await operator.started("1", waves=ALL_AT_ONCE)
    await operator.until(clean, "COMPLETED")
    agent.outcomes["2"] = ("FAILED", "INSTALLER_EXIT_NONZERO")
    failed = await operator.started("2", waves=ALL_AT_ONCE)
    await operator.until(failed, "COMPLETED")
    closing = house.parts.rollout_closing
    await closing.close_clean()
    early = await house.log(LogKind.ROLLOUT_REVIEWED)
    now = house.parts.clock.now()
    monkeypatch.setattr(house.parts.clock, "now", lambda: now + CLOSES_AFTER)

    await closing.close_clean()
    await closing.close_clean()

    (entry,) = await house.log(LogKind.ROLLOUT_REVIEWED)
    assert early == []
    assert (entry.rollout, entry.operator) == (clean, "")
    assert json.loads(entry.details)["draft"]["failures"] == []
    review = rollout_service_pb2.ReviewRolloutRequest(id=failed, note="the installer needed a reboot")
    done = await operator.rollouts.ReviewRollout(review)
    assert (done.rollout.reviewed_by, done.rollout.review_note) == ("operator", "the installer needed a reboot")


@pytest.mark.clause("III Responsibilities", "owner")
async def test_nothing_takes_effect_that_the_owner_has_not_signed(house: House):
    manager = await house.person("manager2", "it_manager", "owner")
    sops = sop_service_pb2_grpc.SopServiceStub(manager.channel)
    async with house.parts.database.read() as unit:
        effective = await unit.sops.effective("SU-SOP-001")
    text = effective.document.replace(b"revision: 1\n", b"revision: 2\n", 1)
    await sops.SubmitSop(sop_service_pb2.SubmitSopRequest(id="SU-SOP-001", document=text.replace(b"7d", b"6d", 1)))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await sops.ActivateSop(sop_service_pb2.ActivateSopRequest(id="SU-SOP-001"))

    assert "IN_REVIEW" in (caught.value.details() or "")
    shown = await sops.GetSop(sop_service_pb2.GetSopRequest(id="SU-SOP-001"))
    assert shown.sop.revision == 1


@pytest.mark.clause("8 Records", "auditor")
async def test_an_auditor_reads_everything_changes_nothing_and_is_recorded_as_a_reader(house: House):
    auditor = await house.person("auditor", "auditor")
    log = update_log_service_pb2_grpc.UpdateLogServiceStub(auditor.channel)
    reads: list[tuple[Callable[..., object], object]] = [
        (auditor.practice.GetTraining, practice_service_pb2.GetTrainingRequest(sop_id="SU-SOP-001")),
        (auditor.practice.GetSopReviews, practice_service_pb2.GetSopReviewsRequest(sop_id="SU-SOP-001")),
        (auditor.practice.ListSopFeedback, practice_service_pb2.ListSopFeedbackRequest(sop_id="SU-SOP-001")),
        (auditor.fleet.GetCoverage, fleet_service_pb2.GetCoverageRequest()),
        (auditor.reports.GetKpis, report_service_pb2.GetKpisRequest()),
    ]
    for call, request in reads:
        await call(request)  # type: ignore[misc]
    await log.ListEntries(update_log_service_pb2.ListEntriesRequest())
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await auditor.practice.GiveSopFeedback(practice_service_pb2.GiveSopFeedbackRequest(sop_id="SU-SOP-001"))

    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert [row.operator for row in await house.log(LogKind.LOG_READ)] == ["auditor"]
    looks = (
        *("List", "Get", "Watch", "Explain", "Plan", "Measure"),
        *("Follow", "Verify", "Export", "Trace", "Check", "Server"),
    )
    names = {name: name.rpartition("/")[2] for name, roles in ROLES.items() if AUDITOR in roles}
    changing = [name for name, short in names.items() if not short.startswith(looks)]
    assert changing == ["/sopwith.v1.PeopleService/RenewPersonCertificate"]
