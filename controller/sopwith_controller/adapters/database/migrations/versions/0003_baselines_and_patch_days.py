"""What a completed rollout leaves behind: its baseline, and the patch day that drafts the next one."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    for column in ("origin", "origin_id"):
        op.add_column("rollouts", sa.Column(column, _TEXT, nullable=False, server_default=""))
        with op.batch_alter_table("rollouts") as batch:
            batch.alter_column(column, server_default=None)
    op.create_table(
        "baselines",
        sa.Column("rollout_id", _TEXT, autoincrement=False, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("release", _TEXT, nullable=False),
        sa.Column("audience", _TEXT, nullable=False),
        sa.Column("since_time", sa.BigInteger(), nullable=False),
        sa.Column("catch_up_id", _TEXT, nullable=False),
        sa.Column("waiting", _TEXT, nullable=False),
        sa.Column("ended_time", sa.BigInteger(), nullable=True),
        sa.Column("ended_reason", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("rollout_id", name=op.f("pk_baselines")),
    )
    op.create_index(op.f("ix_baselines_ended_time"), "baselines", ["ended_time"], unique=False)
    op.create_table(
        "repetitions",
        sa.Column("id", _TEXT, autoincrement=False, nullable=False),
        sa.Column("name", _TEXT, nullable=False),
        sa.Column("rollout_id", _TEXT, nullable=False),
        sa.Column("rule", _TEXT, nullable=False),
        sa.Column("time_zone", _TEXT, nullable=False),
        sa.Column("next_time", sa.BigInteger(), nullable=True),
        sa.Column("ended_time", sa.BigInteger(), nullable=True),
        sa.Column("ended_reason", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_repetitions")),
    )
    op.create_index(op.f("ix_repetitions_ended_time"), "repetitions", ["ended_time"], unique=False)
