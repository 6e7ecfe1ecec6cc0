"""The key performance indicators of a SOP: what each counts, and whether an objective is met (SOP, section 6).

Decides formulas only; which rollouts and incidents lie in a period is the service's, and `docs/kpis.md` is written from
`FORMULAS`. Rules:

- Every figure comes with its raw counts, so that somebody can check it by hand; nothing to count is no figure at all,
  never a good one.
- Shares are of 100; times are seconds; a percentile is the nearest rank, so that it is a time that really was.
- Who was excused or deviated from stays in the denominator of `patch_compliance` and is counted as a third figure.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil

from sopwith_controller.domain.assignment import SUCCESSES
from sopwith_controller.domain.deviation import Deviation
from sopwith_controller.domain.entities import Computer, ComputerState
from sopwith_controller.domain.feedback import hotspots
from sopwith_controller.domain.incident_entities import Incident, Notification
from sopwith_controller.domain.readiness import READY
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_formats.sop_policy import SopPolicy
from sopwith_formats.vocabulary import Outcome

PERCENT, SECONDS, COUNT = "%", "s", "count"
_DAY = 86400
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": _DAY}
_BAD = frozenset({Outcome.FAILED, Outcome.ROLLED_BACK})
_INSTALLED = frozenset({Outcome.SUCCEEDED, Outcome.FAILED, Outcome.ROLLED_BACK})

FORMULAS: dict[str, tuple[str, str]] = {
    "patch_compliance": (PERCENT, "updates that succeeded by their due time, of those that were due"),
    "current_state": (PERCENT, "computers whose newest update succeeded or was there already, of those that had one"),
    "time_to_patch": (SECONDS, "median from the start of the rollout to success; mean, 95th and oldest open beside it"),
    "first_time_success": (PERCENT, "updates that succeeded at the first try, of those that began to install"),
    "rollback_rate": (PERCENT, "updates that were rolled back, of those that began to install"),
    "change_failure_rate": (PERCENT, "rollouts with a failed or rolled back computer, of those started"),
    "readiness_rate": (PERCENT, "computers whose newest verdict is READY, of those in service that measured"),
    "notification_latency": (SECONDS, "longest time from detecting an incident to its first message; 95th beside it"),
    "mtta": (SECONDS, "mean time from detecting an incident to its acknowledgement"),
    "mttr": (SECONDS, "mean time from detecting an incident to its resolution"),
    "sop_adherence": (PERCENT, "rollouts without a deviation and without the emergency door, of those started"),
    "record_completeness": (PERCENT, "ended assignments with exactly one entry of their outcome, of those ended"),
    "coverage": (PERCENT, "known computers that are enrolled or excused, of those known"),
    "training_currency": (PERCENT, "people who know the effective revision, of those who have to"),
    "overdue_reviews": (COUNT, "reviews of the SOP and of rollouts that are overdue"),
    "emergency_ratio": (PERCENT, "rollouts through the emergency door, of those started"),
    "deviation_hotspots": (COUNT, "gates from which people deviate again and again"),
    "user_impact": (SECONDS, "time in which computers were being changed, all together"),
    "operator_actions_per_100_computers": (COUNT, "entries of people in the log of these rollouts, per 100 computers"),
}
"""Id to unit and what it counts."""


@dataclass(frozen=True)
class Kpi:
    """One figure with what it was made from."""

    id: str
    value: float | None
    """None: there was nothing to count."""
    numerator: int = 0
    denominator: int = 0
    others: Mapping[str, float] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """Return %, s or count."""
        return FORMULAS[self.id][0]


@dataclass(frozen=True)
class Period:
    """What happened in the time that is looked at; rollouts are those that were started in it."""

    until: datetime
    rollouts: Sequence[Rollout]
    assignments: Sequence[Assignment]
    """Theirs, those that count."""
    policies: Mapping[str, SopPolicy]
    """By rollout id."""
    severities: Mapping[str, str]
    """Severity of each release, by name@version."""
    outcomes: Mapping[str, int]
    """How many outcome entries the log has of each (rollout, computer), as "rollout computer"."""
    acts: int
    """Entries of people in the log of these rollouts."""
    incidents: Sequence[Incident]
    notifications: Mapping[str, Sequence[Notification]]
    """By incident id."""
    deviations: Sequence[Deviation]
    """Approved ones, of any rollout or of the SOP."""
    computers: Sequence[Computer]
    covered: tuple[int, int]
    trained: tuple[int, int]
    overdue_reviews: int


def measure(period: Period) -> tuple[Kpi, ...]:
    """Return every figure, in the order of `FORMULAS`."""
    installed = [one for one in period.assignments if one.outcome in _INSTALLED]
    succeeded = [one for one in installed if one.outcome == Outcome.SUCCEEDED]
    started = period.rollouts
    failed = {one.rollout_id for one in installed if one.outcome in _BAD}
    deviated = {one.rollout_id for one in period.deviations}
    ended = [one for one in period.assignments if one.ended]
    single = [one for one in ended if period.outcomes.get(f"{one.rollout_id} {one.computer}") == 1]
    verdicts = [c.readiness.verdict for c in _in_service(period.computers) if c.readiness.verdict]
    keepers = [one for one in started if not one.emergency and one.id not in deviated]
    found = [
        _compliance(period),
        _current(period.assignments),
        _time_to_patch(period),
        _share(
            "first_time_success", [one for one in succeeded if one.attempts <= 1 and one.generation == 1], installed
        ),
        _share("rollback_rate", [one for one in installed if one.outcome == Outcome.ROLLED_BACK], installed),
        _share("change_failure_rate", [one for one in started if one.id in failed], started),
        _share("readiness_rate", [one for one in verdicts if one == READY], verdicts),
        _latency(period),
        _mean("mtta", [(one.detected_time, one.acknowledged_time) for one in period.incidents]),
        _mean("mttr", [(one.detected_time, one.resolved_time) for one in period.incidents]),
        _share("sop_adherence", keepers, started),
        _share("record_completeness", single, ended),
        _of("coverage", *period.covered),
        _of("training_currency", *period.trained),
        Kpi("overdue_reviews", period.overdue_reviews, period.overdue_reviews),
        _share("emergency_ratio", [one for one in started if one.emergency], started),
        _hotspots(period),
        _impact(period.assignments),
        _acts(period),
    ]
    return tuple(found)


def due_time(rollout: Rollout, policy: SopPolicy | None, severity: str, importance: str) -> datetime | None:
    """Return by when a computer has to have the release: what the SOP binds to, else the rollout's own deadline."""
    if rollout.started_time is None:
        return None
    bound = policy.deadlines.get(severity, {}).get(importance) if policy else None
    if bound is None:
        return rollout.deadline_time
    return rollout.started_time + timedelta(seconds=bound)


