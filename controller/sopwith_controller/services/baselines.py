"""Baselines as they are kept: set when a rollout completes, ended when they do not hold any more.

This module loads and records; when a baseline is set and what ends it is decided by `domain.baseline`. Both happen in
the transaction of their cause, so that no baseline is forgotten and none is set twice.
"""

from collections.abc import Sequence
from datetime import datetime

from sopwith_controller.domain import baseline as rules
from sopwith_controller.domain.entities import LogDraft, ReleaseState
from sopwith_controller.domain.lasting_entities import Baseline
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.rollout import ENDED_STATES
from sopwith_controller.domain.rollout_entities import CATCH_UP, Assignment, Rollout
from sopwith_controller.services.ports import UnitOfWork
from sopwith_formats.manifest import split_release


async def note_completed(
    unit: UnitOfWork, rollout: Rollout, plan: Plan, assignments: Sequence[Assignment], now: datetime
) -> None:
    """Set the baseline of a rollout that completes now, and end what it replaces; a retry sets it only once."""
    if rollout.origin == CATCH_UP or not rules.is_proven(plan, assignments):
        return
    if await unit.baselines.get(rollout.id) is not None:
        return
    as_if = Baseline(rollout.id, rollout.name, rollout.release, plan.audience, now)
    rivals = [one for one in await unit.baselines.in_force() if rules.replaces(as_if, one)]
    for rival in rivals:
        theirs = await unit.rollouts.get(rival.rollout_id)
        if theirs is not None and theirs.created_time > rollout.created_time:
            return
    for rival in rivals:
        await _end(unit, rival, f"superseded by {rollout.name} ({rollout.id})", now)
    mine = rules.set_by(rollout, plan, assignments, now)
    if mine is not None:
        await unit.baselines.put(mine)
        whom = mine.audience or "every accepted computer in scope"
        await unit.update_log.append(
            _draft(LogKind.BASELINE_SET, mine, f"{mine.release} is the baseline of {whom} since {mine.name} completed")
        )


async def end_what_holds_no_more(unit: UnitOfWork, now: datetime) -> tuple[list[Baseline], bool]:
    """End those whose release was withdrawn or catch-up aborted; return the others, and whether any changed."""
    kept: list[Baseline] = []
    changed = False
    for one in await unit.baselines.in_force():
        release = await unit.releases.get(*split_release(one.release))
        catch_up = await unit.rollouts.get(one.catch_up_id) if one.catch_up_id else None
        reason = rules.ended_by(catch_up)
        if release is None or release.state is ReleaseState.WITHDRAWN:
            reason = f"{one.release} was withdrawn"
        if reason:
            await _end(unit, one, reason, now)
            changed = True
        elif catch_up is not None and catch_up.state in ENDED_STATES:
            kept.append(rules.without_catch_up(one))
            await unit.baselines.put(kept[-1])
            changed = True
        else:
            kept.append(one)
    return kept, changed


async def past_of(unit: UnitOfWork, computer_id: str, release_name: str) -> list[rules.Past]:
    """Return a computer's earlier shares in rollouts of a release name, newest first."""
    past: list[rules.Past] = []
    for assignment in await unit.assignments.of_computer(computer_id):
        rollout = await unit.rollouts.get(assignment.rollout_id)
        if rollout is not None and split_release(rollout.release)[0] == release_name:
            outcome = assignment.outcome if assignment.ended else ""
            past.append(rules.Past(rollout.release, outcome, assignment.version_after, rollout.created_time))
    return past


async def _end(unit: UnitOfWork, baseline: Baseline, reason: str, now: datetime) -> None:
    await unit.baselines.put(rules.end(baseline, reason, now))
    message = (
        f"{baseline.release} is no baseline of {baseline.audience or 'every accepted computer'} any more: {reason}"
    )
    await unit.update_log.append(_draft(LogKind.BASELINE_ENDED, baseline, message))


def _draft(kind: LogKind, baseline: Baseline, message: str) -> LogDraft:
    return LogDraft(
        kind=kind,
        message=message,
        release=baseline.release,
        rollout=baseline.rollout_id,
        details={"audience": baseline.audience},
    )
