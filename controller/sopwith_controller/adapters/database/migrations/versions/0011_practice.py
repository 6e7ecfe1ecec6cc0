"""The SOP's practice: known computers, training, reviews of the SOP, feedback."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, _TEXT, nullable=False) for name in names]


def _key(name: str) -> sa.Column[Any]:
    return sa.Column(name, _TEXT, autoincrement=False, nullable=False)


def _number(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "known_computers",
        _key("name"),
        *_texts("note"),
        sa.Column("listed", sa.Boolean(create_constraint=False), nullable=False),
        *_texts("imported_by"),
        _number("imported_time"),
        *_texts("excused_by", "excused_reason"),
        _number("excused_until", nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_known_computers")),
    )
    op.create_table(
        "training_records",
        _key("id"),
        *_texts("kind", "person", "sop_id"),
        _number("revision"),
        _number("time"),
        _number("since_revision"),
        *_texts("details"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_records")),
    )
    op.create_table(
        "sop_reviews",
        _key("id"),
        *_texts("sop_id"),
        _number("revision"),
        *_texts("trigger", "subject"),
        _number("opened_time"),
        _number("due_time"),
        *_texts("closed_by"),
        _number("closed_time", nullable=True),
        *_texts("outcome", "note"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sop_reviews")),
    )
    op.create_table(
        "review_marks",
        _key("id"),
        _number("time"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_marks")),
    )
    op.create_table(
        "sop_feedback",
        _key("id"),
        *_texts("sop_id"),
        _number("revision"),
        *_texts("clause", "text", "origin", "given_by", "rollout"),
        _number("time"),
        *_texts("disposition", "disposed_by"),
        _number("disposed_time", nullable=True),
        *_texts("disposition_reason"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sop_feedback")),
    )
