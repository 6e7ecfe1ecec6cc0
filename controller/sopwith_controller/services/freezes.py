"""Freezes: times in which nothing new is installed anywhere (SOP clause V.C).

This module decides when a freeze begins and ends, by a person's word or by a calendar's; that no assignment is offered
or started meanwhile is the planner's rule and the agent's. Rules: a freeze holds from its commit, or from the time that
it was scheduled for; every connected computer is told at once, so that none starts after 10 s; the others' leases run
out within 5 min. One timer waits for the next begin or end of any freeze and is set anew after each and after a
restart, so that what the tables say holds, whatever the process missed.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from sopwith_controller.domain.assignment import without_leave
from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.errors import InvalidInputError
from sopwith_controller.domain.freezing import (
    CalendarChange,
    CalendarTime,
    bring_in_line,
    check_calendar,
    end,
    held_by_clock,
    moment,
    next_change,
    to_end,
)
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.rollout import ACTIVE_STATES
from sopwith_controller.services.access import Caller
from sopwith_controller.services.ports import AgentGateway, Clock, Database, Ids, Timers, UnitOfWork
from sopwith_controller.services.requests import done_before, remember
from sopwith_formats.units import format_time


class Freezes:
    """Use cases of freezes. `changed()` wakes every running rollout, `trusted()` tells whether the clock is believed.

    Computers hear of the end of a freeze only while it is. Once a person has confirmed the time, the clock's guard lets
    them dial again first, so that what people paused meanwhile reaches them before anything may start.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        ids: Ids,
        gateway: AgentGateway,
        *,
        timers: Timers,
        changed: Callable[[], None],
        trusted: Callable[[], bool] = lambda: True,
    ) -> None:
        self._trusted = trusted
        self._database = database
        self._clock = clock
        self._ids = ids
        self._gateway = gateway
        self._timers = timers
        self._changed = changed

    async def start(
        self,
        caller: Caller,
        reason: str,
        end_time: datetime | None,
        *,
        start_time: datetime | None = None,
    ) -> Freeze:
        """Forbid new installs from now or a later time on; the same request id has no further effect."""
        if not reason.strip():
            raise InvalidInputError("a reason is needed, because it is recorded", remedy='add --reason "TEXT"')
        async with self._database.write() as unit:
            known = await unit.freezes.all()
            done = await done_before(unit, caller, LogKind.FREEZE_STARTED)
            if done is not None:
                return next(freeze for freeze in known if freeze.id == done)
            now = moment(known, self._clock.now())
            begins = max(now, start_time or now)
            if end_time is not None and end_time <= begins:
                raise InvalidInputError("the freeze would be over already", remedy="name a later end, or none")
            freeze = Freeze(self._ids.new("f"), reason.strip(), caller.name, begins, end_time)
            await unit.freezes.put(freeze)
            await unit.update_log.append(_started(freeze, caller, now))
            await remember(unit, caller, LogKind.FREEZE_STARTED, freeze.id, now)
            await unit.commit()
        await self._turn()
        return freeze

    async def import_calendar(
        self, caller: Caller, calendar: str, times: Sequence[CalendarTime], *, dry_run: bool
    ) -> CalendarChange:
        """Bring the freezes of one calendar in line with what it says now; a dry run only tells what would change."""
        now = self._clock.now()
        check_calendar(calendar, times, now)
        async with self._database.write() as unit:
            change = bring_in_line(
                await unit.freezes.all(),
                calendar.strip(),
                times,
                now=now,
                person=caller.name,
                new_id=lambda: self._ids.new("f"),
            )
            if dry_run or not change.freezes:
                return change
            for freeze in change.freezes:
                await unit.freezes.put(freeze)
            await unit.update_log.append(_imported(calendar.strip(), change, caller))
            await unit.commit()
        await self._turn()
        return change

    async def end(self, caller: Caller, freeze_id: str, reason: str, *, confirm_time: bool = False) -> list[Freeze]:
        """End one freeze or call it off, or with no id end every one in force that people or calendars began.

        The freeze of a controller whose clock jumped ends only where the person confirms its time. All leave that it
        gave before ends with it: by the new time nobody can tell it from leave that was given since (ADR 24).
        """
        now = self._clock.now()
        async with self._database.write() as unit:
            known = await unit.freezes.all()
            done = await done_before(unit, caller, LogKind.FREEZE_ENDED)
            if done is not None:
                return [freeze for freeze in known if freeze.id in done.split(",")]
            held = held_by_clock(known)
            ended = [
                end(freeze, now if freeze == held else moment(known, now), caller.name)
                for freeze in to_end(known, freeze_id, now, confirm_time=confirm_time)
            ]
            for freeze in ended:
                await unit.freezes.put(freeze)
                confirmed = now if held is not None and freeze.id == held.id else None
                await unit.update_log.append(_ended(freeze, caller, reason, confirmed))
                if confirmed:
                    await _end_all_leave(unit, confirmed)
            await remember(unit, caller, LogKind.FREEZE_ENDED, ",".join(freeze.id for freeze in ended), now)
            await unit.commit()
        await self._turn()
        return ended

    async def all(self) -> Sequence[Freeze]:
        """Return all freezes, newest first."""
        async with self._database.read() as unit:
            return await unit.freezes.all()

    async def active(self) -> Sequence[Freeze]:
        """Return those in force now."""
        async with self._database.read() as unit:
            return await unit.freezes.active(self._clock.now())

    async def resume_watching(self) -> None:
        """After a start of the controller: watch for the next begin or end."""
        await self._watch()

    async def _turn(self) -> None:
        """Tell computers and rollouts what holds now, and watch for the next begin or end."""
        active = await self.active()
        if active or self._trusted():
            await self._gateway.freeze(active=bool(active), reason=active[0].reason if active else "")
        await self._watch()
        self._changed()

    async def _watch(self) -> None:
        following = next_change(await self.all(), self._clock.now())
        if following is not None:
            self._timers.at("freeze/next", following, self._turn)