def _compliance(period: Period) -> Kpi:
    rollouts = {one.id: one for one in period.rollouts}
    importances = {one.id: one.labels.get("importance", "moderate") for one in period.computers}
    due = on_time = excepted = 0
    deviated = {one.rollout_id for one in period.deviations}
    for one in period.assignments:
        rollout = rollouts[one.rollout_id]
        until = due_time(
            rollout,
            period.policies.get(rollout.id),
            period.severities.get(rollout.release, ""),
            importances.get(one.computer_id, "moderate"),
        )
        if not one.ended and (until is None or until > period.until):
            continue
        due += 1
        well = one.outcome in SUCCESSES and one.ended_time is not None and (until is None or one.ended_time <= until)
        on_time += well
        excepted += not well and rollout.id in deviated
    found = _of("patch_compliance", on_time, due)
    return Kpi(found.id, found.value, on_time, due, {"excepted": excepted})


def _current(assignments: Sequence[Assignment]) -> Kpi:
    newest: dict[str, Assignment] = {}
    for one in sorted((one for one in assignments if one.ended_time is not None), key=lambda one: str(one.ended_time)):
        newest[one.computer_id] = one
    return _share("current_state", [one for one in newest.values() if one.outcome in SUCCESSES], newest)


def _time_to_patch(period: Period) -> Kpi:
    begun = {one.id: one.started_time for one in period.rollouts}
    took = _times((begun[one.rollout_id], one.ended_time) for one in period.assignments if one.outcome == "SUCCEEDED")
    waiting = _times((begun[one.rollout_id], period.until) for one in period.assignments if not one.ended)
    others = {"oldest_open": waiting[-1]} if waiting else {}
    if not took:
        return Kpi("time_to_patch", None, others=others)
    others |= {"mean": sum(took) / len(took), "p95": _percentile(took, 95)}
    return Kpi("time_to_patch", _percentile(took, 50), len(took), len(took), others)


