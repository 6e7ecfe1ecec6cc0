"""Deviations: exceptions to single gates."""

from collections.abc import Sequence

from sqlalchemy import select

from sopwith_controller.adapters.database.tables import deviations
from sopwith_controller.adapters.database.transaction import Transaction, columns_for
from sopwith_controller.domain.deviation import Deviation, DeviationState

_DEVIATIONS = select(*columns_for(Deviation, deviations))
_NEWEST = (deviations.c.created_time.desc(), deviations.c.id.desc())


class SqlDeviations:
    """Implements the `Deviations` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get(self, deviation_id: str) -> Deviation | None:
        """Return one."""
        return await self._transaction.entity(_DEVIATIONS.where(deviations.c.id == deviation_id), Deviation)

    async def all(self) -> Sequence[Deviation]:
        """Return all, newest first."""
        return await self._transaction.entities(_DEVIATIONS.order_by(*_NEWEST), Deviation)

    async def unended(self) -> Sequence[Deviation]:
        """Return OPEN and APPROVED ones, newest first."""
        living = _DEVIATIONS.where(deviations.c.state.in_([DeviationState.OPEN, DeviationState.APPROVED]))
        return await self._transaction.entities(living.order_by(*_NEWEST), Deviation)

    async def put(self, deviation: Deviation) -> None:
        """Insert or replace."""
        await self._transaction.put(deviations, [vars(deviation)])
