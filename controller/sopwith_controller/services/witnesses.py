"""Computers as witnesses of the update log: each keeps the newest checkpoint and is shown that nothing changed.

This module decides what a computer is shown, and what it means when one remembers more than the log holds: then the log
lost entries, whatever the reason, and people are told (LOG_INTEGRITY, severity 1). Rules: a computer is shown a newer
checkpoint when it comes and every minute in which the log grew; the proof is computed from the store each time, once
for all computers that remember the same size; nobody waits for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.ports import Database, UnitOfWork
from sopwith_formats.checkpoint import Checkpoint, VerifierKey, Verify, read_checkpoint
from sopwith_formats.errors import FormatError
from sopwith_formats.vocabulary import Symptom


@dataclass(frozen=True)
class Growth:
    """A newer checkpoint and the proof that it holds everything of the older one."""

    checkpoint: str
    size: int
    proof: tuple[bytes, ...]


class Witnesses:
    """What the log has to show."""

    def __init__(self, database: Database, incidents: Incidents, *, key: VerifierKey, verify: Verify) -> None:
        self._database = database
        self._incidents = incidents
        self._key = key
        self._verify = verify

    async def newer_than(self, sizes: Iterable[int]) -> dict[int, Growth]:
        """Return size to what is newer, for those of the sizes that something is newer than."""
        async with self._database.read() as unit:
            newest = await self._newest(unit)
            if newest is None:
                return {}
            return {
                size: Growth(newest.note, newest.size, await _proof(unit, size, newest.size))
                for size in set(sizes)
                if size < newest.size
            }

    async def remembered_size(self, computer: str, checkpoint: str) -> int:
        """Return the size that a computer remembers; tell people when the log holds less, or something else.

        A checkpoint that the fleet's log key did not sign is nobody's memory and counts as none.
        """
        try:
            remembered = read_checkpoint(checkpoint)
        except FormatError:
            return 0
        if not remembered.is_signed_by(self._key, self._verify):
            return 0
        async with self._database.read() as unit:
            newest = await self._newest(unit)
            size = newest.size if newest else 0
            same = newest is not None and size == remembered.size and newest.root == remembered.root
        if remembered.size > size or (remembered.size == size and not same):
            await self._tell(computer, remembered.size, size)
        return remembered.size

    async def _newest(self, unit: UnitOfWork) -> Checkpoint | None:
        note = await unit.update_log.newest_checkpoint()
        return read_checkpoint(note) if note else None

    async def _tell(self, computer: str, remembered: int, size: int) -> None:
        summary = f"{computer} has seen a signed update log of {remembered} entries; the log of {size} is not that one"
        async with self._database.write() as unit:
            await self._incidents.raise_in(unit, symptom=Symptom.LOG_INTEGRITY, severity=1, summary=summary)
            await unit.commit()
        await self._incidents.after_commit()


async def _proof(unit: UnitOfWork, old: int, new: int) -> tuple[bytes, ...]:
    return tuple(await unit.update_log.consistency_proof(old, new)) if old else ()