def _latency(period: Period) -> Kpi:
    firsts = [
        (one.detected_time, min(sent))
        for one in period.incidents
        if (sent := [n.dispatched_time for n in period.notifications.get(one.id, ()) if n.dispatched_time is not None])
    ]
    took = _times(firsts)
    if not took:
        return Kpi("notification_latency", None, 0, len(period.incidents))
    return Kpi("notification_latency", took[-1], len(took), len(period.incidents), {"p95": _percentile(took, 95)})


def _hotspots(period: Period) -> Kpi:
    found = hotspots(period.deviations, period.until)
    return Kpi("deviation_hotspots", len(found), len(found), others={gate: float(n) for gate, n in found.items()})


def _impact(assignments: Sequence[Assignment]) -> Kpi:
    took = _times((one.install_started_time, one.ended_time) for one in assignments)
    return Kpi("user_impact", sum(took), len(took), len(assignments))


def _acts(period: Period) -> Kpi:
    reached = len({one.computer_id for one in period.assignments})
    value = round(100 * period.acts / reached, 1) if reached else None
    return Kpi("operator_actions_per_100_computers", value, period.acts, reached)


def _in_service(computers: Iterable[Computer]) -> list[Computer]:
    return [one for one in computers if one.state is ComputerState.ACCEPTED]


def _share(kpi: str, some: Sequence[object], whole: Sequence[object] | Mapping[str, object]) -> Kpi:
    return _of(kpi, len(some), len(whole))


def _of(kpi: str, some: int, whole: int) -> Kpi:
    return Kpi(kpi, round(100 * some / whole, 2) if whole else None, some, whole)


def _mean(kpi: str, spans: Sequence[tuple[datetime, datetime | None]]) -> Kpi:
    took = _times(spans)
    return Kpi(kpi, sum(took) / len(took) if took else None, len(took), len(spans))


def _times(spans: Iterable[tuple[datetime | None, datetime | None]]) -> list[float]:
    return sorted((end - begin).total_seconds() for begin, end in spans if begin is not None and end is not None)


def _percentile(in_order: Sequence[float], percent: int) -> float:
    return in_order[ceil(len(in_order) * percent / 100) - 1]


@dataclass(frozen=True)
class Objective:
    """One aim of the SOP, as its document states it."""

    id: str
    text: str
    kpi: str
    target: str
    """Such as ">= 95 %" or "<= 60 s"."""


def met(objective: Objective, kpis: Iterable[Kpi]) -> bool | None:
    """Tell whether an objective is met; None where there was nothing to count."""
    value = next((one.value for one in kpis if one.id == objective.kpi), None)
    parts = re.fullmatch(r"(>=|<=|>|<|=) ?([0-9.]+) ?(%|s|m|h|d)?", objective.target)
    if value is None or parts is None:
        return None
    sign, number, unit = parts.groups()
    target = float(number) * _UNIT_SECONDS.get(unit or "", 1)
    return {
        ">=": value >= target,
        "<=": value <= target,
        ">": value > target,
        "<": value < target,
        "=": value == target,
    }[sign]
