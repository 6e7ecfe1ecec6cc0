"""Signed records of computers, byte for byte as they came: append only, one per computer and number."""

from collections.abc import Sequence

from sqlalchemy import and_, or_, select

from sopwith_controller.adapters.database.tables import receipts
from sopwith_controller.adapters.database.transaction import Transaction, columns_for, insert, pieces
from sopwith_controller.services.lasting_repositories import ReceiptRow

_RECEIPTS = select(*columns_for(ReceiptRow, receipts))


class SqlReceipts:
    """Implements the `Receipts` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def digests(self, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], str]:
        """Return what is recorded under these computers' numbers."""
        table = receipts.c
        found: dict[tuple[str, int], str] = {}
        for some in pieces(places):
            wanted = or_(*[and_(table.computer_id == computer, table.number == number) for computer, number in some])
            rows = await self._transaction.rows(select(table.computer_id, table.number, table.sha256).where(wanted))
            found.update({(row.computer_id, row.number): row.sha256 for row in rows})
        return found

    async def add_all(self, rows: Sequence[ReceiptRow]) -> None:
        """Insert many."""
        await self._transaction.write(insert(receipts, self._transaction.dialect), [vars(row) for row in rows])

    async def after(self, place: tuple[str, int], limit: int) -> Sequence[ReceiptRow]:
        """Return the records behind a computer's number, by computer and number."""
        table = receipts.c
        computer, number = place
        behind = or_(table.computer_id > computer, and_(table.computer_id == computer, table.number > number))
        ordered = _RECEIPTS.where(behind).order_by(table.computer_id, table.number)
        return await self._transaction.entities(ordered.limit(limit), ReceiptRow)
