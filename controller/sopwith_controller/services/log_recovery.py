"""Writing down that the update log goes on from a backup, and stopping what nobody may let run on by itself.

Decides what a recovery changes in the tables; that the backup is whole is `operate.restoring`'s to prove, and what a
computer's longer memory means, `witnesses`'. Rules: the entry LOG_RECOVERED is the first one after those that were
kept; rollouts that ran are suspended, because who paused, aborted or withdrew since then is not known any more; one
incident tells the people who answer for the fleet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sopwith_controller.domain import rollout as machine
from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.log_recovery import LogRecovery
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.ports import Database, UnitOfWork
from sopwith_formats.units import format_time
from sopwith_formats.vocabulary import Symptom


@dataclass(frozen=True)
class Restored:
    """What was restored, by whom, why."""

    size: int
    root: bytes
    operator: str
    reason: str
    backup_sha256: str
    backup_time: datetime
    now: datetime


async def record_recovery(database: Database, incidents: Incidents, restored: Restored) -> Sequence[str]:
    """Record it in one transaction; return the names of the rollouts that are suspended by it."""
    async with database.write() as unit:
        index = await unit.update_log.append(
            LogDraft(
                LogKind.LOG_RECOVERED,
                f"{restored.operator} restored the controller from a backup of {format_time(restored.backup_time)}: "
                f"{restored.reason}",
                operator=restored.operator,
                details={
                    "size": restored.size,
                    "root_sha256": restored.root.hex(),
                    "backup_sha256": restored.backup_sha256,
                    "backup_time": format_time(restored.backup_time),
                },
            )
        )
        await unit.recoveries.put(
            LogRecovery(
                size=index,
                root=restored.root.hex(),
                operator=restored.operator,
                reason=restored.reason,
                backup_sha256=restored.backup_sha256,
                backup_time=restored.backup_time,
                recovered_time=restored.now,
                witnessed_size=index,
            )
        )
        suspended = await _suspend(unit)
        await incidents.raise_in(
            unit,
            symptom=Symptom.LOG_INTEGRITY,
            severity=2,
            summary=(
                f"the controller was restored from a backup of {format_time(restored.backup_time)} by "
                f"{restored.operator}: what people decided since then is lost; look at revoked people, freezes, "
                f"withdrawn releases and {len(suspended)} suspended rollouts"
            ),
        )
        await unit.commit()
    return suspended


async def _suspend(unit: UnitOfWork) -> list[str]:
    names = []
    for running in await unit.rollouts.in_states([RolloutState.RUNNING]):
        rollout = machine.suspend(running, reason="the controller was restored from a backup")
        await unit.rollouts.put(rollout)
        await unit.update_log.append(
            LogDraft(
                LogKind.ROLLOUT_SUSPENDED,
                f"{rollout.name} suspended: {rollout.state_reason}",
                rollout=rollout.id,
                release=rollout.release,
                ticket=rollout.ticket,
                sop_id=rollout.sop_id,
                sop_revision=rollout.sop_revision,
            )
        )
        names.append(rollout.name)
    return names
