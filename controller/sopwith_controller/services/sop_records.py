"""Keeping the SOP's records for as long as the SOP says, and letting go of them so that it can be seen.

This module loads, lets `domain.retention` decide what is over, and writes what stays. Rules: a purge is one PURGED
entry with the digest of every record that went, in the transaction that empties them; the update log is never cut.
"""

from dataclasses import asdict
from datetime import timedelta
from hashlib import sha256

from sopwith_controller.domain import retention as rules
from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.retention import Practice
from sopwith_controller.services.ports import Clock, Database, UnitOfWork
from sopwith_formats.sop_policy import read_sop_policy


class SopRecords:
    """The use case: purge what is over."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def purge_due(self) -> None:
        """Let go of what is over; a timer asks."""
        async with self._database.write() as unit:
            purged = False
            rollouts = await unit.rollouts.all()
            for sop_id in await unit.sops.ids():
                practice = await _practice(unit, sop_id)
                newest = await unit.sops.effective(sop_id) or practice.revisions[-1]
                retention = timedelta(seconds=read_sop_policy(newest.policy_json).records.retention_seconds)
                gone = rules.over(practice, rollouts, retention, self._clock.now())
                if rules.named(gone):
                    await self._purge(unit, sop_id, gone)
                    purged = True
            if purged:
                await unit.commit()

    async def _purge(self, unit: UnitOfWork, sop_id: str, gone: Practice) -> None:
        digests = {name: _digest(record) for name, record in rules.named(gone)}
        left = rules.emptied(gone)
        for revision in left.revisions:
            await unit.sops.put(revision)
        await unit.practice.training.put_all(left.training)
        await unit.practice.reviews.put_all(left.reviews)
        await unit.practice.feedback.put_all(left.feedback)
        documents = {f"{one.id} {one.revision}": one.document_sha256 for one in gone.revisions}
        await unit.update_log.append(
            LogDraft(
                LogKind.PURGED,
                f"{sop_id}: {len(digests)} records went whose retention has ended",
                sop_id=sop_id,
                details={"digests": digests, "document_sha256": documents},
            )
        )


async def _practice(unit: UnitOfWork, sop_id: str) -> Practice:
    return Practice(
        await unit.sops.revisions(sop_id),
        [one for one in await unit.practice.training.all() if one.sop_id == sop_id],
        [one for one in await unit.practice.reviews.all() if one.sop_id == sop_id],
        [one for one in await unit.practice.feedback.all() if one.sop_id == sop_id],
    )


def _digest(record: object) -> str:
    """Return the digest of everything that a record said."""
    return sha256(repr(sorted(asdict(record).items())).encode()).hexdigest()  # type: ignore[call-overload]
