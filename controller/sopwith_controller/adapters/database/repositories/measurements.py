"""What updates took on the computers that finished them: the newest of a release name, by an index."""

from collections.abc import Sequence

from sqlalchemy import select

from sopwith_controller.adapters.database.tables import measurements
from sopwith_controller.adapters.database.transaction import Transaction, columns_for
from sopwith_controller.domain.durations import Measurement

_MEASUREMENTS = select(*columns_for(Measurement, measurements))


class SqlMeasurements:
    """Implements the `Measurements` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def newest(self, release_name: str, limit: int) -> Sequence[Measurement]:
        """Return those of any version of a release name, newest end first."""
        mine = _MEASUREMENTS.where(measurements.c.release_name == release_name)
        newest = mine.order_by(measurements.c.ended_time.desc(), measurements.c.assignment_id.desc())
        return await self._transaction.entities(newest.limit(limit), Measurement)

    async def put_all(self, those: Sequence[Measurement]) -> None:
        """Insert or replace; an assignment has one."""
        await self._transaction.put(measurements, [vars(one) for one in those])
