"""What the controller remembers: frozen records, one per thing, changed only by making a new one.

State words are the glossary's; which change is allowed is decided by the state machines next door (`rollout`,
`assignment`, `sop`, `incident`), never here. Times are UTC. Digests are 64 hexadecimal digits, key fingerprints
"sha256:" and 64 hexadecimal digits. Empty text means absent.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sopwith_formats.vocabulary import AssignmentState


class ComputerState(StrEnum):
    """Where a computer stands in its life with the fleet."""

    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    RETIRED = "RETIRED"
    QUARANTINED = "QUARANTINED"


class ReleaseState(StrEnum):
    """Where a release stands."""

    PUBLISHED = "PUBLISHED"
    WITHDRAWN = "WITHDRAWN"


class SopState(StrEnum):
    """Where one revision of a SOP stands."""

    DRAFT = "DRAFT"
    IN_REVIEW = "IN_REVIEW"
    APPROVED = "APPROVED"
    EFFECTIVE = "EFFECTIVE"
    SUPERSEDED = "SUPERSEDED"
    RETIRED = "RETIRED"


class RolloutState(StrEnum):
    """Where a rollout stands."""

    DRAFT = "DRAFT"
    IN_REVIEW = "IN_REVIEW"
    APPROVED = "APPROVED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    ABORTING = "ABORTING"
    ABORTED = "ABORTED"


class IncidentState(StrEnum):
    """Where an incident stands."""

    OPEN = "OPEN"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"


@dataclass(frozen=True)
class Reason:
    """One thing that stands in the way, and how to mend it; `code` is a symptom."""

    code: str
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class Readiness:
    """The newest readiness of a computer; `verdict` is READY, NOT_READY, EXCUSED, or empty before the first."""

    verdict: str = ""
    reasons: tuple[Reason, ...] = ()
    checks: tuple[dict[str, str], ...] = ()
    """One per check: name, result (PASSED, WARNED, BLOCKED, NOT_APPLICABLE), code, measured, required, message, remedy.
    """
    measured_time: datetime | None = None


@dataclass(frozen=True)
class Computer:
    """One machine with an agent."""

    id: str
    name: str
    state: ComputerState
    key_fingerprint: str
    enrolled_time: datetime
    labels: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    facts_time: datetime | None = None
    installed: dict[str, str] = field(default_factory=dict)
    readiness: Readiness = field(default_factory=Readiness)
    last_seen_time: datetime | None = None
    """Flushed in batches; the presence register knows better while the controller runs."""
    asleep: bool = False
    receipt_key_pem: str = ""
    receipts_seen: int = 0
    """Highest receipt number recorded."""
    acknowledged_sequence: int = 0
    """Highest message sequence that is durable."""
    process_nonce: str = ""
    boot_id: str = ""
    source_root_sha256: str = ""
    state_reason: str = ""


@dataclass(frozen=True)
class Certificate:
    """One certificate that the authority issued."""

    serial: str
    subject_kind: str
    """computer, person or controller."""
    subject_id: str
    key_fingerprint: str
    issued_time: datetime
    expires_time: datetime
    revoked_time: datetime | None = None


@dataclass(frozen=True)
class Person:
    """Somebody on the roster."""

    id: str
    name: str
    roles: tuple[str, ...]
    email: str = ""
    state: str = "ROSTERED"
    """ROSTERED, INVITED, ACTIVE or REVOKED."""
    key_fingerprint: str = ""
    public_key_pem: str = ""
    certificate_expires_time: datetime | None = None


@dataclass(frozen=True)
class Token:
    """Permission to enrol; the secret itself is never stored."""

    id: str
    secret_sha256: str
    kind: str
    """computer or person."""
    person_id: str
    labels: dict[str, str]
    uses_left: int
    expires_time: datetime
    created_by: str
    created_time: datetime
    revoked: bool = False


@dataclass(frozen=True)
class Release:
    """One named, versioned, signed set of update files."""

    name: str
    version: str
    state: ReleaseState
    manifest_json: str
    manifest_sha256: str
    published_by: str
    published_time: datetime
    withdrawn_reason: str = ""
    withdrawal_signed: bool = False

    @property
    def release(self) -> str:
        """Return name@version."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True)
class SopSignature:
    """One signatory's signature over a revision."""

    person_id: str
    person: str
    role: str
    meaning: str
    decision: str
    signed_time: datetime
    envelope_json: str
    key_id: str
    voided: bool = False


