"""The tables of what people add to SOP revisions: comments, announcements, signing links; and who holds which revision.

Nothing here is deleted by the program.
"""

from sqlalchemy import BigInteger, Boolean, Column, Index, Table

from sopwith_controller.adapters.database.column_types import Document, Line, Time
from sopwith_controller.adapters.database.tables import METADATA

sop_comments = Table(
    "sop_comments",
    METADATA,
    Column("id", Line, primary_key=True, autoincrement=False),
    Column("sop_id", Line, nullable=False),
    Column("revision", BigInteger, nullable=False),
    *(Column(name, Line, nullable=False) for name in ("document_sha256", "question", "clause", "text")),
    Column("blocking", Boolean(create_constraint=False), nullable=False),
    Column("author", Line, nullable=False),
    Column("created_time", Time, nullable=False),
    *(Column(name, Line, nullable=False) for name in ("resolution", "resolved_by")),
    Column("resolved_time", Time, nullable=True),
)
Index(None, sop_comments.c.sop_id, sop_comments.c.revision)

sop_announcements = Table(
    "sop_announcements",
    METADATA,
    Column("id", Line, primary_key=True, autoincrement=False),
    Column("sop_id", Line, nullable=False),
    Column("revision", BigInteger, nullable=False),
    *(Column(name, Line, nullable=False) for name in ("document_sha256", "channel")),
    *(Column(name, Document(tuple), nullable=False) for name in ("recipients", "attendees")),
    *(Column(name, Line, nullable=False) for name in ("note", "announced_by")),
    Column("created_time", Time, nullable=False),
    Column("held_time", Time, nullable=True),
)
Index(None, sop_announcements.c.sop_id)

signing_links = Table(
    "signing_links",
    METADATA,
    Column("id", Line, primary_key=True, autoincrement=False),
    *(Column(name, Line, nullable=False) for name in ("secret_sha256", "kind", "sop_id")),
    Column("revision", BigInteger, nullable=False),
    *(Column(name, Line, nullable=False) for name in ("document_sha256", "person_id", "role", "created_by")),
    *(Column(name, Time, nullable=False) for name in ("created_time", "expires_time")),
    Column("payloads", Document(None), nullable=False),
    Column("used_time", Time, nullable=True),
)
Index(None, signing_links.c.secret_sha256, unique=True)

sop_receipts = Table(
    "sop_receipts",
    METADATA,
    Column("computer_id", Line, primary_key=True, autoincrement=False),
    Column("sop_id", Line, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
    Column("policy_sha256", Line, nullable=False),
    Column("received_time", Time, nullable=False),
)
