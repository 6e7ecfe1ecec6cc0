"""Deferrals by people at the computers."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("assignments", sa.Column("deferrals", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column("assignments", sa.Column("deferred_until_time", sa.BigInteger(), nullable=True))
