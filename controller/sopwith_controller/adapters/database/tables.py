"""The controller's tables: one per thing, columns named and ordered like the fields of the entity.

Rules: what is written often stands alone and narrow (`computer_presence`, `agent_messages`); what is only ever read and
written with its thing is a document inside it (labels, reasons, signatures). Computers and assignments carry the number
of their last change, one higher than any before it in its table, so that whoever keeps rows in memory reads only what
is new; every statement that changes such a row writes it. An assignment belongs to a rollout and a computer; the
database refuses any other at the commit. Nothing here is deleted by the program.
"""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, LargeBinary, MetaData, Table

from sopwith_controller.adapters.database.column_types import Document, Line, Time, Word, time_in
from sopwith_controller.domain import deviation, entities, incident_entities, rollout_entities
from sopwith_formats.vocabulary import AssignmentState

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)


def _key(name: str, kind: Any = Line) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _lines(*names: str) -> list[Column[Any]]:
    return [Column(name, Line, nullable=False) for name in names]


def _numbers(*names: str) -> list[Column[Any]]:
    return [Column(name, BigInteger, nullable=False) for name in names]


def _flags(*names: str) -> list[Column[Any]]:
    return [Column(name, Boolean(create_constraint=False), nullable=False) for name in names]


def _times(*names: str) -> list[Column[Any]]:
    return [Column(name, Time, nullable=False) for name in names]


def _maybe_times(*names: str) -> list[Column[Any]]:
    return [Column(name, Time, nullable=True) for name in names]


def _document(name: str, read: Any = None) -> Column[Any]:
    return Column(name, Document(read), nullable=False)


def _word(name: str, vocabulary: Any) -> Column[Any]:
    return Column(name, Word(vocabulary), nullable=False)


def _changes() -> Column[Any]:
    return Column("change_number", BigInteger, nullable=False, server_default="0")


def _refers(name: str, to: str) -> Column[Any]:
    return Column(name, Line, ForeignKey(to, deferrable=True, initially="DEFERRED"), nullable=False)


def _read_reasons(document: list[dict[str, Any]]) -> tuple[entities.Reason, ...]:
    return tuple(entities.Reason(**one) for one in document)


def _read_readiness(document: dict[str, Any]) -> entities.Readiness:
    reasons = _read_reasons(document["reasons"])
    measured = time_in(document, "measured_time")
    return entities.Readiness(document["verdict"], reasons, tuple(document["checks"]), measured)


def _read_signatures(document: list[dict[str, Any]]) -> tuple[entities.SopSignature, ...]:
    return tuple(entities.SopSignature(**{**one, "signed_time": time_in(one, "signed_time")}) for one in document)


def _read_approvals(document: list[dict[str, Any]]) -> tuple[rollout_entities.Approval, ...]:
    return tuple(rollout_entities.Approval(**{**one, "time": time_in(one, "time")}) for one in document)


def _read_waves(document: list[dict[str, Any]]) -> tuple[rollout_entities.WaveProgress, ...]:
    return tuple(rollout_entities.WaveProgress(**{key: time_in(one, key) for key in one}) for one in document)


def _read_notes(document: list[dict[str, Any]]) -> tuple[incident_entities.IncidentNote, ...]:
    return tuple(incident_entities.IncidentNote(**{**one, "time": time_in(one, "time")}) for one in document)


settings = Table(
    "settings",
    METADATA,
    _key("row", BigInteger),
    *_lines("organization", "trust_domain", "profile", "controller_id"),
    *_times("created_time"),
    *_lines("sop_id"),
)

computers = Table(
    "computers",
    METADATA,
    _key("id"),
    *_lines("name"),
    _word("state", entities.ComputerState),
    *_lines("key_fingerprint"),
    *_times("enrolled_time"),
    _document("labels"),
    _document("facts"),
    *_maybe_times("facts_time"),
    _document("installed"),
    _document("readiness", _read_readiness),
    *_flags("asleep"),
    *_lines("receipt_key_pem"),
    *_numbers("receipts_seen", "acknowledged_sequence"),
    *_lines("process_nonce", "boot_id", "source_root_sha256", "state_reason"),
    *_numbers("failures_in_a_row"),
    Column("newest_receipt_sha256", Line, nullable=False, server_default=""),
    _changes(),
)
Index(None, computers.c.change_number)
Index(None, computers.c.name)
Index(None, computers.c.key_fingerprint)

