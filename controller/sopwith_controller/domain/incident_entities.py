"""What the controller remembers of incidents, messages to people and freezes: frozen records.

Which change is allowed is decided by `incident` and `escalation`, never here. Times are UTC, empty text means absent.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class IncidentState(StrEnum):
    """Where an incident stands."""

    OPEN = "OPEN"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"


@dataclass(frozen=True)
class Freeze:
    """A time in which installing is forbidden."""

    id: str
    reason: str
    started_by: str
    start_time: datetime
    end_time: datetime | None = None
    """When it ended or will; not after `start_time` where it was called off before it began."""
    ended_by: str = ""
    origin: str = ""
    """Name of the calendar that it was imported from; empty: a person started it."""
    uid: str = ""
    """Identifies it within its calendar."""


@dataclass(frozen=True)
class IncidentNote:
    """What a person wrote down."""

    person: str
    time: datetime
    text: str
    guidance: bool = False


@dataclass(frozen=True)
class Incident:
    """A matter that waits for a named person, climbing the escalation ladder."""

    id: str
    severity: int
    state: IncidentState
    level: int
    symptom: str
    summary: str
    detected_time: datetime
    rollout_id: str = ""
    release: str = ""
    computers: tuple[str, ...] = ()
    """Names of computers."""
    due_time: datetime | None = None
    repeats: int = 0
    acknowledged_by: str = ""
    acknowledged_time: datetime | None = None
    resolved_by: str = ""
    resolved_time: datetime | None = None
    resolution: str = ""
    notes: tuple[IncidentNote, ...] = ()
    told_computers: tuple[str, ...] = ()
    """Names that a message has carried already; the rest goes into the next one."""
    last_told_time: datetime | None = None


@dataclass(frozen=True)
class Notification:
    """One message of the durable outbox."""

    id: str
    incident_id: str
    channel: str
    target: str
    subject: str
    body: str
    created_time: datetime
    dispatched_time: datetime | None = None
    delivered: bool = False
    error: str = ""
    attempts: int = 0
    next_try_time: datetime | None = None
