"""The update log's tables: entries as columns and as the exact bytes that were hashed, the tree, the checkpoints.

Every column of an entry is covered by its digest: verification compares each with the exact bytes. The columns are
plain, without conversion, so that what is read is what lies there. `entry_index` is the entry's `index`. Of each block
of sizes the newest checkpoint is kept.
"""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table

from sopwith_controller.adapters.database.column_types import TEXT
from sopwith_controller.adapters.database.tables import METADATA
from sopwith_formats.log_entry import ROW_FIELDS

_NUMBERS = {"index", "attempts", "sop_revision"}

update_log = Table(
    "update_log",
    METADATA,
    Column("entry_index", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, BigInteger if name in _NUMBERS else TEXT, nullable=False) for name in ROW_FIELDS if name != "index"),
)
Index(None, update_log.c.rollout)
Index(None, update_log.c.computer)

update_log_nodes = Table(
    "update_log_nodes",
    METADATA,
    Column("level", BigInteger, primary_key=True, autoincrement=False),
    Column("node_index", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, nullable=False),
)

update_log_checkpoints = Table(
    "update_log_checkpoints",
    METADATA,
    Column("block", BigInteger, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("checkpoint", TEXT, nullable=False),
)
