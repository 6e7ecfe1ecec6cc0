"""What people read of a rollout's end: the report, long lists, many computers, and approvals that are still missing."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from sopwith.v1 import rollout_pb2, rollout_report_pb2, rollout_service_pb2
from sopwith_certs.plan_approvals import sign_approval
from sopwith_certs.signing import fingerprint, new_key, public_key_pem
from sopwith_controller.cli.assignments_view import show_assignments
from sopwith_controller.cli.output import to_document
from sopwith_controller.cli.report_view import print_report
from sopwith_controller.cli.rollout_views import print_rollouts
from sopwith_controller.domain.entities import Person
from sopwith_formats.plan_approval import PlanApproval
from sopwith_formats.rollout_spec import RolloutSpec
from sopwith_formats.sop_policy import WaveRule
from sopwith_formats.units import format_time
from tests.controller.house import Desk, House

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "rollouts.md"
WAVES = (WaveRule("canary", 1, 0), WaveRule("rest", "100%", 0))
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LINES_MAX = 60


async def report_of(desk: Desk, identifier: str) -> rollout_report_pb2.RolloutReport:
    request = rollout_service_pb2.GetRolloutReportRequest(id=identifier)
    return (await desk.rollouts.GetRolloutReport(request)).report


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[str]]:
    """Return a function that sets the terminal's width and returns what was printed since."""

    def lines(columns: int = 0) -> list[str]:
        if columns:
            monkeypatch.setenv("COLUMNS", str(columns))
        return [line for line in capsys.readouterr().out.splitlines() if " [info " not in line]

    return lines


async def test_report_of_a_retried_rollout_tells_planned_and_actual_times_failures_tries_and_generations(house: House):
    operator = await house.person("operator", "operator", "auditor")
    agents = [await house.computer(f"pc{number}") for number in range(1, 4)]
    for agent in agents:
        agent.outcomes["1"] = ("FAILED", "DISK_FULL") if agent is agents[1] else ("SUCCEEDED", "")
        await agent.connect()
    identifier = await operator.started("1", waves=(WaveRule("all", "100%", 0),))
    first = await operator.until(identifier, "COMPLETED")
    failed = await report_of(operator, identifier)
    agents[1].outcomes.clear()
    retry = rollout_service_pb2.RetryRolloutRequest(id=identifier, reason="disk cleaned")
    await operator.rollouts.RetryRollout(retry)
    await operator.until(identifier, "COMPLETED")

    report = await report_of(operator, identifier)

    assert [(one.outcome, one.symptom, list(one.computers)) for one in failed.failures] == [
        ("FAILED", "DISK_FULL", ["pc2"])
    ]
    assert failed.rollout.counts == first.counts
    [wave] = failed.waves
    assert (wave.wave, wave.state, wave.planned_size, wave.size, wave.counts.failed) == ("all", "ENDED", 3, 3, 1)
    began = failed.rollout.started_time.ToDatetime()
    assert wave.planned_open_time.ToDatetime() == began
    assert wave.planned_end_time == failed.planned_finish_time
    assert began <= wave.opened_time.ToDatetime() <= wave.ended_time.ToDatetime()
    assert not wave.HasField("passed_time")
    assert not failed.durations_measured
    assert {one.what: one.computers for one in failed.durations}["in_all"] == 2
    assert list(report.failures) == []
    assert [(one.generation, one.computers, one.counts.failed) for one in report.generations] == [(1, 3, 1), (2, 1, 0)]
    assert sum(one.computers for one in report.attempts) == report.rollout.counts.succeeded == 3


