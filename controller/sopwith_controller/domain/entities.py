"""What the controller remembers: frozen records, one per thing, changed only by making a new one.

State words are the glossary's; which change is allowed is decided by the state machines next door (`rollout`,
`assignment`, `sop`, `incident`), never here. Times are UTC. Digests are 64 hexadecimal digits, key fingerprints
"sha256:" and 64 hexadecimal digits. Empty text means absent. Rollouts and assignments stand in `rollout_entities`,
incidents, messages to people and freezes in `incident_entities`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


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
    """Highest number of a signed record that is durable."""
    acknowledged_sequence: int = 0
    """Highest message sequence that is durable."""
    process_nonce: str = ""
    boot_id: str = ""
    source_root_sha256: str = ""
    state_reason: str = ""
    failures_in_a_row: int = 0
    """Updates in a row that ended badly; `bench` says what follows."""
    newest_receipt_sha256: str = ""
    """Digest of the signed record with the number `receipts_seen`; empty where it is not known."""


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
    expires_time: datetime | None = None
    """When the person ceases to be on the roster, as for an outside consultant; None: only by being revoked."""
    ssh_key: str = ""
    """OpenSSH public key that the person signs with instead of a key of their own here; empty: none is bound."""
    away_until_time: datetime | None = None
    deputy_id: str = ""
    """Who acts for the person until then."""
    successor_id: str = ""
    """Who took over when the person left."""


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
