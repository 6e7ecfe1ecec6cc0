"""Reading and proving the update log: list, follow, verify, checkpoint, export; each reading is itself recorded.

This module decides who is recorded as a reader and what a verification is fed with; what a fault is, is
`sopwith_formats.log_verification`'s. Rules: one LOG_READ entry per list, follow, export or verification by a person,
and none for the following pages of one list; verification reads entries, tree and checkpoints from the store each time
and keeps nothing; what was published outside the database is read first, so that it can never be ahead of the store.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import IO

from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.errors import InvalidInputError
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.services.access import Caller
from sopwith_controller.services.ports import Clock, Database, UnitOfWork
from sopwith_controller.services.update_log_ports import LogGrowth, PublishedCheckpoints
from sopwith_formats.checkpoint import VerifierKey, Verify
from sopwith_formats.log_entry import LogRow
from sopwith_formats.log_export import LogExportWriter
from sopwith_formats.log_verification import LogVerification, Verdict
from sopwith_formats.merkle import TreeNode
from sopwith_formats.receipt_verification import SignedRecord

PAGE_DEFAULT = 1000
PAGE_MAX = 10_000
FOLLOW_SILENCE_SECONDS = 10.0
PIECE_BYTES = 256 * 2**10
_BATCH = 5000
_PAGES_DUE_MAX = 1000


class UpdateLogs:
    """Use cases of the update log.

    `key` and `verify` prove its checkpoints, `growth` wakes those that follow, `found` hears what a person's
    verification found.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        growth: LogGrowth,
        published: PublishedCheckpoints,
        key: VerifierKey,
        verify: Verify,
        found: Callable[[Verdict], Awaitable[None]] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._growth = growth
        self._published = published
        self._key = key
        self._verify = verify
        self._found = found
        self._pages_due: dict[tuple[str, int, str, str], bool] = {}

    async def list(
        self, caller: Caller, *, start: int = 0, limit: int = 0, rollout: str = "", computer: str = ""
    ) -> tuple[Sequence[LogRow], int]:
        """Return entries from an index on, and the index to go on from, 0 when there is no more."""
        limit = limit or PAGE_DEFAULT
        if start < 0 or not 0 < limit <= PAGE_MAX:
            raise InvalidInputError(
                f"entries {start} and on, {limit} at once, cannot be read",
                remedy=f"start at 0 or later and ask for at most {PAGE_MAX}",
            )
        async with self._database.read() as unit:
            rows = await unit.update_log.entries(start, limit + 1, rollout=rollout, computer=computer)
        following = int(rows[limit].index) if len(rows) > limit else 0
        if not self._pages_due.pop((caller.id, start, rollout, computer), False):
            await self._record(caller, "listed the update log", {"start": start, "rollout": rollout})
        if following:
            self._pages_due[caller.id, following, rollout, computer] = True
            while len(self._pages_due) > _PAGES_DUE_MAX:
                self._pages_due.pop(next(iter(self._pages_due)))
        return rows[:limit], following

    async def follow(self, caller: Caller, *, start: int = 0) -> AsyncIterator[Sequence[LogRow]]:
        """Give entries from an index on (-1: only new ones) as they come; an empty batch after ten silent seconds."""
        if start < -1:
            raise InvalidInputError(f"entries {start} and on cannot be followed", remedy="start at 0 or later, or -1")
        await self._record(caller, "began to follow the update log", {"start": start})
        if start < 0:
            async with self._database.read() as unit:
                start = await unit.update_log.size()
        while True:
            async with self._database.read() as unit:
                rows = await unit.update_log.entries(start, PAGE_DEFAULT)
            if rows:
                start = int(rows[-1].index) + 1
                yield rows
                continue
            waiting = asyncio.get_running_loop().time()
            await self._growth.wait_for_growth(FOLLOW_SILENCE_SECONDS)
            if asyncio.get_running_loop().time() - waiting >= FOLLOW_SILENCE_SECONDS:
                yield ()

    async def verify(self, caller: Caller | None = None) -> Verdict:
        """Recompute everything from the stored entries; a person's asking is recorded with what was found."""
        notes = dict.fromkeys(await asyncio.to_thread(self._published.all))
        work = LogVerification()
        async with self._database.read() as unit:
            async for rows in _entries(unit):
                await asyncio.to_thread(work.add_entries, rows)
            async for nodes in _nodes(unit):
                await asyncio.to_thread(work.add_nodes, nodes)
            notes.update(dict.fromkeys(await unit.update_log.checkpoints()))
        for note in notes:
            work.add_checkpoint(note, self._key, self._verify)
        verdict = work.verdict()
        if caller is not None:
            count = f"{len(verdict.faults)} faults" if verdict.faults else "no fault"
            await self._record(caller, f"verified the update log: {count}", {"size": verdict.size})
            if self._found is not None:
                await self._found(verdict)
        return verdict

    async def checkpoint(self) -> tuple[str, str]:
        """Return the newest signed checkpoint, empty before the first entry, and the log key's text."""
        async with self._database.read() as unit:
            return await unit.update_log.newest_checkpoint(), self._key.text()

    async def export(self, caller: Caller) -> AsyncIterator[bytes]:
        """Give the pieces of a ZIP file with all that offline verification needs; empty ones while it is made."""
        await self._record(caller, "exported the update log", {})
        notes = dict.fromkeys(await asyncio.to_thread(self._published.all))
        with tempfile.TemporaryFile() as file:
            writer = LogExportWriter(file)
            async with self._database.read() as unit:
                async for rows in _entries(unit):
                    await asyncio.to_thread(writer.add_entries, rows)
                    yield b""
                async for nodes in _nodes(unit):
                    await asyncio.to_thread(writer.add_nodes, nodes)
                    yield b""
                async for records in _records(unit):
                    await asyncio.to_thread(writer.add_receipts, records)
                    yield b""
                notes.update(dict.fromkeys(await unit.update_log.checkpoints()))
            await asyncio.to_thread(writer.finish, list(notes), self._key.text())
            file.seek(0)
            while piece := await asyncio.to_thread(_read, file):
                yield piece

    async def _record(self, caller: Caller, message: str, details: dict[str, object]) -> None:
        async with self._database.write() as unit:
            await unit.update_log.append(
                LogDraft(LogKind.LOG_READ, f"{caller.name} {message}", operator=caller.name, details=details)
            )
            await unit.commit()


async def _entries(unit: UnitOfWork) -> AsyncIterator[Sequence[LogRow]]:
    start = 0
    while rows := await unit.update_log.entries(start, _BATCH):
        yield rows
        start = int(rows[-1].index) + 1


async def _nodes(unit: UnitOfWork) -> AsyncIterator[Sequence[TreeNode]]:
    after: tuple[int, int] | None = None
    while nodes := await unit.update_log.nodes(after, _BATCH):
        yield nodes
        after = (nodes[-1].level, nodes[-1].index)


async def _records(unit: UnitOfWork) -> AsyncIterator[Sequence[SignedRecord]]:
    place = ("", 0)
    while rows := await unit.receipts.after(place, _BATCH):
        yield [SignedRecord(row.computer_id, row.number, row.payload, row.signature) for row in rows]
        place = rows[-1].computer_id, rows[-1].number


def _read(file: IO[bytes]) -> bytes:
    return file.read(PIECE_BYTES)
