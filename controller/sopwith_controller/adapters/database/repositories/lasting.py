"""Baselines, patch days and recoveries of the log: what outlives a rollout."""

from collections.abc import Sequence

from sqlalchemy import select

from sopwith_controller.adapters.database.tables import baselines, log_recoveries, repetitions
from sopwith_controller.adapters.database.transaction import Transaction, columns_for
from sopwith_controller.domain.lasting_entities import Baseline, Repetition
from sopwith_controller.domain.log_recovery import LogRecovery

_BASELINES = select(*columns_for(Baseline, baselines))
_REPETITIONS = select(*columns_for(Repetition, repetitions))
_RECOVERIES = select(*columns_for(LogRecovery, log_recoveries))


class SqlBaselines:
    """Implements the `Baselines` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get(self, rollout_id: str) -> Baseline | None:
        """Return the baseline that a rollout made."""
        return await self._transaction.entity(_BASELINES.where(baselines.c.rollout_id == rollout_id), Baseline)

    async def in_force(self) -> Sequence[Baseline]:
        """Return those that have not ended, oldest first."""
        mine = _BASELINES.where(baselines.c.ended_time.is_(None))
        return await self._transaction.entities(mine.order_by(baselines.c.since_time, baselines.c.rollout_id), Baseline)

    async def put(self, baseline: Baseline) -> None:
        """Insert or replace."""
        await self._transaction.put(baselines, [vars(baseline)])


class SqlRepetitions:
    """Implements the `Repetitions` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get(self, repetition_id: str) -> Repetition | None:
        """Return one."""
        return await self._transaction.entity(_REPETITIONS.where(repetitions.c.id == repetition_id), Repetition)

    async def in_force(self) -> Sequence[Repetition]:
        """Return those that have not ended, by id."""
        mine = _REPETITIONS.where(repetitions.c.ended_time.is_(None))
        return await self._transaction.entities(mine.order_by(repetitions.c.id), Repetition)

    async def put(self, repetition: Repetition) -> None:
        """Insert or replace."""
        await self._transaction.put(repetitions, [vars(repetition)])


class SqlRecoveries:
    """Implements the `Recoveries` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def all(self) -> Sequence[LogRecovery]:
        """Return all, by the size that was kept."""
        return await self._transaction.entities(_RECOVERIES.order_by(log_recoveries.c.size), LogRecovery)

    async def put(self, recovery: LogRecovery) -> None:
        """Insert or replace."""
        await self._transaction.put(log_recoveries, [vars(recovery)])
