"""What updates took on computers that finished them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "measurements",
        sa.Column("assignment_id", _TEXT, autoincrement=False, nullable=False),
        sa.Column("release_name", _TEXT, nullable=False),
        sa.Column("version", _TEXT, nullable=False),
        sa.Column("platform", _TEXT, nullable=False),
        sa.Column("install_milliseconds", sa.BigInteger(), nullable=False),
        sa.Column("download_milliseconds", sa.BigInteger(), nullable=False),
        sa.Column("download_bytes", sa.BigInteger(), nullable=False),
        sa.Column("ended_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("assignment_id", name=op.f("pk_measurements")),
    )
    op.create_index(
        op.f("ix_measurements_release_name_ended_time"), "measurements", ["release_name", "ended_time"], unique=False
    )
