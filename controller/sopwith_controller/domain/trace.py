"""The adherence trace of a rollout: each clause of the SOP with pass, fail or deviation, and what shows it.

Decides by what was recorded and nothing else: the rollout, its assignments, its entries of the update log, its
incidents and deviations. Rules:

- DEVIATION where a deviation or the emergency door stood in for the clause; FAIL where a record contradicts it or is
  missing; OPEN while the rollout has not come that far.
- What computers signed of their own gates is evidence beside the controller's; where one warned because a deviation
  let it, the clause is a DEVIATION.
- Evidence names what an auditor can look up: the index of a log entry, a digest, a count.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sopwith_controller.domain.incident_entities import Incident, Notification
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.rollout import ENDED_STATES
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_formats.agent_policy import CHECKS, INTEGRITY_CHECKS
from sopwith_formats.log_entry import LogRow
from sopwith_formats.sop_policy import SopPolicy
from sopwith_formats.vocabulary import GateResult, Outcome, Symptom

_TOLD_WITHIN = timedelta(seconds=60)
_GATE_CLAUSES = {
    "II": ("sop_scope",),
    "III": ("operator_trained", "operator_role", "sop_step_order"),
    "V": ("sop_bounds",),
    "V.A.2": ("ready_quorum",),
    "VII": ("approval_fresh", "sop_effective"),
}
_SIGNED = {
    "IV": ("applicable", "version_policy"),
    "V.A.1": ("source_designated", "metadata_fresh", "signature", "digest"),
    "V.A.2": tuple(check for check in CHECKS if check not in INTEGRITY_CHECKS),
    "V.B.1": ("warrant_valid",),
    "V.B.2": ("health_checks",),
    "V.C": ("backup",),
    "V.E.1": ("record_written",),
}
"""Clause of the trace to the gates that computers keep for it."""


class Result(StrEnum):
    """What a clause comes to."""

    PASS = "PASS"  # noqa: S105  a verdict, no password
    FAIL = "FAIL"
    DEVIATION = "DEVIATION"
    OPEN = "OPEN"


@dataclass(frozen=True)
class TraceLine:
    """One clause."""

    clause: str
    what: str
    result: Result
    evidence: str


@dataclass(frozen=True)
class Recorded:
    """What was recorded of a rollout."""

    rollout: Rollout
    policy: SopPolicy
    assignments: Sequence[Assignment]
    """Those that count."""
    entries: Sequence[LogRow]
    incidents: Sequence[Incident]
    notifications: Mapping[str, Sequence[Notification]]
    """By incident id."""


def trace(recorded: Recorded) -> tuple[TraceLine, ...]:
    """Return each clause, in the SOP's order."""
    gates = _gates(recorded.entries)
    signed = _signed(recorded.entries)
    return tuple(_with_signed(line, signed, gates) for line in _lines(recorded, gates))


def _lines(recorded: Recorded, gates: Mapping[str, tuple[str, int, str]]) -> tuple[TraceLine, ...]:
    return (
        _one_policy(recorded),
        _by_gates("II", "the computers are in the SOP's scope", gates, recorded),
        _by_gates("III", "people with their role and training, in the order of the steps", gates, recorded),
        _materials(recorded),
        _by_gates("V", "every value within the SOP's bounds", gates, recorded),
        _gathered(recorded),
        _by_gates("V.A.2", "readiness measured, and enough computers ready", gates, recorded),
        _initiated(recorded),
        _monitored(recorded),
        _safe(recorded),
        _troubleshooting(recorded),
        _records(recorded),
        _told(recorded),
        _by_gates("VII", "an effective SOP, and the approvals of the change class", gates, recorded),
    )


def _entry(recorded: Recorded, *kinds: LogKind) -> LogRow | None:
    return next((row for row in recorded.entries if row.kind in kinds), None)


def _gates(entries: Sequence[LogRow]) -> dict[str, tuple[str, int, str]]:
    """Return the newest decision on each gate: result, index of its entry, deviation."""
    found: dict[str, tuple[str, int, str]] = {}
    for row in entries:
        details: dict[str, Any] = json.loads(row.details)
        for decision in details.get("gates", ()):
            found[decision["gate"]] = (decision["result"], int(row.index), decision.get("deviation", ""))
    return found


def _signed(entries: Sequence[LogRow]) -> dict[str, Counter[str]]:
    """Return how often computers signed each result of each of their gates."""
    found: dict[str, Counter[str]] = {}
    for row in entries:
        if row.kind in (LogKind.ASSIGNMENT_STARTED, LogKind.ASSIGNMENT_ENDED, LogKind.OUTCOME_CORRECTED):
            decided: dict[str, Any] = json.loads(row.details).get("computer_gates", {})
            for gate in decided.get("passed", ()):
                found.setdefault(gate, Counter())[GateResult.PASSED.value] += 1
            for one in decided.get("others", ()):
                found.setdefault(one["gate"], Counter())[one["result"]] += 1
    return found


