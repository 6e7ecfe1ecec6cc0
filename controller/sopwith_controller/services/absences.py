"""People who leave and people who are away: nobody's duty is left to nobody.

Decides the order of loading, deciding, recording and cutting; the rules are `domain.roster`'s. The duties are clause
III's roles and the levels of the escalation ladder of every effective SOP. Whoever leaves loses roles, certificate and
live calls at once; whoever is away keeps them, and the deputy has the roles besides until the day.
"""

from datetime import datetime

from sopwith_controller.domain import roster as rules
from sopwith_controller.domain.entities import LogDraft, Person
from sopwith_controller.domain.errors import InvalidInputError, NotFoundError
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.services.access import Access, Caller, require_role
from sopwith_controller.services.people import revoke_certificates
from sopwith_controller.services.ports import Clock, Database, UnitOfWork
from sopwith_controller.services.requests import done_before, remember
from sopwith_controller.services.tokens import end_invitations
from sopwith_formats.sop_policy import read_sop_policy


class Absences:
    """Use cases of people who leave, go away and come back."""

    def __init__(self, database: Database, clock: Clock, access: Access) -> None:
        self._database = database
        self._clock = clock
        self._access = access

    async def leave(self, caller: Caller, name: str, successor: str, reason: str) -> Person:
        """Take somebody off the roster; a successor takes over what would be empty."""
        if not reason.strip():
            raise InvalidInputError("a reason is needed, because it is recorded", remedy='add --reason "TEXT"')
        now = self._clock.now()
        async with self._database.write() as unit:
            before = await _found(unit, name)
            if await done_before(unit, caller, LogKind.PERSON_LEFT, before.id):
                return before
            other = await _found(unit, successor) if successor else None
            gone, heir = rules.leave(before, other, await unit.people.all(), await _ladder(unit), now)
            await end_invitations(unit, gone)
            serials = await revoke_certificates(unit, gone.id, self._clock)
            await unit.people.put(gone)
            took = ""
            if heir is not None and other is not None:
                await unit.people.put(heir)
                taken = [role for role in heir.roles if role not in other.roles]
                took = f"; {heir.name} takes over{' as ' + ', '.join(taken) if taken else ''}"
            what = f"{gone.name} left{took}: {reason.strip()}"
            await _log(unit, LogKind.PERSON_LEFT, caller, before, what, other=other)
            await remember(unit, caller, LogKind.PERSON_LEFT, before.id, now)
            await unit.commit()
        self._access.revoke_certificates(serials)
        self._access.refresh_person(gone)
        if heir is not None:
            self._access.refresh_person(heir)
        return gone

    async def away(self, caller: Caller, name: str, until: datetime | None, deputy: str) -> Person:
        """Let somebody be away until a time with a deputy, or come back with none; owners decide it, or the person."""
        now = self._clock.now()
        async with self._database.write() as unit:
            before = await _found(unit, name)
            if before.id != caller.id:
                require_role(caller, "owner", act=f"say that {before.name} is away")
            kind = LogKind.PERSON_BACK if until is None else LogKind.PERSON_AWAY
            if await done_before(unit, caller, kind, before.id):
                return before
            other = await _found(unit, deputy) if deputy else None
            if until is None:
                after, what = rules.come_back(before), f"{before.name} is back"
            else:
                everybody, ladder = await unit.people.all(), await _ladder(unit)
                after = rules.go_away(before, until, other, people=everybody, ladder=ladder, now=now)
                who = f"; {other.name} acts for {before.name}" if other else ""
                what = f"{before.name} is away until {until:%Y-%m-%d %H:%M} UTC{who}"
            await unit.people.put(after)
            await _log(unit, kind, caller, after, what, other=other)
            await remember(unit, caller, kind, before.id, now)
            await unit.commit()
        self._access.refresh_person(after)
        return after


async def _ladder(unit: UnitOfWork) -> tuple[str, ...]:
    """Return the roles that the escalation ladders in force count on."""
    found: dict[str, None] = {}
    for sop_id in await unit.sops.ids():
        effective = await unit.sops.effective(sop_id)
        if effective is not None:
            for rule in read_sop_policy(effective.policy_json).escalation:
                found.update(dict.fromkeys(role for level in rule.levels for role in level.targets))
    return tuple(found)


async def _found(unit: UnitOfWork, name: str) -> Person:
    person = await unit.people.find(name)
    if person is None or person.state == "REVOKED":
        raise NotFoundError(f"nobody on the roster is called {name}", remedy="sopwith person list")
    return person


async def _log(
    unit: UnitOfWork, kind: LogKind, caller: Caller, person: Person, message: str, *, other: Person | None
) -> None:
    details = {"person": person.name, "person_id": person.id, "roles": list(person.roles)}
    if other is not None:
        details["instead"] = other.name
    await unit.update_log.append(LogDraft(kind=kind, message=message, operator=caller.name, details=details))
