"""Freezes: times in which nothing new is installed anywhere (SOP clause V.C).

This module decides when a freeze begins and ends; that no assignment is offered or started meanwhile is the planner's
rule and the agent's. Rules: a freeze holds from its commit; every connected computer is told at once, so that none
starts after 10 s; the others' leases run out within 5 min.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.errors import InvalidInputError, NotFoundError
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.services.access import Caller
from sopwith_controller.services.ports import AgentGateway, Clock, Database, Ids, Timers
from sopwith_controller.services.requests import done_before, remember


class Freezes:
    """Use cases of freezes. `changed()` wakes every running rollout."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        ids: Ids,
        gateway: AgentGateway,
        *,
        timers: Timers,
        changed: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._gateway = gateway
        self._timers = timers
        self._changed = changed

    async def start(self, caller: Caller, reason: str, end_time: datetime | None) -> Freeze:
        """Forbid new installs from now on; the same request id has no further effect."""
        if not reason.strip():
            raise InvalidInputError("a reason is needed, because it is recorded", remedy='add --reason "TEXT"')
        now = self._clock.now()
        if end_time is not None and end_time <= now:
            raise InvalidInputError("the freeze would be over already", remedy="name a later end, or none")
        async with self._database.write() as unit:
            done = await done_before(unit, caller, LogKind.FREEZE_STARTED)
            if done is not None:
                return next(freeze for freeze in await unit.freezes.all() if freeze.id == done)
            freeze = Freeze(self._ids.new("f"), reason.strip(), caller.name, now, end_time)
            await unit.freezes.put(freeze)
            await unit.update_log.append(
                LogDraft(
                    kind=LogKind.FREEZE_STARTED,
                    message=f"{caller.name} froze the fleet: {freeze.reason}",
                    operator=caller.name,
                    details={"freeze": freeze.id},
                )
            )
            await remember(unit, caller, LogKind.FREEZE_STARTED, freeze.id, now)
            await unit.commit()
        await self._gateway.freeze(active=True, reason=freeze.reason)
        self.watch_end(freeze)
        self._changed()
        return freeze

    async def end(self, caller: Caller, freeze_id: str, reason: str) -> list[Freeze]:
        """End one freeze, or with no id every one in force."""
        now = self._clock.now()
        async with self._database.write() as unit:
            done = await done_before(unit, caller, LogKind.FREEZE_ENDED)
            if done is not None:
                return [freeze for freeze in await unit.freezes.all() if freeze.id in done.split(",")]
            active = await unit.freezes.active(now)
            chosen = [freeze for freeze in active if freeze_id in ("", freeze.id)]
            if freeze_id and not chosen:
                raise NotFoundError(f"no freeze {freeze_id} is in force", remedy="sopwith freeze list")
            ended = [replace(freeze, end_time=now, ended_by=caller.name) for freeze in chosen]
            for freeze in ended:
                await unit.freezes.put(freeze)
                await unit.update_log.append(
                    LogDraft(
                        kind=LogKind.FREEZE_ENDED,
                        message=f"{caller.name} ended the freeze ({freeze.reason})" + (f": {reason}" if reason else ""),
                        operator=caller.name,
                        details={"freeze": freeze.id},
                    )
                )
            await remember(unit, caller, LogKind.FREEZE_ENDED, ",".join(freeze.id for freeze in ended), now)
            await unit.commit()
        await self._announce()
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
        """After a start of the controller: set the timers of freezes that end by themselves."""
        for freeze in await self.active():
            self.watch_end(freeze)

    def watch_end(self, freeze: Freeze) -> None:
        """Tell the computers when a freeze ends by itself."""
        if freeze.end_time is not None:
            self._timers.at(f"freeze/{freeze.id}", freeze.end_time, self._announce)

    async def _announce(self) -> None:
        active = await self.active()
        await self._gateway.freeze(active=bool(active), reason=active[0].reason if active else "")
        self._changed()
