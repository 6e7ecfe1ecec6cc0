"""The tables of the SOP's practice: known computers, training, reviews of the SOP and what they have seen, feedback.

Columns are named and ordered like the fields of the entities. Each is small and read whole.
"""

from sqlalchemy import BigInteger, Boolean, Column, Table

from sopwith_controller.adapters.database.column_types import Document, Line, Time, Word
from sopwith_controller.adapters.database.tables import METADATA
from sopwith_controller.domain import practice_entities as entities

known_computers = Table(
    "known_computers",
    METADATA,
    Column("name", Line, primary_key=True, autoincrement=False),
    Column("note", Line, nullable=False),
    Column("listed", Boolean(create_constraint=False), nullable=False),
    Column("imported_by", Line, nullable=False),
    Column("imported_time", Time, nullable=False),
    Column("excused_by", Line, nullable=False),
    Column("excused_reason", Line, nullable=False),
    Column("excused_until", Time, nullable=True),
)

training_records = Table(
    "training_records",
    METADATA,
    Column("id", Line, primary_key=True, autoincrement=False),
    Column("kind", Word(entities.TrainingKind), nullable=False),
    Column("person", Line, nullable=False),
    Column("sop_id", Line, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("time", Time, nullable=False),
    Column("since_revision", BigInteger, nullable=False),
    Column("details", Document(), nullable=False),
)

sop_reviews = Table(
    "sop_reviews",
    METADATA,
    Column("id", Line, primary_key=True, autoincrement=False),
    Column("sop_id", Line, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("trigger", Word(entities.ReviewTrigger), nullable=False),
    Column("subject", Line, nullable=False),
    Column("opened_time", Time, nullable=False),
    Column("due_time", Time, nullable=False),
    Column("closed_by", Line, nullable=False),
    Column("closed_time", Time, nullable=True),
    Column("outcome", Line, nullable=False),
    Column("note", Line, nullable=False),
)

review_marks = Table(
    "review_marks",
    METADATA,
    Column("id", Line, primary_key=True, autoincrement=False),
    Column("time", Time, nullable=False),
)

sop_feedback = Table(
    "sop_feedback",
    METADATA,
    Column("id", Line, primary_key=True, autoincrement=False),
    Column("sop_id", Line, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("clause", Line, nullable=False),
    Column("text", Line, nullable=False),
    Column("origin", Word(entities.FeedbackOrigin), nullable=False),
    Column("given_by", Line, nullable=False),
    Column("rollout", Line, nullable=False),
    Column("time", Time, nullable=False),
    Column("disposition", Word(entities.Disposition), nullable=False),
    Column("disposed_by", Line, nullable=False),
    Column("disposed_time", Time, nullable=True),
    Column("disposition_reason", Line, nullable=False),
)
