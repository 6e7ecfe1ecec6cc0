"""Holding everything while the time of day cannot be trusted: nothing starts, and nothing ends for a deadline.

This module looks, records and tells; whether the clock jumped is decided by `domain.clock_guard`. Rules:

- A jump freezes the fleet and raises CLOCK_SKEWED in one transaction; connected computers are told at once. While it is
  held no rollout is advanced, none is started, and no timed work runs, so that no deadline of the wrong time counts.
- It ends when the clock agrees with the last trusted reading again, or when a person confirms the new time (`sopwith
  freeze end ID --confirm-time`); deadlines count by it from then on.
- When it ends every computer dials again: one that dialled meanwhile was told a wrong time, and if a person confirmed
  another time all of them know the old one. Leases are judged by the time that a computer knows.
- However often the clock is set while it is held, the freeze is in force by it, for whoever dials.
- The freeze outlives a restart; then only a person ends it, because nobody knows any more what the time should be.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from sopwith_controller.domain.clock_guard import Reading, in_words, jump_between, jump_since_record
from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.freezing import CLOCK, held_by_clock
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.ports import AgentGateway, Clock, Database, Ids, SteadyClock, UnitOfWork
from sopwith_formats.units import parse_time
from sopwith_formats.vocabulary import Symptom

LOOK_EVERY_SECONDS = 5.0
NAME = CLOCK
"""Stands where a freeze names who began it."""

_log = structlog.get_logger()


class ClockGuard:
    """Compares the clocks and holds. `changed()` is called whenever a hold begins or ends."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        steady: SteadyClock,
        ids: Ids,
        incidents: Incidents,
        *,
        gateway: AgentGateway,
        changed: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._steady = steady
        self._ids = ids
        self._incidents = incidents
        self._gateway = gateway
        self._changed = changed
        self._trusted: Reading | None = None
        self._freeze_id = ""
        self._looking = asyncio.Lock()

    async def begin(self) -> None:
        """Look for a hold that outlived a restart, and for a clock that stands before what is on record."""
        now = self._reading()
        async with self._database.read() as unit:
            held = held_by_clock(await unit.freezes.all())
            newest = await _newest_time(unit)
        if held is not None:
            self._freeze_id = held.id
            await self._is_over(now)
            return
        jump = jump_since_record(newest, now.wall) if newest else None
        if jump is not None and newest is not None:
            await self._hold(jump, min(newest, now.wall))
        else:
            self._trusted = now

    async def watch(self) -> None:
        """Look every few seconds by the clock that nobody can set, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            try:
                await self.trusted()
            except Exception:  # noqa: BLE001  the next look comes, whatever went wrong with this one
                _log.exception("clock_not_checked")

    def agrees(self) -> bool:
        """Tell, without writing anything down, whether the time of day may be acted upon at this moment."""
        jump = jump_between(self._trusted, self._reading()) if self._trusted else None
        return not self._freeze_id and jump is None

    async def trusted(self) -> bool:
        """Look at the clocks; tell whether the time of day may be acted upon."""
        async with self._looking:
            now = self._reading()
            if self._freeze_id:
                return await self._is_over(now)
            jump = jump_between(self._trusted, now) if self._trusted else None
            if jump is None or self._trusted is None:
                self._trusted = now
                return True
            await self._hold(jump, min(self._trusted.expected(now), now.wall))
            return False

    def _reading(self) -> Reading:
        return Reading(self._clock.now(), self._steady.seconds())

    async def _hold(self, jump: timedelta, start_time: datetime) -> None:
        reason = f"the controller's clock jumped {in_words(jump)}"
        freeze = Freeze(self._ids.new("f"), reason, NAME, start_time)
        async with self._database.write() as unit:
            await unit.freezes.put(freeze)
            await unit.update_log.append(_draft(LogKind.FREEZE_STARTED, freeze, f"all installs are frozen: {reason}"))
            await self._incidents.raise_in(
                unit,
                symptom=Symptom.CLOCK_SKEWED,
                severity=2,
                summary=f"{reason}; nothing starts until it returns, or until somebody confirms the time by "
                f"sopwith freeze end {freeze.id} --confirm-time",
            )
            await unit.commit()
        self._freeze_id = freeze.id
        _log.warning("clock_distrusted", jump_seconds=int(jump.total_seconds()))
        await self._gateway.freeze(active=True, reason=reason)
        await self._incidents.after_commit()
        self._changed()

    async def _is_over(self, now: Reading) -> bool:
        """Tell whether a person confirmed the time, or the clock returned; then go on from here."""
        returned = self._trusted is not None and jump_between(self._trusted, now) is None
        async with self._database.write() as unit:
            freeze = next((one for one in await unit.freezes.all() if one.id == self._freeze_id), None)
            if freeze is not None and freeze.end_time is None:
                if not returned:
                    await self._keep_in_force(unit, freeze, now.wall)
                    return False
                await unit.freezes.put(replace(freeze, end_time=now.wall, ended_by=NAME))
                await unit.update_log.append(
                    _draft(LogKind.FREEZE_ENDED, freeze, "the controller's clock has returned; its freeze ended")
                )
                await unit.commit()
        await self._gateway.redial_all("the controller's clock was set; the Welcome tells the time")
        self._freeze_id, self._trusted = "", now
        _log.info("clock_trusted", returned=returned)
        async with self._database.read() as unit:
            others = await unit.freezes.active(now.wall)
        await self._gateway.freeze(active=bool(others), reason=others[0].reason if others else "")
        self._changed()
        return True

    async def _keep_in_force(self, unit: UnitOfWork, freeze: Freeze, now: datetime) -> None:
        """Let the freeze begin before the present time where that was set back again: whoever dials has to see it."""
        if freeze.start_time > now:
            await unit.freezes.put(replace(freeze, start_time=now))
            await unit.commit()


async def _newest_time(unit: UnitOfWork) -> datetime | None:
    size = await unit.update_log.size()
    rows = await unit.update_log.entries(size - 1, 1) if size else ()
    return parse_time(rows[0].time) if rows else None


def _draft(kind: LogKind, freeze: Freeze, message: str) -> LogDraft:
    return LogDraft(kind=kind, message=message, symptom=Symptom.CLOCK_SKEWED, details={"freeze": freeze.id})