def _with_signed(
    line: TraceLine, signed: Mapping[str, Counter[str]], gates: Mapping[str, tuple[str, int, str]]
) -> TraceLine:
    """Return a clause with what computers signed about its gates."""
    asked = {gate: signed[gate] for gate in _SIGNED.get(line.clause, ()) if gate in signed}
    if not asked:
        return line
    words = [line.evidence, f"computers signed {sum(one.total() for one in asked.values())} decisions"]
    result = line.result
    for gate, counted in asked.items():
        missed = [word.value for word in (GateResult.WARNED, GateResult.REFUSED) if counted[word.value]]
        words.extend(f"{gate} {word.lower()} {counted[word]} times" for word in missed)
        deviation = gates[gate][2] if gate in gates and counted[GateResult.WARNED.value] else ""
        if deviation:
            words.append(f"deviation {deviation}")
            result = Result.DEVIATION if result is Result.PASS else result
    return replace(line, result=result, evidence="; ".join(words))


def _by_gates(clause: str, what: str, gates: Mapping[str, tuple[str, int, str]], recorded: Recorded) -> TraceLine:
    asked = {gate: gates[gate] for gate in _GATE_CLAUSES[clause] if gate in gates}
    words = [f"{gate} {result.lower()} (entry {index})" for gate, (result, index, _) in asked.items()]
    deviations = [f"deviation {deviation}" for _, _, deviation in asked.values() if deviation]
    results = {result for result, _, _ in asked.values()}
    rollout = recorded.rollout
    if clause == "VII" and rollout.emergency:
        reviewed = f"reviewed by {rollout.reviewed_by}" if rollout.reviewed_by else "its review is outstanding"
        return TraceLine(clause, what, Result.DEVIATION, f"the emergency door: no prior approval, {reviewed}")
    if results & {"DEVIATED", "WARNED"}:
        return TraceLine(clause, what, Result.DEVIATION, "; ".join([*words, *deviations]))
    if not asked:
        result = Result.OPEN if rollout.started_time is None else Result.FAIL
        return TraceLine(
            clause, what, result, "no gate was asked yet" if result is Result.OPEN else "no decision on record"
        )
    return TraceLine(clause, what, Result.PASS, "; ".join(words))


def _one_policy(recorded: Recorded) -> TraceLine:
    rollout = recorded.rollout
    started = _entry(recorded, LogKind.ROLLOUT_STARTED)
    what = "every computer under one policy digest"
    if started is None:
        return TraceLine("I", what, Result.OPEN, "not started")
    cited = {(row.sop_id, int(row.sop_revision)) for row in recorded.entries if row.kind == LogKind.ASSIGNMENT_OFFERED}
    other = cited - {(rollout.sop_id, rollout.sop_revision), ("", 0)}
    if other:
        words = ", ".join(f"{sop} revision {number}" for sop, number in sorted(other))
        return TraceLine("I", what, Result.FAIL, f"computers were also offered it under {words}")
    digest = f"policy {rollout.policy_sha256[:16]}, {rollout.sop_id} revision {rollout.sop_revision}"
    return TraceLine("I", what, Result.PASS, f"{digest} (entry {int(started.index)})")


def _materials(recorded: Recorded) -> TraceLine:
    submitted = _entry(recorded, LogKind.ROLLOUT_SUBMITTED)
    what = "materials at hand before the start"
    if submitted is None:
        return TraceLine("IV", what, Result.OPEN, "not submitted")
    plan = recorded.rollout.plan_sha256[:16]
    return TraceLine("IV", what, Result.PASS, f"the plan {plan} misses none (entry {int(submitted.index)})")


def _gathered(recorded: Recorded) -> TraceLine:
    what = "files from the designated source, verified"
    lying = {
        Symptom.SIGNATURE_INVALID,
        Symptom.METADATA_ROLLBACK,
        Symptom.SOURCE_NOT_DESIGNATED,
        Symptom.NOT_AUTHORISED_BY_SOURCE,
        Symptom.DOWNLOAD_DIGEST_MISMATCH,
    }
    refused = [one.computer for one in recorded.assignments if one.ended and one.symptom in lying]
    if refused:
        return TraceLine("V.A.1", what, Result.FAIL, f"refused by {len(refused)} computers, first {refused[0]}")
    verified = [one for one in recorded.assignments if one.receipt_sha256]
    if not verified:
        return TraceLine("V.A.1", what, Result.OPEN, "no computer has reported yet")
    return TraceLine("V.A.1", what, Result.PASS, f"{len(verified)} signed receipts, none names a file that lied")


