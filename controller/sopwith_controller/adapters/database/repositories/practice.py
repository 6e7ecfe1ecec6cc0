"""The SOP's practice: records of one kind each, small enough to be read together."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from sqlalchemy import Table, select

from sopwith_controller.adapters.database import practice_tables as tables
from sopwith_controller.adapters.database.transaction import Transaction, columns_for
from sopwith_controller.domain import practice_entities as entities

T = TypeVar("T")


class SqlKept(Generic[T]):
    """Implements the `Kept` port for a table and its entity."""

    def __init__(self, transaction: Transaction, table: Table, entity: type[T]) -> None:
        self._transaction = transaction
        self._table = table
        self._entity = entity
        (self._key,) = table.primary_key.columns

    async def get(self, key: str) -> T | None:
        """Return the one under this key."""
        query = select(*columns_for(self._entity, self._table)).where(self._key == key)
        return await self._transaction.entity(query, self._entity)

    async def all(self) -> Sequence[T]:
        """Return all by key."""
        query = select(*columns_for(self._entity, self._table)).order_by(self._key)
        return await self._transaction.entities(query, self._entity)

    async def put_all(self, many: Sequence[T]) -> None:
        """Insert or replace."""
        await self._transaction.put(self._table, [vars(one) for one in many])


class SqlPractice:
    """Implements the `Practice` port."""

    def __init__(self, transaction: Transaction) -> None:
        self.known_computers = SqlKept(transaction, tables.known_computers, entities.KnownComputer)
        self.training = SqlKept(transaction, tables.training_records, entities.TrainingRecord)
        self.reviews = SqlKept(transaction, tables.sop_reviews, entities.SopReview)
        self.review_marks = SqlKept(transaction, tables.review_marks, entities.ReviewMark)
        self.feedback = SqlKept(transaction, tables.sop_feedback, entities.Feedback)
