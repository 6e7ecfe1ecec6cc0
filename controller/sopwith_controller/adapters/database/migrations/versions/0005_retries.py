"""Retries, stalled assignments and benched computers."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assignments", sa.Column("replaced", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("assignments", sa.Column("stalled_time", sa.BigInteger(), nullable=True))
    op.add_column(
        "computers", sa.Column("failures_in_a_row", sa.BigInteger(), nullable=False, server_default=sa.text("0"))
    )