def _initiated(recorded: Recorded) -> TraceLine:
    what = "a warrant per computer, run at most once"
    offered = [one for one in recorded.assignments if one.offered_time is not None]
    limit = recorded.policy.limits.attempts_max.max
    over = [one.computer for one in offered if isinstance(limit, int) and one.attempts > limit]
    if over:
        return TraceLine("V.B.1", what, Result.FAIL, f"{len(over)} computers tried more often than {limit} times")
    if not offered:
        return TraceLine("V.B.1", what, Result.OPEN, "nobody was offered it yet")
    return TraceLine("V.B.1", what, Result.PASS, f"{len(offered)} warrants to {len(recorded.assignments)} computers")


def _monitored(recorded: Recorded) -> TraceLine:
    what = "watched until every computer has ended"
    waiting = [one for one in recorded.assignments if not one.ended]
    unknown = [one.computer for one in recorded.assignments if one.outcome == Outcome.UNREACHABLE]
    if waiting or not recorded.assignments:
        return TraceLine("V.B.2", what, Result.OPEN, f"{len(waiting)} computers have not ended")
    if unknown:
        return TraceLine("V.B.2", what, Result.FAIL, f"{len(unknown)} are UNREACHABLE, first {unknown[0]}")
    return TraceLine("V.B.2", what, Result.PASS, f"{len(recorded.assignments)} outcomes")


def _safe(recorded: Recorded) -> TraceLine:
    what = "thresholds, windows and the way back"
    broken = [one.computer for one in recorded.assignments if one.symptom == Symptom.ROLLBACK_FAILED]
    if broken:
        return TraceLine("V.C", what, Result.FAIL, f"no way back on {len(broken)} computers, first {broken[0]}")
    gates = _gates(recorded.entries)
    names = ("window", "freeze", "rollback_available", "backup")
    deviated = [f"{gate}: deviation {gates[gate][2]}" for gate in names if gate in gates and gates[gate][2]]
    if deviated:
        return TraceLine("V.C", what, Result.DEVIATION, "; ".join(deviated))
    suspended = [int(row.index) for row in recorded.entries if row.kind == LogKind.ROLLOUT_SUSPENDED]
    back = sum(one.outcome == Outcome.ROLLED_BACK for one in recorded.assignments)
    words = f"{back} rolled back; suspended {len(suspended)} times"
    words += f" (entry {suspended[0]})" if suspended else ""
    result = Result.OPEN if recorded.rollout.started_time is None else Result.PASS
    return TraceLine("V.C", what, result, words)


def _troubleshooting(recorded: Recorded) -> TraceLine:
    what = "every failure has a symptom that the SOP answers"
    bad = [one for one in recorded.assignments if one.outcome in (Outcome.FAILED, Outcome.ROLLED_BACK)]
    nameless = [one.computer for one in bad if recorded.policy.row(one.symptom) is None or one.symptom == "UNKNOWN"]
    if nameless:
        return TraceLine("V.D", what, Result.FAIL, f"{len(nameless)} without one, first {nameless[0]}")
    return TraceLine("V.D", what, Result.PASS, f"{len(bad)} failures, each with its symptom")


def _records(recorded: Recorded) -> TraceLine:
    what = "one entry with the outcome for every computer"
    counts: dict[str, int] = {}
    for row in recorded.entries:
        if row.kind == LogKind.ASSIGNMENT_ENDED:
            counts[row.computer] = counts.get(row.computer, 0) + 1
    missing = [one.computer for one in recorded.assignments if one.ended and not counts.get(one.computer)]
    if missing:
        return TraceLine("V.E.1", what, Result.FAIL, f"{len(missing)} without an entry, first {missing[0]}")
    ended = sum(one.ended for one in recorded.assignments)
    over = recorded.rollout.state in ENDED_STATES
    return TraceLine("V.E.1", what, Result.PASS if over else Result.OPEN, f"{ended} of {len(recorded.assignments)}")


def _told(recorded: Recorded) -> TraceLine:
    what = "significant issues told within 60 s"
    grave = [one for one in recorded.incidents if one.severity < 3]  # noqa: PLR2004  severity 3 goes into the digest
    late = []
    for incident in grave:
        sent = [n.dispatched_time for n in recorded.notifications.get(incident.id, ()) if n.dispatched_time]
        if not sent or min(sent) - incident.detected_time > _TOLD_WITHIN:
            late.append(incident.id)
    if late:
        return TraceLine("V.E.2", what, Result.FAIL, f"{', '.join(late)} late or told to nobody")
    return TraceLine("V.E.2", what, Result.PASS, f"{len(grave)} incidents, each told in time")
