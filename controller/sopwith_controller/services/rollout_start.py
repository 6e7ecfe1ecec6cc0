"""Starting a rollout: the last gates, fresh readiness, the assignments, and what the start replaces.

Rules: readiness that is missing or older than 15 min is measured first, at most 10 s are waited for it; then
`ready_quorum` is judged. A start before the plan's start time is taken: its computers wait for that time, and the
deadline counts from there. The assignments are made here, one per member of the plan, all PENDING. A newer rollout of
the same release name takes back what an older one has not begun on its members. The same request id has no further
effect.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from sopwith_controller.domain import approvals
from sopwith_controller.domain import rollout as machine
from sopwith_controller.domain.entities import Computer
from sopwith_controller.domain.errors import UnavailableError
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.openings import earliest_start
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.planning import member_waves
from sopwith_controller.domain.readiness import needs_measuring
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_controller.services.access import Caller
from sopwith_controller.services.advance import rollout_draft
from sopwith_controller.services.patch_days import note_started
from sopwith_controller.services.ports import AgentGateway, Ids, UnitOfWork
from sopwith_controller.services.requests import done_before, remember
from sopwith_controller.services.rollouts import RolloutTools, find_rollout
from sopwith_controller.services.start_checks import SentBackError, StartChecks, refused, send_back
from sopwith_controller.services.superseding import supersede
from sopwith_formats.manifest import split_release
from sopwith_formats.vocabulary import Symptom

MEASURE_WAIT = timedelta(seconds=10)
ENTRIES_UNTIL_START = 1000
"""More than the log ever has of a rollout before its start: drafts, submissions, approvals, comments."""


def _ahead(plan: Plan, members: Sequence[Computer], now: datetime) -> int:
    """Return how many seconds the start time lies ahead for the first member: the deadline counts from there."""
    zones = {str(computer.facts.get("time_zone", "")) for computer in members}
    return ceil((earliest_start(plan, zones, now) - now).total_seconds())


@dataclass(frozen=True)
class Started:
    """A rollout that runs, and what people should know about it."""

    rollout: Rollout
    warnings: tuple[str, ...] = ()
    """The same for a request that comes again: the log keeps them."""


class RolloutStart:
    """The use case: start."""

    def __init__(self, tools: RolloutTools, gateway: AgentGateway) -> None:
        self._tools = tools
        self._gateway = gateway
        self._checks = StartChecks(tools, gateway)

    async def start(self, caller: Caller, rollout_id: str, reason: str) -> Started:
        """Let an approved rollout run."""
        repeated = await self._repeated(caller, rollout_id)
        if repeated is not None:
            return repeated
        if self._tools.trusted is not None and not await self._tools.trusted():
            raise UnavailableError(
                "the controller's clock jumped, and nothing starts until its time is confirmed",
                remedy="set the clock right, or confirm its time by sopwith freeze end --confirm-time",
            )
        await self._measure(rollout_id)
        tools, now = self._tools, self._tools.clock.now()
        async with tools.database.write() as unit:
            before = await find_rollout(unit, rollout_id)
            if await done_before(unit, caller, LogKind.ROLLOUT_STARTED, before.id):
                return await _told_before(unit, before)
            approvals.check_prepared(before)
            machine.next_state(before, machine.RolloutCommand.START)
            try:
                cleared = await self._checks.check(unit, caller, before)
            except SentBackError as error:
                await send_back(unit, caller.name, error)
                await unit.commit()
                tools.changed(before.id)
                raise refused(error) from error
            before, plan, members = cleared.rollout, cleared.plan, cleared.members
            rollout = machine.start(
                before,
                operator=caller.name,
                reason=reason,
                now=now,
                deadline_seconds=plan.deadline_seconds + _ahead(plan, members, now),
                waves=len(plan.waves),
            )
            await unit.rollouts.put(rollout)
            await note_started(unit, rollout, plan, now)
            await unit.assignments.put_all(new_assignments(tools.ids, rollout, plan, members))
            replaced = await supersede(unit, rollout, {member.id for member in plan.members}, now)
            await unit.update_log.append(
                rollout_draft(
                    LogKind.ROLLOUT_STARTED,
                    rollout,
                    f"{caller.name} started {rollout.name}: {rollout.start_reason}",
                    person=caller.name,
                    details={
                        "computers": len(plan.members),
                        "change_class": rollout.change_class,
                        "replaced": list(cleared.replaced),
                        "gates": [decision.record() for decision in cleared.decisions],
                        "warnings": list(cleared.warnings),
                    },
                )
            )
            if rollout.emergency:
                await self._tell_of_emergency(unit, rollout)
            await remember(unit, caller, LogKind.ROLLOUT_STARTED, rollout.id, now)
            await unit.commit()
        if rollout.emergency:
            await tools.incidents.after_commit()
        for assignment in replaced:
            await self._gateway.withdraw(assignment.computer_id, assignment.id, assignment.detail)
            tools.changed(assignment.rollout_id)
        tools.changed(rollout.id)
        return Started(rollout, cleared.warnings)

    async def _repeated(self, caller: Caller, rollout_id: str) -> Started | None:
        async with self._tools.database.read() as unit:
            rollout = await find_rollout(unit, rollout_id)
            if await done_before(unit, caller, LogKind.ROLLOUT_STARTED, rollout.id):
                return await _told_before(unit, rollout)
        return None

    async def _measure(self, rollout_id: str) -> None:
        """Ask connected members whose readiness is missing or old, and wait a little for their answers."""
        now = self._tools.clock.now()
        async with self._tools.database.read() as unit:
            rollout = await find_rollout(unit, rollout_id)
            approvals.check_prepared(rollout)
            machine.next_state(rollout, machine.RolloutCommand.START)
            plan = self._tools.records.plan(rollout)
            connected = self._gateway.connected_ids()
            present = [member.id for member in plan.members if member.id in connected]
            stale = [c.id for c in await unit.computers.many(present) if needs_measuring(c.readiness, now)]
        if stale:
            await self._gateway.measure(stale, MEASURE_WAIT)

    async def _tell_of_emergency(self, unit: UnitOfWork, rollout: Rollout) -> None:
        """Tell people at once that the emergency door was used (SOP, clause VII): its review is due."""
        await self._tools.incidents.raise_in(
            unit,
            symptom=Symptom.APPROVAL_AGEING,
            severity=2,
            summary=f"{rollout.operator} started the emergency rollout {rollout.name} of {rollout.release} "
            f"without prior approval ({rollout.start_reason}); review it within 24 h: "
            f"sopwith rollout review {rollout.id} --note TEXT",
            rollout=rollout,
            also=("it_manager", "owner"),
        )


def new_assignments(ids: Ids, rollout: Rollout, plan: Plan, members: Sequence[Computer]) -> list[Assignment]:
    """Return one assignment per member of the plan, all PENDING."""
    release, _ = split_release(rollout.release)
    installed = {computer.id: computer.installed.get(release, "") for computer in members}
    waves = member_waves(plan)
    return [
        Assignment(
            id=ids.new("a"),
            rollout_id=rollout.id,
            computer_id=member.id,
            computer=member.name,
            position=position,
            wave=waves[position],
            version_before=installed.get(member.id, ""),
        )
        for position, member in enumerate(plan.members)
    ]


async def _told_before(unit: UnitOfWork, rollout: Rollout) -> Started:
    """Return what was answered when the rollout was started."""
    entries = await unit.update_log.entries(0, ENTRIES_UNTIL_START, rollout=rollout.id)
    told: dict[str, Any] = next((json.loads(one.details) for one in entries if one.kind == LogKind.ROLLOUT_STARTED), {})
    return Started(rollout, tuple(told.get("warnings", ())))
