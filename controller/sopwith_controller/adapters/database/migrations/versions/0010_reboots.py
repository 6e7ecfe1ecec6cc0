"""Leave to reboot, and how computers stand with their reboots."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("reboot_asked_time", "reboot_until_time"):
        op.add_column("assignments", sa.Column(name, sa.BigInteger(), nullable=True))
    for name in ("reboot_wanted", "reboot_forced"):
        op.add_column("assignments", sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