computer_presence = Table(
    "computer_presence",
    METADATA,
    Column("computer_id", Line, ForeignKey("computers.id"), primary_key=True),
    *_times("last_seen_time"),
)

certificates = Table(
    "certificates",
    METADATA,
    _key("serial"),
    *_lines("subject_kind", "subject_id", "key_fingerprint"),
    *_times("issued_time", "expires_time"),
    *_maybe_times("revoked_time"),
)
Index(None, certificates.c.subject_id)
Index(None, certificates.c.revoked_time)

people = Table(
    "people",
    METADATA,
    _key("id"),
    *_lines("name"),
    _document("roles", tuple),
    *_lines("email", "state", "key_fingerprint", "public_key_pem"),
    *_maybe_times("certificate_expires_time", "expires_time"),
    *_lines("ssh_key"),
    *_maybe_times("away_until_time"),
    *_lines("deputy_id", "successor_id"),
)

tokens = Table(
    "tokens",
    METADATA,
    _key("id"),
    *_lines("secret_sha256", "kind", "person_id"),
    _document("labels"),
    *_numbers("uses_left"),
    *_times("expires_time"),
    *_lines("created_by"),
    *_times("created_time"),
    *_flags("revoked"),
)
Index(None, tokens.c.secret_sha256, unique=True)

releases = Table(
    "releases",
    METADATA,
    _key("name"),
    _key("version"),
    _word("state", entities.ReleaseState),
    *_lines("manifest_json", "manifest_sha256", "published_by"),
    *_times("published_time"),
    *_lines("withdrawn_reason"),
    *_flags("withdrawal_signed"),
)

release_rollbacks = Table(
    "release_rollbacks",
    METADATA,
    _key("name"),
    _key("version"),
    _key("computer_id"),
    *_lines("permitted_by"),
)

sop_revisions = Table(
    "sop_revisions",
    METADATA,
    _key("id"),
    _key("revision", BigInteger),
    _word("state", entities.SopState),
    *_lines("title"),
    Column("document", LargeBinary, nullable=False),
    *_lines("document_sha256", "policy_sha256", "policy_json", "change_description", "change_kind", "revised_by"),
    *_times("created_time"),
    _document("signatures", _read_signatures),
    _document("acknowledged_by", tuple),
    *_maybe_times("submitted_time", "effective_time", "ended_time"),
)

rollouts = Table(
    "rollouts",
    METADATA,
    _key("id"),
    *_lines("name"),
    _word("state", rollout_entities.RolloutState),
    *_lines("release", "spec_json", "sop_id"),
    *_numbers("sop_revision"),
    *_lines("policy_sha256", "plan_json", "plan_sha256", "change_class", "requester"),
    *_times("created_time"),
    *_lines("audience", "state_reason", "operator", "start_reason", "ticket"),
    *_flags("emergency"),
    _document("approvals", _read_approvals),
    *_maybe_times("started_time", "ended_time", "deadline_time"),
    _document("waves", _read_waves),
    *_maybe_times("counted_from"),
    *_numbers("generation"),
    *_lines("origin", "origin_id"),
    *_lines("reviewed_by"),
    *_maybe_times("reviewed_time"),
    *_lines("review_note"),
)
Index(None, rollouts.c.name)
Index(None, rollouts.c.state)

assignments = Table(
    "assignments",
    METADATA,
    _key("id"),
    _refers("rollout_id", "rollouts.id"),
    _refers("computer_id", "computers.id"),
    *_lines("computer"),
    *_numbers("position", "wave"),
    _word("state", AssignmentState),
    *_lines("outcome", "symptom", "detail"),
    *_numbers("percent"),
    *_lines("version_before", "version_after"),
    *_numbers("attempts", "generation"),
    _document("reasons", _read_reasons),
    *_maybe_times("next_try_time", "offered_time", "start_until_time", "install_started_time"),
    *_maybe_times("ended_time", "reported_time"),
    *_lines("waiting", "warrant_sha256", "receipt_sha256"),
    *_flags("replaced"),
    *_maybe_times("stalled_time", "lost_time", "reboot_asked_time"),
    *_flags("reboot_wanted", "reboot_forced"),
    *_maybe_times("reboot_until_time"),
    *_numbers("deferrals"),
    *_maybe_times("deferred_until_time"),
    _changes(),
)
Index(None, assignments.c.rollout_id, assignments.c.position)
Index(None, assignments.c.computer_id)
Index(None, assignments.c.change_number)

