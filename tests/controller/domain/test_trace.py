"""Each clause of a rollout's trace passes, fails, deviates or is open, by what was recorded."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain.incident_entities import Notification
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.domain.trace import Recorded, Result, trace
from sopwith_formats.log_entry import LogRow
from sopwith_formats.sop_policy import Range, TroubleshootingRow
from sopwith_formats.vocabulary import AssignmentState
from tests.builders import NOON, SHA, assignment, incident, rollout
from tests.controller.domain.builders import a_policy

GATES = ("sop_scope", "operator_trained", "sop_bounds", "ready_quorum", "approval_fresh")
POLICY = replace(
    a_policy(),
    troubleshooting=(TroubleshootingRow("HEALTH_CHECK_FAILED", (), "roll_back", 1, 60, (), 2),),
)


def row(index: int, kind: LogKind, gates=(), **changes) -> LogRow:
    texts = dict.fromkeys((name for name in LogRow.__dataclass_fields__), "")
    details = json.dumps({"gates": list(gates)} if gates else {})
    numbers = {"index": index, "attempts": 0, "sop_revision": 0}
    return LogRow(**{**texts, **numbers, "kind": kind, "details": details, **changes})


def decided(result: str = "PASSED", gates=GATES, deviation: str = ""):
    return [{"gate": gate, "result": result, "deviation": deviation} for gate in gates]


def ended(number: int, outcome: str = "SUCCEEDED", **changes):
    usual = {
        "id": f"a-{number}",
        "computer": f"pc{number}",
        "state": AssignmentState.ENDED,
        "outcome": outcome,
        "attempts": 1,
        "offered_time": NOON,
        "receipt_sha256": SHA,
    }
    return assignment(**{**usual, **changes})


ENTRIES = (
    row(1, LogKind.ROLLOUT_SUBMITTED),
    row(2, LogKind.ROLLOUT_STARTED, decided()),
    row(3, LogKind.ASSIGNMENT_OFFERED, sop_id="SU-SOP-001", sop_revision=1),
    row(4, LogKind.ASSIGNMENT_ENDED, computer="pc1"),
    row(5, LogKind.ASSIGNMENT_ENDED, computer="pc2"),
)
DONE = Recorded(
    rollout=rollout(state=RolloutState.COMPLETED, started_time=NOON, ended_time=NOON, sop_revision=1),
    policy=POLICY,
    assignments=(ended(1), ended(2, "ROLLED_BACK", symptom="HEALTH_CHECK_FAILED")),
    entries=ENTRIES,
    incidents=(incident(id="i-1", severity=2, detected_time=NOON), incident(id="i-3", severity=3)),
    notifications={"i-1": [Notification("n", "i-1", "smtp", "m", "s", "b", NOON, NOON + timedelta(seconds=2))]},
)


def results(recorded: Recorded) -> dict[str, Result]:
    return {line.clause: line.result for line in trace(recorded)}


@pytest.mark.clause("6 Monitor and evaluate", "trace")
def test_every_clause_of_a_rollout_that_kept_to_the_sop_passes_with_its_evidence():
    lines = trace(DONE)

    assert {line.clause for line in lines if line.result is not Result.PASS} == set()
    assert [line.clause for line in lines] == [
        *("I", "II", "III", "IV", "V", "V.A.1", "V.A.2", "V.B.1", "V.B.2", "V.C", "V.D", "V.E.1", "V.E.2", "VII")
    ]
    evidence = {line.clause: line.evidence for line in lines}
    assert evidence["II"] == "sop_scope passed (entry 2)"
    assert "(entry 2)" in evidence["I"]
    assert evidence["V.C"] == "1 rolled back; suspended 0 times"


def test_a_draft_is_open_everywhere_but_where_nothing_can_have_happened():
    draft = Recorded(rollout(state=RolloutState.DRAFT, started_time=None), POLICY, (), (), (), {})

    assert {clause for clause, result in results(draft).items() if result is not Result.OPEN} == {"V.D", "V.E.2"}


def signed(index: int, kind: LogKind, passed: str = "", **others: str) -> LogRow:
    said = {"passed": passed.split(), "others": [{"gate": gate, "result": result} for gate, result in others.items()]}
    return replace(row(index, kind, computer="pc1"), details=json.dumps({"computer_gates": said}))


@pytest.mark.clause("6 Monitor and evaluate", "trace")
def test_what_computers_signed_of_their_gates_is_evidence_of_their_clauses():
    entries = (
        *ENTRIES,
        signed(6, LogKind.ASSIGNMENT_STARTED, "signature digest metered warrant_valid", memory="WARNED"),
        signed(7, LogKind.ASSIGNMENT_STARTED, "signature metered", power="REFUSED"),
        signed(8, LogKind.ASSIGNMENT_ENDED, "record_written health_checks"),
    )

    lines = {line.clause: line for line in trace(replace(DONE, entries=entries))}

    assert {line.result for line in lines.values()} == {Result.PASS}
    assert lines["V.A.1"].evidence.endswith("; computers signed 3 decisions")
    assert lines["V.A.2"].evidence.endswith(
        "; computers signed 4 decisions; memory warned 1 times; power refused 1 times"
    )
    assert lines["V.B.2"].evidence == "2 outcomes; computers signed 1 decisions"


def test_a_computers_gate_that_a_deviation_lets_warn_is_no_pass():
    opened = row(3, LogKind.ASSIGNMENT_OFFERED, decided("DEVIATED", ["metered", "memory"], "d-1"))
    entries = (*ENTRIES, opened, signed(6, LogKind.ASSIGNMENT_STARTED, "memory", metered="WARNED"))

    lines = {line.clause: line for line in trace(replace(DONE, entries=entries))}
    open_line = {line.clause: line for line in trace(replace(DONE, entries=(*entries[5:],), assignments=()))}

    assert lines["V.A.2"].result is Result.DEVIATION
    assert lines["V.A.2"].evidence.endswith("metered warned 1 times; deviation d-1")
    assert open_line["V.A.2"].result is Result.FAIL


def test_a_deviation_and_the_emergency_door_are_no_pass():
    gates = [*decided(gates=GATES[1:]), *decided("DEVIATED", ["sop_scope", "window"], "d-1")]
    entries = (*ENTRIES[:1], row(2, LogKind.ROLLOUT_STARTED, gates), *ENTRIES[2:])
    urgent = replace(DONE.rollout, emergency=True)

    found = results(replace(DONE, entries=entries, rollout=urgent))
    reviewed = trace(replace(DONE, rollout=replace(urgent, reviewed_by="mia")))

    assert {clause for clause, result in found.items() if result is Result.DEVIATION} == {"II", "V.C", "VII"}
    assert "reviewed by mia" in reviewed[-1].evidence


@pytest.mark.parametrize(
    ("clause", "changes"),
    [
        ("I", {"entries": (*ENTRIES, row(9, LogKind.ASSIGNMENT_OFFERED, sop_id="SU-SOP-001", sop_revision=2))}),
        ("II", {"entries": (*ENTRIES[:1], row(2, LogKind.ROLLOUT_STARTED, decided(gates=GATES[1:])), *ENTRIES[2:])}),
        ("V.A.1", {"assignments": (ended(1, "FAILED", symptom="SIGNATURE_INVALID"), ended(2))}),
        ("V.B.1", {"assignments": (ended(1, attempts=11), ended(2))}),
        ("V.B.2", {"assignments": (ended(1, "UNREACHABLE"), ended(2))}),
        ("V.C", {"assignments": (ended(1, "FAILED", symptom="ROLLBACK_FAILED"), ended(2))}),
        ("V.D", {"assignments": (ended(1, "FAILED", symptom="UNKNOWN"), ended(2))}),
        ("V.E.1", {"entries": ENTRIES[:4]}),
        ("V.E.2", {"notifications": {}}),
    ],
)
def test_what_a_record_contradicts_fails(clause, changes):
    limits = replace(POLICY.limits, attempts_max=Range(3, 1, 10))

    assert results(replace(DONE, policy=replace(POLICY, limits=limits), **changes))[clause] is Result.FAIL


def test_a_suspension_is_named_with_its_entry_and_a_running_rollout_is_open():
    running = replace(
        DONE,
        rollout=replace(DONE.rollout, state=RolloutState.RUNNING, ended_time=None),
        entries=(*ENTRIES, row(7, LogKind.ROLLOUT_SUSPENDED)),
        assignments=(ended(1), assignment(id="a-2", computer="pc2")),
    )

    lines = {line.clause: line for line in trace(running)}

    assert lines["V.C"].evidence == "0 rolled back; suspended 1 times (entry 7)"
    assert {clause for clause, line in lines.items() if line.result is Result.OPEN} == {"V.B.2", "V.E.1"}
