"""Coverage of the company's own list of computers: import it, excuse what cannot be enrolled, say what is missing.

This module loads, lets `domain.coverage` decide, records and commits. Rules: an import replaces the list, keeps excuses
and is one entry of the update log with its counts; an excuse is an entry of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sopwith_controller.domain import coverage as rules
from sopwith_controller.domain.coverage import Covered
from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.errors import NotFoundError
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.services.access import Caller
from sopwith_controller.services.ports import Clock, Database, UnitOfWork
from sopwith_controller.services.requests import done_before, remember


@dataclass(frozen=True)
class Imported:
    """What an import changes."""

    added: int
    removed: int
    unchanged: int


class Coverage:
    """Use cases of known computers."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self) -> tuple[Covered, ...]:
        """Return where each known computer stands."""
        async with self._database.read() as unit:
            return await covered(unit, self._clock.now())

    async def import_list(self, caller: Caller, names: Sequence[tuple[str, str]], *, dry_run: bool = False) -> Imported:
        """Let a list of (name, note) replace the one before."""
        async with self._database.write() as unit:
            known = await unit.practice.known_computers.all()
            changed = rules.import_list(names, known, person=caller.name, now=self._clock.now())
            before = {one.name.casefold() for one in known if one.listed}
            now = {one.name.casefold() for one in changed if one.listed}
            imported = Imported(len(now - before), len(before - now), len(now & before))
            if dry_run or await done_before(unit, caller, LogKind.COMPUTERS_IMPORTED) is not None:
                return imported
            await unit.practice.known_computers.put_all(changed)
            await unit.update_log.append(
                LogDraft(
                    LogKind.COMPUTERS_IMPORTED,
                    f"{caller.name} imported a list of {len(now)} computers: {imported.added} new, "
                    f"{imported.removed} no longer on it",
                    operator=caller.name,
                    details={"added": sorted(now - before)[:1000], "removed": sorted(before - now)[:1000]},
                )
            )
            await remember(unit, caller, LogKind.COMPUTERS_IMPORTED, "list", self._clock.now())
            await unit.commit()
        return imported

    async def excuse(self, caller: Caller, name: str, reason: str, until: datetime) -> Covered:
        """Excuse a computer of the list until a time."""
        now = self._clock.now()
        async with self._database.write() as unit:
            known = {one.name.casefold(): one for one in await unit.practice.known_computers.all() if one.listed}
            before = known.get(name.casefold())
            if before is None:
                raise NotFoundError(f"{name} is not on the list of known computers", remedy="sopwith computer coverage")
            if await done_before(unit, caller, LogKind.COMPUTER_EXCUSED, before.name) is None:
                after = rules.excuse(before, person=caller.name, reason=reason, until=until, now=now)
                await unit.practice.known_computers.put_all([after])
                message = f"{caller.name} excused {after.name} until {after.excused_until:%Y-%m-%d}"
                await unit.update_log.append(
                    LogDraft(
                        LogKind.COMPUTER_EXCUSED,
                        f"{message}: {after.excused_reason}",
                        computer=after.name,
                        operator=caller.name,
                    )
                )
                await remember(unit, caller, LogKind.COMPUTER_EXCUSED, after.name, now)
                await unit.commit()
        return next(one for one in await self.get() if one.name == before.name)


async def covered(unit: UnitOfWork, now: datetime) -> tuple[Covered, ...]:
    """Return where each known computer stands, in this transaction; nothing where no list was imported."""
    known = await unit.practice.known_computers.all()
    return rules.cover(known, await unit.computers.all(), now) if known else ()
