"""Where freezes come from: a person, or a calendar that is imported again and again."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    for name in ("origin", "uid"):
        op.add_column("freezes", sa.Column(name, _TEXT, nullable=False, server_default=""))
