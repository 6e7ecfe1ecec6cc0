"""Number the changes of computers and assignments, so that a tick reads only what is new."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TABLES = ("assignments", "computers")


def upgrade() -> None:
    for table in _TABLES:
        op.add_column(table, sa.Column("change_number", sa.BigInteger(), nullable=False, server_default="0"))
        op.create_index(op.f(f"ix_{table}_change_number"), table, ["change_number"], unique=False)


def downgrade() -> None:
    for table in _TABLES:
        op.drop_index(op.f(f"ix_{table}_change_number"), table_name=table)
        op.drop_column(table, "change_number")
