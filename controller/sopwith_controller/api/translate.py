"""Between the controller's records and the wire's messages: converts, decides nothing.

Everybody's small pieces live here: times, durations, facts, computers, people, tokens, freezes, incidents. What belongs
to one service alone (releases, SOPs, log entries, rollouts) has its own module beside that service.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf import duration_pb2, struct_pb2, timestamp_pb2

from sopwith.v1 import computer_pb2, fleet_service_pb2, incident_pb2, people_pb2
from sopwith_controller.domain.bench import is_benched
from sopwith_controller.domain.entities import Computer, Person, Readiness, Reason, Token
from sopwith_controller.domain.freezing import FreezeState, state_of
from sopwith_controller.domain.incident_entities import Freeze, Incident, Notification
from sopwith_controller.domain.sop_life_entities import SopReceipt
from sopwith_controller.services.ports import Presence

_VERDICTS = {
    "": computer_pb2.VERDICT_UNSPECIFIED,
    "READY": computer_pb2.VERDICT_READY,
    "NOT_READY": computer_pb2.VERDICT_NOT_READY,
    "EXCUSED": computer_pb2.VERDICT_EXCUSED,
}
_VERDICT_NAMES = {value: name for name, value in _VERDICTS.items()}
_RESULTS = {
    "": computer_pb2.CHECK_RESULT_UNSPECIFIED,
    "PASSED": computer_pb2.CHECK_RESULT_PASSED,
    "WARNED": computer_pb2.CHECK_RESULT_WARNED,
    "BLOCKED": computer_pb2.CHECK_RESULT_BLOCKED,
    "NOT_APPLICABLE": computer_pb2.CHECK_RESULT_NOT_APPLICABLE,
}
_RESULT_NAMES = {value: name for name, value in _RESULTS.items()}


def to_timestamp(time: datetime | None) -> timestamp_pb2.Timestamp | None:
    """Return a time as it travels; None stays unset."""
    if time is None:
        return None
    message = timestamp_pb2.Timestamp()
    message.FromDatetime(time.astimezone(UTC).replace(tzinfo=None))
    return message


def from_timestamp(message: Any, field: str) -> datetime | None:
    """Return the time in a field; None when it is unset."""
    return getattr(message, field).ToDatetime(tzinfo=UTC) if message.HasField(field) else None


def from_duration(message: Any, field: str) -> timedelta | None:
    """Return the duration in a field; None when it is unset."""
    if not message.HasField(field):
        return None
    value: duration_pb2.Duration = getattr(message, field)
    return value.ToTimedelta()


def to_struct(facts: dict[str, Any]) -> struct_pb2.Struct:
    """Return facts as they travel."""
    message = struct_pb2.Struct()
    message.update(facts)
    return message


def from_struct(message: struct_pb2.Struct) -> dict[str, Any]:
    """Return facts with whole numbers as integers, since canonical JSON carries no others."""
    return {key: _plain(value) for key, value in message.fields.items()}


def _plain(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return from_struct(value.struct_value)
    if kind == "list_value":
        return [_plain(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else str(number)
    if kind in (None, "null_value"):
        return None
    return getattr(value, kind)


def to_reason(reason: Reason) -> computer_pb2.Reason:
    """Return a reason as it travels."""
    return computer_pb2.Reason(code=reason.code, message=reason.message, remedy=reason.remedy)


def from_reason(message: computer_pb2.Reason) -> Reason:
    """Return a reason."""
    return Reason(message.code, message.message, message.remedy)


def to_readiness(readiness: Readiness) -> computer_pb2.Readiness | None:
    """Return readiness as it travels; None before the first measurement."""
    if not readiness.verdict:
        return None
    checks = [
        computer_pb2.Check(
            name=check.get("name", ""),
            result=_RESULTS.get(check.get("result", ""), computer_pb2.CHECK_RESULT_UNSPECIFIED),
            code=check.get("code", ""),
            measured=check.get("measured", ""),
            required=check.get("required", ""),
            message=check.get("message", ""),
            remedy=check.get("remedy", ""),
        )
        for check in readiness.checks
    ]
    return computer_pb2.Readiness(
        verdict=_VERDICTS[readiness.verdict],
        reasons=[to_reason(reason) for reason in readiness.reasons],
        checks=checks,
        measured_time=to_timestamp(readiness.measured_time),
    )


def from_readiness(message: computer_pb2.Readiness) -> Readiness:
    """Return readiness as a computer measured it; an unknown verdict counts as none."""
    checks = tuple(
        {
            "name": check.name,
            "result": _RESULT_NAMES.get(check.result, ""),
            "code": check.code,
            "measured": check.measured,
            "required": check.required,
            "message": check.message,
            "remedy": check.remedy,
        }
        for check in message.checks
    )
    return Readiness(
        verdict=_VERDICT_NAMES.get(message.verdict, ""),
        reasons=tuple(from_reason(reason) for reason in message.reasons),
        checks=checks,
        measured_time=from_timestamp(message, "measured_time"),
    )


def to_computer(computer: Computer, presence: Presence | None, held: SopReceipt | None = None) -> computer_pb2.Computer:
    """Return a computer as it travels, with what the live streams know of it."""
    seen = presence.last_seen_time if presence and presence.last_seen_time else computer.last_seen_time
    return computer_pb2.Computer(
        id=computer.id,
        name=computer.name,
        state=computer_pb2.ComputerState.Value(f"COMPUTER_STATE_{computer.state}"),
        labels=computer.labels,
        facts=to_struct(computer.facts) if computer.facts_time else None,
        connected=presence is not None and presence.connected,
        asleep=presence.asleep if presence else computer.asleep,
        last_seen_time=to_timestamp(seen),
        installed=computer.installed,
        readiness=to_readiness(computer.readiness),
        key_fingerprint=computer.key_fingerprint,
        enrolled_time=to_timestamp(computer.enrolled_time),
        source_root_sha256=computer.source_root_sha256,
        failures_in_a_row=computer.failures_in_a_row,
        benched=is_benched(computer),
        sop_id=held.sop_id if held else "",
        sop_revision=held.revision if held else 0,
    )


def to_person(person: Person) -> people_pb2.Person:
    """Return a person as it travels."""
    return people_pb2.Person(
        id=person.id,
        name=person.name,
        roles=person.roles,
        email=person.email,
        state=person.state,
        key_fingerprint=person.key_fingerprint,
        certificate_expires_time=to_timestamp(person.certificate_expires_time),
        expires_time=to_timestamp(person.expires_time),
        ssh_key=person.ssh_key,
        away_until_time=to_timestamp(person.away_until_time),
        deputy_id=person.deputy_id,
        successor_id=person.successor_id,
    )


def to_token(token: Token) -> people_pb2.Token:
    """Return a token as it travels, without anything secret."""
    return people_pb2.Token(
        id=token.id,
        uses_left=token.uses_left,
        labels=token.labels,
        expires_time=to_timestamp(token.expires_time),
        created_by=token.created_by,
        revoked=token.revoked,
    )


def to_freeze(freeze: Freeze, now: datetime) -> fleet_service_pb2.FreezeWindow:
    """Return a freeze as it travels."""
    state = state_of(freeze, now)
    return fleet_service_pb2.FreezeWindow(
        id=freeze.id,
        reason=freeze.reason,
        started_by=freeze.started_by,
        start_time=to_timestamp(freeze.start_time),
        end_time=to_timestamp(freeze.end_time),
        ended_by=freeze.ended_by,
        active=state is FreezeState.IN_FORCE,
        origin=freeze.origin,
        state=fleet_service_pb2.FreezeState.Value(f"FREEZE_STATE_{state}"),
    )


def to_incident(incident: Incident, notifications: list[Notification]) -> incident_pb2.Incident:
    """Return an incident with its messages as it travels."""
    return incident_pb2.Incident(
        id=incident.id,
        severity=incident.severity,
        state=incident_pb2.IncidentState.Value(f"INCIDENT_STATE_{incident.state}"),
        level=incident.level,
        symptom=incident.symptom,
        rollout=incident.rollout_id,
        computers=incident.computers,
        detected_time=to_timestamp(incident.detected_time),
        notifications=[_to_notification(notification) for notification in notifications],
        acknowledged_by=incident.acknowledged_by,
        acknowledged_time=to_timestamp(incident.acknowledged_time),
        summary=incident.summary,
        release=incident.release,
        notes=[
            incident_pb2.IncidentNote(
                person=note.person, time=to_timestamp(note.time), text=note.text, guidance=note.guidance
            )
            for note in incident.notes
        ],
        resolution=incident.resolution,
        resolved_time=to_timestamp(incident.resolved_time),
        due_time=to_timestamp(incident.due_time),
    )


def _to_notification(notification: Notification) -> incident_pb2.Notification:
    return incident_pb2.Notification(
        channel=notification.channel,
        target=notification.target,
        dispatched_time=to_timestamp(notification.dispatched_time),
        delivered=notification.delivered,
        error=notification.error,
    )
