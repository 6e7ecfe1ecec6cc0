"""The life of an incident: raised, widened, climbing, acknowledged, resolved; and how grave a symptom is.

Decides states, severity and which incident a failure belongs to; when it climbs and who is told is decided by
`escalation`, what the message says by `incident_message`. Rules: one incident per (rollout, symptom) while it is not
resolved, however many computers fail alike; acknowledging twice is no error and the first name stays.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from sopwith_controller.domain.errors import (
    InvalidInputError,
    Refusal,
    RefusedError,
    TransitionNotAllowedError,
)
from sopwith_controller.domain.incident_entities import Incident, IncidentNote, IncidentState
from sopwith_formats.sop_policy import SopPolicy
from sopwith_formats.vocabulary import SEVERITY_1, Outcome, Symptom


class IncidentCommand(StrEnum):
    """What happens to an incident."""

    CLIMB = "CLIMB"
    ACKNOWLEDGE = "ACKNOWLEDGE"
    REOPEN = "REOPEN"
    RESOLVE = "RESOLVE"


_S, _C = IncidentState, IncidentCommand

TRANSITIONS: dict[tuple[IncidentState, IncidentCommand], IncidentState] = {
    (_S.OPEN, _C.CLIMB): _S.OPEN,
    (_S.OPEN, _C.ACKNOWLEDGE): _S.ACKNOWLEDGED,
    (_S.OPEN, _C.RESOLVE): _S.RESOLVED,
    (_S.ACKNOWLEDGED, _C.ACKNOWLEDGE): _S.ACKNOWLEDGED,
    (_S.ACKNOWLEDGED, _C.REOPEN): _S.OPEN,
    (_S.ACKNOWLEDGED, _C.RESOLVE): _S.RESOLVED,
}

WITHOUT_COMPUTER = frozenset(
    {
        Symptom.ROLLOUT_SUSPENDED,
        Symptom.LOG_INTEGRITY,
        Symptom.SOURCE_EXPIRING,
        Symptom.APPROVAL_AGEING,
        Symptom.REVIEW_OVERDUE,
    }
)
_REPORTED_OUTCOMES = frozenset({Outcome.FAILED, Outcome.ROLLED_BACK})
_QUIET = frozenset({Outcome.SUCCEEDED, Outcome.SKIPPED, Outcome.CANCELLED, Outcome.NOT_STARTED})


def next_state(incident: Incident, command: IncidentCommand) -> IncidentState:
    """Return the state after a command; raise TransitionNotAllowedError where the table has none."""
    state = TRANSITIONS.get((incident.state, command))
    if state is None:
        by = f" by {incident.resolved_by}" if incident.state is _S.RESOLVED and incident.resolved_by else ""
        raise TransitionNotAllowedError(
            f"incident {incident.id} is {incident.state}{by} and cannot be asked to {command.lower()}",
            remedy="sopwith incident list shows what waits",
        )
    return state


def severity_of_outcome(
    outcome: str, symptom: str, policy: SopPolicy | None = None, *, mid_install: bool = False
) -> int:
    """Return the severity of an ended assignment's incident, 0 where none is raised.

    An empty outcome asks for a symptom alone. A SOP's list of what is significant may raise the severity, never lower
    it. `mid_install`: the install had begun; contact that was lost before it is no incident.
    """
    if outcome in _QUIET or (outcome == Outcome.UNREACHABLE and not mid_install):
        return 0
    levels = [
        item.severity
        for item in (policy.significant if policy else ())
        if outcome in item.outcomes or symptom in item.symptoms
    ]
    if outcome == Outcome.UNREACHABLE or (outcome != Outcome.NOT_READY and symptom in SEVERITY_1):
        levels.append(1)
    elif outcome in _REPORTED_OUTCOMES:
        levels.append(2)
    return min(levels, default=0)


def find_open(incidents: Iterable[Incident], rollout_id: str, symptom: str) -> Incident | None:
    """Return the incident that a failure belongs to: same rollout, same symptom, not resolved."""
    return next(
        (i for i in incidents if i.rollout_id == rollout_id and i.symptom == symptom and i.state is not _S.RESOLVED),
        None,
    )


def raise_incident(
    incident_id: str,
    *,
    severity: int,
    symptom: str,
    summary: str,
    now: datetime,
    rollout_id: str = "",
    release: str = "",
    computers: Sequence[str] = (),
) -> Incident:
    """Return a new incident at level 1; nobody has been told yet."""
    return Incident(
        id=incident_id,
        severity=severity,
        state=_S.OPEN,
        level=1,
        symptom=symptom,
        summary=summary,
        detected_time=now,
        rollout_id=rollout_id,
        release=release,
        computers=tuple(computers),
    )


def widen(incident: Incident, computers: Iterable[str], *, severity: int = 0) -> Incident:
    """Return it with more computers, and graver where the new ones make it so; the same object when nothing is new."""
    new = tuple(name for name in dict.fromkeys(computers) if name not in incident.computers)
    gravest = min(incident.severity, severity or incident.severity)
    if not new and gravest == incident.severity:
        return incident
    return replace(incident, computers=(*incident.computers, *new), severity=gravest)


def acknowledge(incident: Incident, *, person: str, now: datetime) -> Incident:
    """Return it taken by a person; a second time changes nothing."""
    state = next_state(incident, _C.ACKNOWLEDGE)
    if incident.state is _S.ACKNOWLEDGED:
        return incident
    return replace(incident, state=state, acknowledged_by=person, acknowledged_time=now, due_time=None)


def reopen(incident: Incident, *, level: int, due_time: datetime | None) -> Incident:
    """Return it open again: who took it missed their own deadline."""
    state = next_state(incident, _C.REOPEN)
    return replace(incident, state=state, level=level, due_time=due_time, acknowledged_by="", acknowledged_time=None)


def note(incident: Incident, *, person: str, text: str, guidance: bool, now: datetime) -> Incident:
    """Return it with a note; one on a resolved incident is still worth keeping."""
    if not text.strip():
        raise InvalidInputError("a note needs a text", remedy='add --text "TEXT"')
    return replace(incident, notes=(*incident.notes, IncidentNote(person, now, text.strip(), guidance)))


def hands_on_equipment(incident: Incident, policy: SopPolicy | None) -> tuple[str, ...]:
    """Return the protective equipment of an incident whose remedy is work at the computer; nothing for remote work."""
    row = policy.row(incident.symptom) if policy else None
    if policy is None or row is None or "hands_on_task" not in row.remedies:
        return ()
    return tuple(item for rule in policy.ppe if rule.when == "hands_on" for item in rule.items)


def check_equipment(incident: Incident, equipment: Sequence[str], *, acknowledged: bool) -> None:
    """Raise RefusedError where somebody closes work at a computer and says nothing of its equipment (clause V.C)."""
    if equipment and not acknowledged:
        raise RefusedError(
            Refusal(
                "sop_step_order",
                "V.C",
                f"incident {incident.id} needed work at the computer, and its protective equipment was not "
                f"acknowledged: {'; '.join(equipment)}",
                remedy=f"sopwith incident resolve {incident.id} --ppe-acknowledged --reason TEXT, once it was worn",
            )
        )


def resolve(incident: Incident, *, person: str, reason: str, now: datetime) -> Incident:
    """Return it closed with a reason."""
    state = next_state(incident, _C.RESOLVE)
    if not reason.strip():
        raise InvalidInputError("a reason is needed, because it is recorded", remedy='add --reason "TEXT"')
    return replace(
        incident, state=state, resolved_by=person, resolved_time=now, resolution=reason.strip(), due_time=None
    )