async def test_approvals_that_were_given_are_not_missing_and_a_stored_plan_says_its_risk(house: House):
    operator = await house.person("operator", "operator")
    boss = await house.person("boss", "it_manager")
    await house.computer("pc1")
    document = RolloutSpec(rollout="hello-1", release="hello@1", sop="SU-SOP-001", waves=WAVES).to_json().decode()
    key = new_key()
    async with house.parts.database.write() as unit:
        settings = await unit.settings()
        await unit.put_settings(type(settings)(**{**vars(settings), "profile": "regulated"}))
        person = await unit.people.get("p-boss")
        assert person is not None
        await unit.people.put(Person(**{**vars(person), "public_key_pem": public_key_pem(key.public_key()).decode()}))
        await unit.commit()
    fresh = await operator.rollouts.CreateRollout(rollout_service_pb2.CreateRolloutRequest(rollout_json=document))
    identifier = fresh.rollout.id
    submit = rollout_service_pb2.SubmitRolloutRequest(id=identifier)
    submitted = (await operator.rollouts.SubmitRollout(submit)).rollout
    get = rollout_service_pb2.GetRolloutRequest(id=identifier)

    waiting = (await operator.rollouts.GetRollout(get)).plan.forecast
    approval = PlanApproval(
        identifier,
        submitted.plan_sha256,
        "boss",
        format_time(datetime.now(UTC).replace(microsecond=0)),
        fingerprint(key.public_key()),
    )
    await boss.rollouts.ApproveRollout(
        rollout_service_pb2.ApproveRolloutRequest(
            id=identifier, plan_sha256=submitted.plan_sha256, envelope_json=sign_approval(approval, key)
        )
    )
    approved = (await operator.rollouts.GetRollout(get)).plan.forecast
    report = await report_of(operator, identifier)

    assert len(waiting.approvals_missing) == 1
    assert waiting.approvals_missing == fresh.plan.forecast.approvals_missing
    assert (waiting.risk.level, list(waiting.risk.reasons)) == (
        fresh.plan.forecast.risk.level,
        list(fresh.plan.forecast.risk.reasons),
    )
    assert list(approved.approvals_missing) == []
    assert [(one.person, one.plan_sha256, one.fresh) for one in report.approvals] == [
        ("boss", submitted.plan_sha256, True)
    ]
    assert not report.HasField("planned_finish_time")
    assert [(wave.wave, wave.planned_size) for wave in report.waves] == [("canary", 1)]


def large_report() -> rollout_report_pb2.RolloutReport:
    """Return how a rollout over 5,000 computers went."""

    def at(minutes: int) -> Timestamp:
        moment = Timestamp()
        moment.FromDatetime(NOON + timedelta(minutes=minutes))
        return moment

    counts = rollout_pb2.Counts(succeeded=4700, failed=150, rolled_back=50, unreachable=99, not_ready=1)
    report = rollout_report_pb2.RolloutReport(
        rollout=rollout_pb2.Rollout(
            id="r-7k2m9qx4ab3d",
            name="hello-2",
            release="hello@2",
            state=rollout_pb2.ROLLOUT_STATE_COMPLETED,
            state_reason="4700 succeeded, 150 failed, 50 rolled back, 1 not ready, 99 unreachable",
            sop=rollout_pb2.SopReference(id="SU-SOP-001", revision=1),
            change_class="standard",
            requester="otto",
            operator="otto",
            started_time=at(0),
            ended_time=at(125),
            deadline_time=at(7200),
            plan_sha256="fa9e917c4fb54677" * 4,
            counts=counts,
        ),
        planned_finish_time=at(100),
        durations_measured=True,
    )
    for name, size, begin in (("canary", 1, 0), ("early", 500, 12), ("rest", 4400, 40), ("tail", 99, 80)):
        wave = report.waves.add(wave=name, state="PASSED", size=size, counts=counts if name == "rest" else None)
        wave.opened_time.CopyFrom(at(begin))
        wave.ended_time.CopyFrom(at(begin + 10))
        wave.passed_time.CopyFrom(at(begin + 10))
        if name != "tail":
            wave.planned_size = size
            wave.planned_open_time.CopyFrom(at(begin))
            wave.planned_end_time.CopyFrom(at(begin + 9))
    names = [f"pc{number:04}" for number in range(300)]
    said = "1 GiB is free and 2 GiB are needed, although nothing else was installed in the meantime on that disk"
    report.failures.add(outcome="FAILED", symptom="DISK_FULL", detail=said, computers=names[:150])
    report.failures.add(outcome="UNREACHABLE", symptom="LOST_CONTACT", computers=names[150:249])
    report.failures.add(
        outcome="ROLLED_BACK", symptom="HEALTH_CHECK_FAILED", detail="no answer", computers=names[249:299]
    )
    report.failures.add(outcome="NOT_READY", detail="busy", computers=names[299:])
    for what in ("in_all", "before_install", "install"):
        report.durations.add(what=what, computers=4700, median_seconds=41.2, p95_seconds=722, longest_seconds=0.2)
    report.attempts.add(attempts=1, computers=4950)
    report.attempts.add(attempts=2, computers=50)
    report.generations.add(generation=1, computers=5000, counts=counts)
    report.generations.add(generation=2, computers=300, counts=rollout_pb2.Counts(succeeded=300))
    report.approvals.add(person="mona", time=at(-60), plan_sha256="ab" * 32)
    return report


