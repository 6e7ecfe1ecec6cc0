"""Computers as witnesses of the update log: each keeps the newest checkpoint and is shown that nothing changed.

This module decides what a computer is shown, and what it means when one remembers another log than this one: more
entries than it holds, or as many of which another root was signed. Then the log lost entries, whatever the reason, and
people are told (LOG_INTEGRITY, severity 1), unless a recovery from a backup explains it: then the entry LOG_RECOVERED
is shown to the computer with the proof that it stands in the log, and the longest lost log is an entry of its own.
Rules: a computer is shown a newer checkpoint when it comes and every minute in which the log grew; the proof is
computed from the store each time, once for all computers that remember the same size; nobody waits for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.log_recovery import LogRecovery, recovery_of
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.ports import Database, UnitOfWork
from sopwith_formats.checkpoint import Checkpoint, VerifierKey, Verify, read_checkpoint
from sopwith_formats.errors import FormatError
from sopwith_formats.merkle import verify_consistency
from sopwith_formats.vocabulary import Symptom


@dataclass(frozen=True)
class Growth:
    """A newer checkpoint and the proof that it holds everything of the older one."""

    checkpoint: str
    size: int
    proof: tuple[bytes, ...]


@dataclass(frozen=True)
class Recovered:
    """The recovery that explains why a computer remembers a log that is no more."""

    checkpoint: str
    size: int
    index: int
    """Of the entry LOG_RECOVERED."""
    entry_json: str
    proof: tuple[bytes, ...]
    """That the entry stands in the log of `size` entries."""


@dataclass(frozen=True)
class Memory:
    """What a computer remembers of the log."""

    size: int
    recovered: Recovered | None = None


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

    async def remembered(self, computer: str, checkpoint: str) -> Memory:
        """Return what a computer remembers; tell people when the log holds less, or something else.

        A checkpoint that the fleet's log key did not sign is nobody's memory and counts as none.
        """
        try:
            remembered = read_checkpoint(checkpoint)
        except FormatError:
            return Memory(0)
        if not remembered.is_signed_by(self._key, self._verify):
            return Memory(0)
        async with self._database.read() as unit:
            newest = await self._newest(unit)
            if newest is not None and await _holds(unit, newest, remembered):
                return Memory(remembered.size)
            recovery = recovery_of(await unit.recoveries.all(), remembered.size)
            recovered = await _shown(unit, newest, recovery.size) if newest and recovery else None
        if recovery is None or recovered is None:
            await self._tell(computer, remembered.size, newest.size if newest else 0)
            return Memory(remembered.size)
        if remembered.size > recovery.witnessed_size:
            await self._witness(computer, recovery, remembered)
        return Memory(recovered.size, recovered)

    async def _witness(self, computer: str, recovery: LogRecovery, remembered: Checkpoint) -> None:
        """Record how much of the log is known to be lost."""
        async with self._database.write() as unit:
            await unit.recoveries.put(replace(recovery, witnessed_size=remembered.size))
            last = remembered.size - 1
            await unit.update_log.append(
                LogDraft(
                    LogKind.LOG_LOSS_WITNESSED,
                    f"{computer} has seen a signed log of {remembered.size} entries; it was recovered at "
                    f"{recovery.size}, so entries {recovery.size} to {last} of the former log are lost",
                    computer=computer,
                    details={"size": remembered.size, "root_sha256": remembered.root.hex(), "recovered": recovery.size},
                )
            )
            await unit.commit()

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


async def _holds(unit: UnitOfWork, newest: Checkpoint, remembered: Checkpoint) -> bool:
    """Tell whether the log begins with the one that is remembered."""
    if remembered.size > newest.size:
        return False
    if remembered.size in (0, newest.size):
        return not remembered.size or remembered.root == newest.root
    proof = await unit.update_log.consistency_proof(remembered.size, newest.size)
    return verify_consistency(remembered.size, newest.size, remembered.root, newest.root, proof)


async def _shown(unit: UnitOfWork, newest: Checkpoint, index: int) -> Recovered | None:
    """Return the entry LOG_RECOVERED with its proof; None where it is not what stands there."""
    rows = await unit.update_log.entries(index, 1) if index < newest.size else ()
    if not rows or rows[0].index != index or rows[0].kind != LogKind.LOG_RECOVERED:
        return None
    proof = await unit.update_log.inclusion_proof(index, newest.size)
    return Recovered(newest.note, newest.size, index, rows[0].canonical_json, tuple(proof))
