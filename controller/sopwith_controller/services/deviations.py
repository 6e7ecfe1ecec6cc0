"""Deviations: exceptions to single gates, asked for, approved by somebody else, and ended (SOP, section 3).

This module loads, lets `domain.deviation` decide, records and commits; consulting them is the gates' affair. Rules: one
given to a rollout is bound to the plan that a submit would freeze now, or that was frozen; every change stands in
the update log with who made it; running rollouts are looked at again after each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sopwith_controller.domain import deviation as rules
from sopwith_controller.domain.baseline import only_of
from sopwith_controller.domain.deviation import Deviation, DeviationState
from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.errors import InvalidInputError, NotFoundError
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.rollout import ENDED_STATES
from sopwith_controller.domain.rollout_entities import Rollout, RolloutState
from sopwith_controller.services.access import Caller
from sopwith_controller.services.planning import Planner
from sopwith_controller.services.ports import Clock, Database, Ids, UnitOfWork
from sopwith_controller.services.requests import done_before, remember
from sopwith_controller.services.rollouts import find_rollout
from sopwith_formats.errors import FormatError
from sopwith_formats.selector import parse_selector


@dataclass(frozen=True)
class Asked:
    """What somebody asks for."""

    gate: str
    reason: str
    measure: str
    rollout: str = ""
    """Id or name; empty: the SOP as a whole."""
    selector: str = ""
    expires_time: datetime | None = None


class Deviations:
    """Use cases of deviations. `changed()` wakes every running rollout."""

    def __init__(
        self, database: Database, clock: Clock, ids: Ids, planner: Planner, *, changed: Callable[[], None]
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._planner = planner
        self._changed = changed

    async def open(self, caller: Caller, asked: Asked) -> Deviation:
        """Ask for one; the same request id has no further effect."""
        rules.check_gate(asked.gate)
        now = self._clock.now()
        reason = rules.said(asked.reason, "a reason", "--reason")
        measure = rules.said(asked.measure, "a compensating measure", "--measure")
        expires = rules.expiry(asked.expires_time, now)
        _check_scope(asked)
        async with self._database.write() as unit:
            done = await done_before(unit, caller, LogKind.DEVIATION_OPENED)
            if done is not None:
                return await _found(unit, done)
            rollout = await find_rollout(unit, asked.rollout) if asked.rollout else None
            deviation = Deviation(
                id=self._ids.new("d"),
                gate=asked.gate,
                state=DeviationState.OPEN,
                reason=reason,
                measure=measure,
                requester=caller.name,
                sop_id=rollout.sop_id if rollout else (await unit.settings()).sop_id,
                created_time=now,
                expires_time=expires,
                rollout_id=rollout.id if rollout else "",
                plan_sha256=await self._plan_of(unit, rollout) if rollout else "",
                selector=asked.selector,
            )
            what = f"{caller.name} asks for a deviation from {deviation.gate}: {reason}; instead: {measure}"
            await _put(unit, LogKind.DEVIATION_OPENED, deviation, what, caller.name)
            await remember(unit, caller, LogKind.DEVIATION_OPENED, deviation.id, now)
            await unit.commit()
        return deviation

    async def approve(self, caller: Caller, deviation_id: str) -> Deviation:
        """Let it open its gate from now on."""
        async with self._database.write() as unit:
            before = await _found(unit, deviation_id)
            if await done_before(unit, caller, LogKind.DEVIATION_APPROVED, before.id):
                return before
            rollout = await unit.rollouts.get(before.rollout_id) if before.rollout_id else None
            deviation = rules.approve(
                before,
                person=caller.name,
                roles=caller.roles,
                plan_sha256=await self._plan_of(unit, rollout) if rollout else "",
                now=self._clock.now(),
            )
            what = f"{caller.name} approved the deviation from {deviation.gate} that {deviation.requester} asked for"
            await _put(unit, LogKind.DEVIATION_APPROVED, deviation, what, caller.name)
            await remember(unit, caller, LogKind.DEVIATION_APPROVED, deviation.id, self._clock.now())
            await unit.commit()
        self._changed()
        return deviation

    async def close(self, caller: Caller, deviation_id: str, reason: str) -> Deviation:
        """End it before its time."""
        async with self._database.write() as unit:
            before = await _found(unit, deviation_id)
            if await done_before(unit, caller, LogKind.DEVIATION_CLOSED, before.id):
                return before
            now = self._clock.now()
            deviation = rules.close(before, person=caller.name, roles=caller.roles, reason=reason, now=now)
            what = f"{caller.name} closed the deviation from {deviation.gate}: {deviation.closing_reason}"
            await _put(unit, LogKind.DEVIATION_CLOSED, deviation, what, caller.name)
            await remember(unit, caller, LogKind.DEVIATION_CLOSED, deviation.id, now)
            await unit.commit()
        self._changed()
        return deviation

    async def expire_due(self) -> None:
        """Write down those whose time is over; they stopped counting at that time."""
        now = self._clock.now()
        async with self._database.read() as unit:
            if not any(rules.expire(one, now) for one in await unit.deviations.unended()):
                return
        async with self._database.write() as unit:
            for before in await unit.deviations.unended():
                expired = rules.expire(before, now)
                if expired is not None:
                    what = f"the deviation from {expired.gate} expired"
                    await _put(unit, LogKind.DEVIATION_EXPIRED, expired, what, "")
            await unit.commit()
        self._changed()

    async def all(self) -> Sequence[Deviation]:
        """Return all, newest first."""
        async with self._database.read() as unit:
            return await unit.deviations.all()

    async def _plan_of(self, unit: UnitOfWork, rollout: Rollout) -> str:
        """Return the plan digest that a deviation for this rollout is bound to."""
        if rollout.state in ENDED_STATES:
            raise InvalidInputError(f"rollout {rollout.name} is {rollout.state}", remedy="sopwith rollout list")
        if rollout.state is not RolloutState.DRAFT:
            return rollout.plan_sha256
        only = only_of(rollout)
        return (await self._planner.draft(unit, rollout.spec_json, rollout.id, only=only)).planning.plan.sha256()


def _check_scope(asked: Asked) -> None:
    if asked.rollout and asked.selector:
        raise InvalidInputError(
            "a deviation is given to a rollout or to computers, not to both",
            remedy="leave --computers or --rollout out",
        )
    try:
        parse_selector(asked.selector)
    except FormatError as error:
        raise InvalidInputError(f"--computers: {error.message}", remedy=error.remedy) from error


async def _found(unit: UnitOfWork, deviation_id: str) -> Deviation:
    deviation = await unit.deviations.get(deviation_id)
    if deviation is None:
        raise NotFoundError(f"there is no deviation {deviation_id}", remedy="sopwith deviation list")
    return deviation


async def _put(unit: UnitOfWork, kind: LogKind, deviation: Deviation, message: str, person: str) -> None:
    await unit.deviations.put(deviation)
    await unit.update_log.append(
        LogDraft(
            kind=kind,
            message=message,
            operator=person,
            rollout=deviation.rollout_id,
            sop_id=deviation.sop_id,
            details={
                "deviation": deviation.id,
                "gate": deviation.gate,
                "clause": rules.DEVIABLE[deviation.gate],
                "reason": deviation.reason,
                "measure": deviation.measure,
                "requester": deviation.requester,
                "approver": deviation.approver,
                "expires_time": deviation.expires_time.isoformat(),
                "plan_sha256": deviation.plan_sha256,
                "computers": deviation.selector,
            },
        )
    )
