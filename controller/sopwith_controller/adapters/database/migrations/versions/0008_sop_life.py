"""Comments, announcements and signing links of SOP revisions, who holds them; people who end, are away, or left."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _key(name: str) -> sa.Column[str]:
    return sa.Column(name, _TEXT, autoincrement=False, nullable=False)


def _texts(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, _TEXT, nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "sop_comments",
        _key("id"),
        *_texts("sop_id"),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        *_texts("document_sha256", "question", "clause", "text"),
        sa.Column("blocking", sa.Boolean(), nullable=False),
        *_texts("author"),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        *_texts("resolution", "resolved_by"),
        sa.Column("resolved_time", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sop_comments")),
    )
    op.create_index(op.f("ix_sop_comments_sop_id_revision"), "sop_comments", ["sop_id", "revision"], unique=False)
    op.create_table(
        "sop_announcements",
        _key("id"),
        *_texts("sop_id"),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        *_texts("document_sha256", "channel", "recipients", "attendees", "note", "announced_by"),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("held_time", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sop_announcements")),
    )
    op.create_index(op.f("ix_sop_announcements_sop_id"), "sop_announcements", ["sop_id"], unique=False)
    op.create_table(
        "signing_links",
        _key("id"),
        *_texts("secret_sha256", "kind", "sop_id"),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        *_texts("document_sha256", "person_id", "role", "created_by"),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("expires_time", sa.BigInteger(), nullable=False),
        *_texts("payloads"),
        sa.Column("used_time", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_links")),
    )
    op.create_index(op.f("ix_signing_links_secret_sha256"), "signing_links", ["secret_sha256"], unique=True)
    op.create_table(
        "sop_receipts",
        _key("computer_id"),
        _key("sop_id"),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        *_texts("policy_sha256"),
        sa.Column("received_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("computer_id", "sop_id", name=op.f("pk_sop_receipts")),
    )
    op.add_column("people", sa.Column("expires_time", sa.BigInteger(), nullable=True))
    op.add_column("people", sa.Column("ssh_key", _TEXT, nullable=False, server_default=""))
    op.add_column("people", sa.Column("away_until_time", sa.BigInteger(), nullable=True))
    op.add_column("people", sa.Column("deputy_id", _TEXT, nullable=False, server_default=""))
    op.add_column("people", sa.Column("successor_id", _TEXT, nullable=False, server_default=""))
