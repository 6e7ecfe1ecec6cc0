"""The first form of the tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "agent_messages",
        sa.Column("computer_id", _TEXT, autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("sha256", _TEXT, nullable=False),
        sa.Column("received_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("computer_id", "sequence", name=op.f("pk_agent_messages")),
    )
    op.create_table(
        "certificates",
        sa.Column("serial", _TEXT, autoincrement=False, nullable=False),
        sa.Column("subject_kind", _TEXT, nullable=False),
        sa.Column("subject_id", _TEXT, nullable=False),
        sa.Column("key_fingerprint", _TEXT, nullable=False),
        sa.Column("issued_time", sa.BigInteger(), nullable=False),
        sa.Column("expires_time", sa.BigInteger(), nullable=False),
        sa.Column("revoked_time", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("serial", name=op.f("pk_certificates")),
    )
    op.create_index(op.f("ix_certificates_revoked_time"), "certificates", ["revoked_time"], unique=False)
    op.create_index(op.f("ix_certificates_subject_id"), "certificates", ["subject_id"], unique=False)
    op.create_table(
        "computers",
        sa.Column("id", _TEXT, autoincrement=False, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("key_fingerprint", _TEXT, nullable=False),
        sa.Column("enrolled_time", sa.BigInteger(), nullable=False),
        sa.Column("labels", _TEXT, nullable=False),
        sa.Column("facts", _TEXT, nullable=False),
        sa.Column("facts_time", sa.BigInteger(), nullable=True),
        sa.Column("installed", _TEXT, nullable=False),
        sa.Column("readiness", _TEXT, nullable=False),
        sa.Column("asleep", sa.Boolean(), nullable=False),
        sa.Column("receipt_key_pem", _TEXT, nullable=False),
        sa.Column("receipts_seen", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_sequence", sa.BigInteger(), nullable=False),
        sa.Column("process_nonce", _TEXT, nullable=False),
        sa.Column("boot_id", _TEXT, nullable=False),
        sa.Column("source_root_sha256", _TEXT, nullable=False),
        sa.Column("state_reason", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_computers")),
    )
    op.create_index(op.f("ix_computers_key_fingerprint"), "computers", ["key_fingerprint"], unique=False)
    op.create_index(op.f("ix_computers_name"), "computers", ["name"], unique=False)
    op.create_table(
        "freezes",
        sa.Column("id", _TEXT, autoincrement=False, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("started_by", _TEXT, nullable=False),
        sa.Column("start_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_freezes")),
    )
    op.create_table(
        "incidents",
        sa.Column("id", _TEXT, autoincrement=False, nullable=False),
        sa.Column("severity", sa.BigInteger(), nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("level", sa.BigInteger(), nullable=False),
        sa.Column("symptom", _TEXT, nullable=False),
        sa.Column("summary", _TEXT, nullable=False),
        sa.Column("detected_time", sa.BigInteger(), nullable=False),
        sa.Column("rollout_id", _TEXT, nullable=False),
        sa.Column("release", _TEXT, nullable=False),
        sa.Column("computers", _TEXT, nullable=False),
        sa.Column("due_time", sa.BigInteger(), nullable=True),
        sa.Column("repeats", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_by", _TEXT, nullable=False),
        sa.Column("acknowledged_time", sa.BigInteger(), nullable=True),
        sa.Column("resolved_by", _TEXT, nullable=False),
        sa.Column("resolved_time", sa.BigInteger(), nullable=True),
        sa.Column("resolution", _TEXT, nullable=False),
        sa.Column("notes", _TEXT, nullable=False),
        sa.Column("told_computers", _TEXT, nullable=False),
        sa.Column("last_told_time", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    op.create_index(op.f("ix_incidents_state"), "incidents", ["state"], unique=False)
    op.create_table(
        "notifications",
        sa.Column("id", _TEXT, autoincrement=False, nullable=False),
        sa.Column("incident_id", _TEXT, nullable=False),
        sa.Column("channel", _TEXT, nullable=False),
        sa.Column("target", _TEXT, nullable=False),
        sa.Column("subject", _TEXT, nullable=False),
        sa.Column("body", _TEXT, nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("dispatched_time", sa.BigInteger(), nullable=True),
        sa.Column("delivered", sa.Boolean(), nullable=False),
        sa.Column("error", _TEXT, nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_try_time", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
    )
    op.create_index(
        op.f("ix_notifications_delivered_next_try_time"), "notifications", ["delivered", "next_try_time"], unique=False
    )
    op.create_index(op.f("ix_notifications_incident_id"), "notifications", ["incident_id"], unique=False)
    op.create_table(
        "people",
        sa.Column("id", _TEXT, autoincrement=False, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("roles", _TEXT, nullable=False),
        sa.Column("email", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("key_fingerprint", _TEXT, nullable=False),
        sa.Column("public_key_pem", _TEXT, nullable=False),
        sa.Column("certificate_expires_time", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
    )
    op.create_table(
        "release_rollbacks",
        sa.Column("name", _TEXT, autoincrement=False, nullable=False),
        sa.Column("version", _TEXT, autoincrement=False, nullable=False),
        sa.Column("computer_id", _TEXT, autoincrement=False, nullable=False),
        sa.Column("permitted_by", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name", "version", "computer_id", name=op.f("pk_release_rollbacks")),
    )
    op.create_table(
        "releases",
        sa.Column("name", _TEXT, autoincrement=False, nullable=False),
        sa.Column("version", _TEXT, autoincrement=False, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("manifest_json", _TEXT, nullable=False),
        sa.Column("manifest_sha256", _TEXT, nullable=False),
        sa.Column("published_by", _TEXT, nullable=False),
        sa.Column("published_time", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn_reason", _TEXT, nullable=False),
        sa.Column("withdrawal_signed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_releases")),
    )
    op.create_table(
        "requests",
        sa.Column("id", _TEXT, autoincrement=False, nullable=False),
        sa.Column("result", _TEXT, nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_requests")),
    )
    op.create_table(
        "rollouts",
        sa.Column("id", _TEXT, autoincrement=False, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("release", _TEXT, nullable=False),
        sa.Column("spec_json", _TEXT, nullable=False),
        sa.Column("sop_id", _TEXT, nullable=False),
        sa.Column("sop_revision", sa.BigInteger(), nullable=False),
        sa.Column("policy_sha256", _TEXT, nullable=False),
        sa.Column("plan_json", _TEXT, nullable=False),
        sa.Column("plan_sha256", _TEXT, nullable=False),
        sa.Column("change_class", _TEXT, nullable=False),
        sa.Column("requester", _TEXT, nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("audience", _TEXT, nullable=False),
        sa.Column("state_reason", _TEXT, nullable=False),
        sa.Column("operator", _TEXT, nullable=False),
        sa.Column("start_reason", _TEXT, nullable=False),
        sa.Column("ticket", _TEXT, nullable=False),
        sa.Column("emergency", sa.Boolean(), nullable=False),
        sa.Column("approvals", _TEXT, nullable=False),
        sa.Column("started_time", sa.BigInteger(), nullable=True),
        sa.Column("ended_time", sa.BigInteger(), nullable=True),
        sa.Column("deadline_time", sa.BigInteger(), nullable=True),
        sa.Column("waves", _TEXT, nullable=False),
        sa.Column("counted_from", sa.BigInteger(), nullable=True),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollouts")),
    )
    op.create_index(op.f("ix_rollouts_name"), "rollouts", ["name"], unique=False)
    op.create_index(op.f("ix_rollouts_state"), "rollouts", ["state"], unique=False)
    op.create_table(
        "settings",
        sa.Column("row", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("organization", _TEXT, nullable=False),
        sa.Column("trust_domain", _TEXT, nullable=False),
        sa.Column("profile", _TEXT, nullable=False),
        sa.Column("controller_id", _TEXT, nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("sop_id", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("row", name=op.f("pk_settings")),
    )
    op.create_table(
        "sop_revisions",
        sa.Column("id", _TEXT, autoincrement=False, nullable=False),
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("title", _TEXT, nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("document_sha256", _TEXT, nullable=False),
        sa.Column("policy_sha256", _TEXT, nullable=False),
        sa.Column("policy_json", _TEXT, nullable=False),
        sa.Column("change_description", _TEXT, nullable=False),
        sa.Column("change_kind", _TEXT, nullable=False),
        sa.Column("revised_by", _TEXT, nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("signatures", _TEXT, nullable=False),
        sa.Column("acknowledged_by", _TEXT, nullable=False),
        sa.Column("submitted_time", sa.BigInteger(), nullable=True),
        sa.Column("effective_time", sa.BigInteger(), nullable=True),
        sa.Column("ended_time", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", "revision", name=op.f("pk_sop_revisions")),
    )
    op.create_table(
        "tokens",
        sa.Column("id", _TEXT, autoincrement=False, nullable=False),
        sa.Column("secret_sha256", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("person_id", _TEXT, nullable=False),
        sa.Column("labels", _TEXT, nullable=False),
        sa.Column("uses_left", sa.BigInteger(), nullable=False),
        sa.Column("expires_time", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _TEXT, nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
    )
    op.create_index(op.f("ix_tokens_secret_sha256"), "tokens", ["secret_sha256"], unique=True)
    op.create_table(
        "update_log",
        sa.Column("entry_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("time", _TEXT, nullable=False),
        sa.Column("date", _TEXT, nullable=False),
        sa.Column("local_time", _TEXT, nullable=False),
        sa.Column("kind", _TEXT, nullable=False),
        sa.Column("computer", _TEXT, nullable=False),
        sa.Column("release", _TEXT, nullable=False),
        sa.Column("version_before", _TEXT, nullable=False),
        sa.Column("version_after", _TEXT, nullable=False),
        sa.Column("outcome", _TEXT, nullable=False),
        sa.Column("corrected_outcome", _TEXT, nullable=False),
        sa.Column("symptom", _TEXT, nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("operator", _TEXT, nullable=False),
        sa.Column("rollout", _TEXT, nullable=False),
        sa.Column("ticket", _TEXT, nullable=False),
        sa.Column("sop_id", _TEXT, nullable=False),
        sa.Column("sop_revision", sa.BigInteger(), nullable=False),
        sa.Column("receipt_sha256", _TEXT, nullable=False),
        sa.Column("message", _TEXT, nullable=False),
        sa.Column("details", _TEXT, nullable=False),
        sa.Column("canonical_json", _TEXT, nullable=False),
        sa.Column("entry_sha256", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("entry_index", name=op.f("pk_update_log")),
    )
    op.create_index(op.f("ix_update_log_computer"), "update_log", ["computer"], unique=False)
    op.create_index(op.f("ix_update_log_rollout"), "update_log", ["rollout"], unique=False)
    op.create_table(
        "update_log_checkpoints",
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("checkpoint", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("block", name=op.f("pk_update_log_checkpoints")),
    )
    op.create_table(
        "update_log_nodes",
        sa.Column("level", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("node_index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "node_index", name=op.f("pk_update_log_nodes")),
    )
    op.create_table(
        "assignments",
        sa.Column("id", _TEXT, autoincrement=False, nullable=False),
        sa.Column("rollout_id", _TEXT, nullable=False),
        sa.Column("computer_id", _TEXT, nullable=False),
        sa.Column("computer", _TEXT, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("wave", sa.BigInteger(), nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("outcome", _TEXT, nullable=False),
        sa.Column("symptom", _TEXT, nullable=False),
        sa.Column("detail", _TEXT, nullable=False),
        sa.Column("percent", sa.BigInteger(), nullable=False),
        sa.Column("version_before", _TEXT, nullable=False),
        sa.Column("version_after", _TEXT, nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("reasons", _TEXT, nullable=False),
        sa.Column("next_try_time", sa.BigInteger(), nullable=True),
        sa.Column("offered_time", sa.BigInteger(), nullable=True),
        sa.Column("start_until_time", sa.BigInteger(), nullable=True),
        sa.Column("install_started_time", sa.BigInteger(), nullable=True),
        sa.Column("ended_time", sa.BigInteger(), nullable=True),
        sa.Column("reported_time", sa.BigInteger(), nullable=True),
        sa.Column("waiting", _TEXT, nullable=False),
        sa.Column("warrant_sha256", _TEXT, nullable=False),
        sa.Column("receipt_sha256", _TEXT, nullable=False),
        sa.Column("lost_time", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["computer_id"],
            ["computers.id"],
            name=op.f("fk_assignments_computer_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.ForeignKeyConstraint(
            ["rollout_id"],
            ["rollouts.id"],
            name=op.f("fk_assignments_rollout_id"),
            initially="DEFERRED",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
    )
    op.create_index(op.f("ix_assignments_computer_id"), "assignments", ["computer_id"], unique=False)
    op.create_index(op.f("ix_assignments_rollout_id_position"), "assignments", ["rollout_id", "position"], unique=False)
    op.create_table(
        "computer_presence",
        sa.Column("computer_id", _TEXT, nullable=False),
        sa.Column("last_seen_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["computer_id"], ["computers.id"], name=op.f("fk_computer_presence_computer_id")),
        sa.PrimaryKeyConstraint("computer_id", name=op.f("pk_computer_presence")),
    )
    # ### end Alembic commands ###
