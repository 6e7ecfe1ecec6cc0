"""Recoveries of the update log from a backup."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "log_recoveries",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", _TEXT, nullable=False),
        sa.Column("operator", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("backup_sha256", _TEXT, nullable=False),
        sa.Column("backup_time", sa.BigInteger(), nullable=False),
        sa.Column("recovered_time", sa.BigInteger(), nullable=False),
        sa.Column("witnessed_size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_log_recoveries")),
    )
