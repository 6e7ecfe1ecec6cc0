"""What was carried out already: messages of computers, and request ids of people."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from sopwith_controller.adapters.database.tables import agent_messages, requests
from sopwith_controller.adapters.database.transaction import Transaction, insert
from sopwith_controller.services.repositories import AgentMessageRow


class SqlAgentMessages:
    """Implements the `AgentMessages` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def digests(self, computer_id: str, first: int, last: int) -> dict[int, str]:
        """Return sequence to digest of the recorded messages in this closed range."""
        table = agent_messages.c
        mine = select(table.sequence, table.sha256).where(table.computer_id == computer_id)
        rows = await self._transaction.rows(mine.where(table.sequence.between(first, last)))
        return {row.sequence: row.sha256 for row in rows}

    async def add_all(self, rows: Sequence[AgentMessageRow]) -> None:
        """Insert many."""
        await self._transaction.write(insert(agent_messages, self._transaction.dialect), [vars(row) for row in rows])


class SqlRequests:
    """Implements the `Requests` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def result_of(self, request_id: str) -> str | None:
        """Return what the request led to."""
        rows = await self._transaction.rows(select(requests.c.result).where(requests.c.id == request_id))
        return rows[0].result if rows else None

    async def remember(self, request_id: str, result: str, now: datetime) -> None:
        """Keep what it led to."""
        await self._transaction.put(requests, [{"id": request_id, "result": result, "time": now}])