@dataclass(frozen=True)
class SopRevision:
    """One revision of a SOP."""

    id: str
    revision: int
    state: SopState
    title: str
    document: bytes
    document_sha256: str
    policy_sha256: str
    policy_json: str
    change_description: str
    change_kind: str
    revised_by: str
    created_time: datetime
    signatures: tuple[SopSignature, ...] = ()
    acknowledged_by: tuple[str, ...] = ()
    """Names of people that acknowledged it."""
    submitted_time: datetime | None = None
    effective_time: datetime | None = None
    ended_time: datetime | None = None


@dataclass(frozen=True)
class Approval:
    """One person's approval of a plan."""

    person: str
    plan_sha256: str
    time: datetime
    envelope_json: str = ""


@dataclass(frozen=True)
class WaveProgress:
    """What happened to one wave so far, by wave index."""

    opened_time: datetime | None = None
    ended_time: datetime | None = None
    """When its last assignment ended; soak counts from here."""
    passed_time: datetime | None = None


@dataclass(frozen=True)
class Rollout:
    """Bringing one release to one audience under one SOP revision."""

    id: str
    name: str
    state: RolloutState
    release: str
    spec_json: str
    """The rollout file as canonical JSON."""
    sop_id: str
    sop_revision: int
    policy_sha256: str
    plan_json: str
    """Canonical JSON of the plan; `domain.planner` reads and writes it."""
    plan_sha256: str
    change_class: str
    requester: str
    created_time: datetime
    audience: str = ""
    state_reason: str = ""
    operator: str = ""
    start_reason: str = ""
    ticket: str = ""
    emergency: bool = False
    approvals: tuple[Approval, ...] = ()
    started_time: datetime | None = None
    ended_time: datetime | None = None
    deadline_time: datetime | None = None
    waves: tuple[WaveProgress, ...] = ()
    counted_from: datetime | None = None
    """Set by resume: assignments that ended before it are accepted and not judged again."""
    generation: int = 1


@dataclass(frozen=True)
class Assignment:
    """One computer's share of a rollout, as the controller mirrors it."""

    id: str
    rollout_id: str
    computer_id: str
    computer: str
    """Name of the computer."""
    position: int
    """Place in plan order, from 0."""
    wave: int
    """Index of the wave; the tail is the index after the last one."""
    state: AssignmentState = AssignmentState.PENDING
    outcome: str = ""
    symptom: str = ""
    detail: str = ""
    percent: int = 0
    version_before: str = ""
    version_after: str = ""
    attempts: int = 0
    generation: int = 1
    reasons: tuple[Reason, ...] = ()
    next_try_time: datetime | None = None
    offered_time: datetime | None = None
    start_until_time: datetime | None = None
    """Lease: latest start of the install that was granted so far."""
    install_started_time: datetime | None = None
    ended_time: datetime | None = None
    reported_time: datetime | None = None
    waiting: str = ""
    """Last reason of the planner why it was not offered; becomes the reason of NOT_STARTED."""
    warrant_sha256: str = ""
    receipt_sha256: str = ""
    lost_time: datetime | None = None
    """Since when its computer is silent for three heartbeats while it was being changed; None when it is not."""

    @property
    def lost(self) -> bool:
        """Tell whether its computer fell silent while it was being changed."""
        return self.lost_time is not None

    @property
    def ended(self) -> bool:
        """Tell whether it has an outcome."""
        return self.state is AssignmentState.ENDED


@dataclass(frozen=True)
class Freeze:
    """A time in which installing is forbidden."""

    id: str
    reason: str
    started_by: str
    start_time: datetime
    end_time: datetime | None = None
    ended_by: str = ""


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


@dataclass(frozen=True)
class LogDraft:
    """What one update-log entry shall say; index, time, links and digests come when it is appended.

    `local_offset_seconds` is the computer's own offset from UTC, None where no computer is meant.
    """

    kind: str
    message: str
    computer: str = ""
    release: str = ""
    version_before: str = ""
    version_after: str = ""
    outcome: str = ""
    corrected_outcome: str = ""
    symptom: str = ""
    attempts: int = 0
    operator: str = ""
    rollout: str = ""
    ticket: str = ""
    sop_id: str = ""
    sop_revision: int = 0
    receipt_sha256: str = ""
    local_offset_seconds: int | None = None
    details: dict[str, Any] = field(default_factory=dict)
    """More facts for auditors, JSON without floats: gate decisions, digests, assignment id."""


@dataclass(frozen=True)
class Settings:
    """The controller's own identity card, written by `init`; one row."""

    organization: str
    trust_domain: str
    profile: str
    controller_id: str
    created_time: datetime
    sop_id: str = "SU-SOP-001"