@pytest.mark.parametrize("columns", [80, 120])
def test_report_for_thousands_fits_a_screen_and_names_the_first_of_each_failure(columns, printed):
    printed(columns)

    print_report(large_report())

    lines = printed()
    text = "\n".join(lines)
    assert len(lines) <= LINES_MAX
    assert [line for line in lines if len(line) > columns and not line.startswith("Because ")] == []
    assert re.search(r"^FAILED +DISK_FULL +150 +pc0000, pc0001, pc0002 and", text, re.MULTILINE)
    assert re.search(r"^succeeded +4,700 +94.0 %$", text, re.MULTILINE)
    assert re.search(r"^install to end +4,700 +41s +12m2s +under 1s$", text, re.MULTILINE)
    assert re.search(r"^tail +99 +11-22 13:20 +11-22 13:30 +11-22 13:30 +none$", text, re.MULTILINE)
    assert re.search(r"^not ready +1 +under 0.1 %$", text, re.MULTILINE)
    assert "approved by mona at 2026-11-22T11:00:00Z (an earlier plan, abababababab)" in text


def test_report_names_everybody_where_everything_is_asked_for_and_in_its_document(printed):
    report = large_report()

    print_report(report, everything=True)

    assert set(re.findall(r"pc\d{4}", "\n".join(printed()))) == {f"pc{number:04}" for number in range(300)}
    assert sum(len(one["computers"]) for one in to_document(report)["failures"]) == 300


def test_guide_s_excerpt_has_the_report_s_tables(printed):
    found = re.search(r"<!-- shape: report -->\n```\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    printed(100)

    print_report(large_report())

    lines = printed()
    titles = [line.split() for line in lines if re.match(r"(OUTCOME|WAVE|ENDED|DURATION|GENERATION) ", line)]
    assert [
        line.split() for line in found[1].splitlines() if re.match(r"[A-Z]+ +(COMPUTERS|SIZE|SYMPTOM)", line)
    ] == titles
    assert len(titles) == 5


def test_list_of_rollouts_with_long_names_fits_80_columns_and_keeps_the_ends_of_names(printed):
    printed(80)
    rollouts = [
        rollout_pb2.Rollout(
            id="r-7k2m9qx4ab3d",
            name=f"accounting-frontend-berlin-and-hamburg-november-{number}",
            release=f"accounting-frontend-of-the-company@2026.11.{number}",
            state=rollout_pb2.ROLLOUT_STATE_SUSPENDED,
            counts=rollout_pb2.Counts(succeeded=4700, failed=150, rolled_back=50, unreachable=100),
        )
        for number in range(2)
    ]

    print_rollouts(rollouts)

    lines = printed()
    assert [line for line in lines if len(line) > 80] == []
    assert [re.findall(r"\S*…\S*", line) for line in lines if line.startswith("r-")] == [
        ["accoun…ber-0", "accoun….11.0"],
        ["accoun…ber-1", "accoun….11.1"],
    ]
    assert "100 unreachable" in " ".join(" ".join(lines).split())


def test_short_names_are_shown_whole(printed):
    printed(80)

    print_rollouts([rollout_pb2.Rollout(id="r-1", name="hello-2", release="hello@2", counts=rollout_pb2.Counts())])

    assert [line.split() for line in printed()] == [
        ["ID", "NAME", "STATE", "RELEASE", "COMPUTERS"],
        ["r-1", "hello-2", "hello@2", "none"],
    ]


def test_thousands_of_assignments_stand_in_groups_unless_each_is_asked_for(printed):
    printed(80)
    assignments = [
        rollout_pb2.Assignment(computer=f"pc{number:04}", state="ENDED", outcome="SUCCEEDED") for number in range(4000)
    ]
    assignments += [
        rollout_pb2.Assignment(computer=f"pd{number}", state="ENDED", outcome="FAILED", symptom="DISK_FULL", detail=why)
        for number, why in enumerate(["1 GiB is free", "2 GiB are free", "2 GiB are free"])
    ]
    assignments.append(rollout_pb2.Assignment(computer="pe1", state="INSTALLING", attempts=1, attempts_max=3))
    assignments[-1].stalled_time.FromDatetime(NOON)

    show_assignments("table", assignments)
    grouped = printed()
    show_assignments("table", assignments, everything=True)
    each = printed()
    show_assignments("table", assignments[-3:])
    few = printed()

    assert re.search(r"^4,000 +SUCCEEDED +- +pc0000, pc0001, pc0002 and", grouped[1])
    assert re.search(r"^3 +FAILED +DISK_FULL +pd0, pd1, pd2: 2 GiB", "\n".join(grouped), re.MULTILINE)
    assert re.search(r"^1 +INSTALLING \(stalled\) +- +pe1$", "\n".join(grouped), re.MULTILINE)
    assert grouped[-1] == "4,004 computers. Each: --all, or -o json."
    assert [line for line in grouped if len(line) > 80] == []
    assert len(each) == 1 + 4004
    assert [line.split()[0] for line in few] == ["COMPUTER", "pd1", "pd2", "pe1"]
