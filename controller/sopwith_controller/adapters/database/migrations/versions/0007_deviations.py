"""Deviations from single gates, and the reviews of emergency rollouts."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "deviations",
        sa.Column("id", _TEXT, autoincrement=False, nullable=False),
        sa.Column("gate", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("measure", _TEXT, nullable=False),
        sa.Column("requester", _TEXT, nullable=False),
        sa.Column("sop_id", _TEXT, nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("expires_time", sa.BigInteger(), nullable=False),
        sa.Column("rollout_id", _TEXT, nullable=False),
        sa.Column("plan_sha256", _TEXT, nullable=False),
        sa.Column("selector", _TEXT, nullable=False),
        sa.Column("approver", _TEXT, nullable=False),
        sa.Column("approved_time", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", _TEXT, nullable=False),
        sa.Column("closed_time", sa.BigInteger(), nullable=True),
        sa.Column("closing_reason", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deviations")),
    )
    op.create_index(op.f("ix_deviations_state"), "deviations", ["state"], unique=False)
    op.add_column("rollouts", sa.Column("reviewed_by", _TEXT, nullable=False, server_default=""))
    op.add_column("rollouts", sa.Column("reviewed_time", sa.BigInteger(), nullable=True))
    op.add_column("rollouts", sa.Column("review_note", _TEXT, nullable=False, server_default=""))