measurements = Table(
    "measurements",
    METADATA,
    _key("assignment_id"),
    *_lines("release_name", "version", "platform"),
    *_numbers("install_milliseconds", "download_milliseconds", "download_bytes"),
    *_times("ended_time"),
)
Index(None, measurements.c.release_name, measurements.c.ended_time)

baselines = Table(
    "baselines",
    METADATA,
    _key("rollout_id"),
    *_lines("name", "release", "audience"),
    *_times("since_time"),
    *_lines("catch_up_id", "waiting"),
    *_maybe_times("ended_time"),
    *_lines("ended_reason"),
)
Index(None, baselines.c.ended_time)

repetitions = Table(
    "repetitions",
    METADATA,
    _key("id"),
    *_lines("name", "rollout_id", "rule", "time_zone"),
    *_maybe_times("next_time", "ended_time"),
    *_lines("ended_reason"),
)
Index(None, repetitions.c.ended_time)

freezes = Table(
    "freezes",
    METADATA,
    _key("id"),
    *_lines("reason", "started_by"),
    *_times("start_time"),
    *_maybe_times("end_time"),
    *_lines("ended_by", "origin", "uid"),
)

deviations = Table(
    "deviations",
    METADATA,
    _key("id"),
    *_lines("gate"),
    _word("state", deviation.DeviationState),
    *_lines("reason", "measure", "requester", "sop_id"),
    *_times("created_time", "expires_time"),
    *_lines("rollout_id", "plan_sha256", "selector", "approver"),
    *_maybe_times("approved_time"),
    *_lines("closed_by"),
    *_maybe_times("closed_time"),
    *_lines("closing_reason"),
)
Index(None, deviations.c.state)

incidents = Table(
    "incidents",
    METADATA,
    _key("id"),
    *_numbers("severity"),
    _word("state", incident_entities.IncidentState),
    *_numbers("level"),
    *_lines("symptom", "summary"),
    *_times("detected_time"),
    *_lines("rollout_id", "release"),
    _document("computers", tuple),
    *_maybe_times("due_time"),
    *_numbers("repeats"),
    *_lines("acknowledged_by"),
    *_maybe_times("acknowledged_time"),
    *_lines("resolved_by"),
    *_maybe_times("resolved_time"),
    *_lines("resolution"),
    _document("notes", _read_notes),
    _document("told_computers", tuple),
    *_maybe_times("last_told_time"),
)
Index(None, incidents.c.state)

notifications = Table(
    "notifications",
    METADATA,
    _key("id"),
    *_lines("incident_id", "channel", "target", "subject", "body"),
    *_times("created_time"),
    *_maybe_times("dispatched_time"),
    *_flags("delivered"),
    *_lines("error"),
    *_numbers("attempts"),
    *_maybe_times("next_try_time"),
)
Index(None, notifications.c.incident_id)
Index(None, notifications.c.delivered, notifications.c.next_try_time)

agent_messages = Table(
    "agent_messages",
    METADATA,
    _key("computer_id"),
    _key("sequence", BigInteger),
    *_lines("kind", "sha256"),
    *_times("received_time"),
)

receipts = Table(
    "receipts",
    METADATA,
    _key("computer_id"),
    _key("number", BigInteger),
    *_lines("kind", "sha256"),
    Column("payload", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    *_times("received_time"),
)

log_recoveries = Table(
    "log_recoveries",
    METADATA,
    _key("size", BigInteger),
    *_lines("root", "operator", "reason", "backup_sha256"),
    *_times("backup_time", "recovered_time"),
    *_numbers("witnessed_size"),
)

requests = Table(
    "requests",
    METADATA,
    _key("id"),
    *_lines("result"),
    *_times("time"),
)