async def _end_all_leave(unit: UnitOfWork, now: datetime) -> None:
    at_work = [one for one, _ in await unit.assignments.at_work(list(ACTIVE_STATES), other_than="")]
    after = [without_leave(one, now) for one in at_work]
    await unit.assignments.put_all([new for old, new in zip(at_work, after, strict=True) if new != old])


def _started(freeze: Freeze, caller: Caller, now: datetime) -> LogDraft:
    until = f" until {format_time(freeze.end_time)}" if freeze.end_time else ""
    coming = freeze.start_time > now
    when = f"from {format_time(freeze.start_time)}{until}" if coming else until.strip()
    return LogDraft(
        kind=LogKind.FREEZE_SCHEDULED if coming else LogKind.FREEZE_STARTED,
        message=f"{caller.name} froze the fleet{f' {when}' if when else ''}: {freeze.reason}",
        operator=caller.name,
        details={"freeze": freeze.id},
    )


def _ended(freeze: Freeze, caller: Caller, reason: str, confirmed: datetime | None) -> LogDraft:
    """Return the entry; with the time that the person said is right, where the freeze was the clock's."""
    what = f"confirmed that it is {format_time(confirmed)} and ended" if confirmed else "ended"
    return LogDraft(
        kind=LogKind.FREEZE_ENDED,
        message=f"{caller.name} {what} the freeze ({freeze.reason})" + (f": {reason}" if reason else ""),
        operator=caller.name,
        details={"freeze": freeze.id},
    )


def _imported(calendar: str, change: CalendarChange, caller: Caller) -> LogDraft:
    return LogDraft(
        kind=LogKind.FREEZE_SCHEDULED,
        message=(
            f"{caller.name} imported the freeze calendar {calendar}: {len(change.added)} new, "
            f"{len(change.changed)} changed, {len(change.removed)} called off"
        ),
        operator=caller.name,
        details={
            "calendar": calendar,
            "freezes": [
                {
                    "freeze": freeze.id,
                    "reason": freeze.reason,
                    "start_time": format_time(freeze.start_time),
                    "end_time": format_time(freeze.end_time) if freeze.end_time else "",
                    "ended_by": freeze.ended_by,
                }
                for freeze in change.freezes
            ],
        },
    )
