"""A newer rollout takes back what older ones of the same release name have not begun on its computers.

This module loads and records; messages to computers go out after the caller's commit.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from sopwith_controller.domain import assignment as mirror
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.rollout import ACTIVE_STATES
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_controller.services.ports import UnitOfWork
from sopwith_controller.services.receipts import end_draft
from sopwith_formats.manifest import split_release
from sopwith_formats.vocabulary import BEFORE_INSTALLING, Outcome


async def supersede(unit: UnitOfWork, newer: Rollout, computer_ids: Collection[str], now: datetime) -> list[Assignment]:
    """Take back what has not begun on these computers; return what was offered to them already."""
    release, _ = split_release(newer.release)
    offered: list[Assignment] = []
    for older in await unit.rollouts.in_states(sorted(ACTIVE_STATES)):
        if older.id == newer.id or split_release(older.release)[0] != release:
            continue
        ended: list[Assignment] = []
        for before in await unit.assignments.of_rollout(older.id):
            if before.computer_id not in computer_ids or before.state not in BEFORE_INSTALLING:
                continue
            detail = f"superseded by {newer.name} ({newer.id})"
            after = mirror.end(before, Outcome.CANCELLED, now=now, detail=detail).assignment
            ended.append(after)
            if before.offered_time is not None:
                offered.append(after)
            draft = end_draft(LogKind.ASSIGNMENT_ENDED, older, after, f"{after.computer}: CANCELLED ({detail})")
            await unit.update_log.append(replace(draft, outcome=Outcome.CANCELLED))
        await unit.assignments.put_all(ended)
    return offered
