"""The roster: who is invited, which roles they have, who leaves.

This module decides what changes on the roster; how a key is bound to a person is `enrolment`'s, what a role may do the
table of `api.roles`. Rules: there is always somebody left who is owner; a person who leaves loses roles, certificate
and live calls at once; inviting a known person again makes a new invitation and ends the earlier one.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sopwith_certs.ssh_signing import check_key
from sopwith_controller.domain import roster as rules
from sopwith_controller.domain.entities import LogDraft, Person
from sopwith_controller.domain.errors import ConflictError, InvalidInputError, NotFoundError
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.services.access import Access, Caller
from sopwith_controller.services.ports import Clock, Database, Ids, UnitOfWork
from sopwith_controller.services.requests import done_before, remember
from sopwith_controller.services.tokens import IssuedToken, end_invitations, new_token
from sopwith_formats.errors import FormatError

ROLES = ("owner", "it_manager", "authority", "operator", "release_manager", "auditor", "viewer", "reviewer")
_NAME = re.compile(r"[\w][\w .@'-]{0,62}")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")


class Roster:
    """Use cases of people."""

    def __init__(self, database: Database, clock: Clock, ids: Ids, access: Access) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._access = access

    async def all(self) -> Sequence[Person]:
        """Return everybody by name."""
        async with self._database.read() as unit:
            return await unit.people.all()

    async def invite(
        self,
        caller: Caller,
        name: str,
        *,
        roles: Sequence[str] = (),
        email: str = "",
        life: timedelta | None = None,
        until: datetime | None = None,
    ) -> tuple[Person, IssuedToken]:
        """Make a one-time token for a person; add the person where new. `until`: when the identity itself ends."""
        check_person(name, roles, email)
        now = self._clock.now()
        async with self._database.write() as unit:
            known = await unit.people.find(name)
            if known is None and not roles:
                raise InvalidInputError(f"{name} is new and has no role yet", remedy="add --role, once per role")
            person = known or Person(id=self._ids.new("p"), name=name, roles=(), state="ROSTERED")
            state = "INVITED" if person.state in ("ROSTERED", "REVOKED") else person.state
            person = replace(person, roles=_ordered((*person.roles, *roles)), email=email or person.email, state=state)
            ends = rules.end_of(person.roles, until, person.expires_time, now)
            person = replace(person, expires_time=ends, successor_id="")
            await end_invitations(unit, person)
            issued = new_token(self._ids, caller.name, now, life=life, person=person)
            await unit.people.put(person)
            await unit.tokens.put(issued.token)
            await _log(unit, LogKind.PERSON_INVITED, caller, person, f"invited {person.name}")
            await unit.commit()
        self._access.refresh_person(person)
        return person, issued

    async def grant(self, caller: Caller, name: str, roles: Sequence[str]) -> Person:
        """Give roles; those already held are no error."""
        check_person(name, roles, "")
        if not roles:
            raise InvalidInputError("no role was named", remedy=f"add --role with one of {', '.join(ROLES)}")
        async with self._database.write() as unit:
            before = await _get(unit, name)
            person = replace(before, roles=_ordered((*before.roles, *roles)))
            if person == before:
                return person
            await unit.people.put(person)
            await _log(unit, LogKind.PERSON_GRANTED, caller, person, f"gave {person.name} {', '.join(roles)}")
            await unit.commit()
        self._access.refresh_person(person)
        return person

    async def revoke(self, caller: Caller, name: str, roles: Sequence[str], reason: str) -> Person:
        """Take roles, or with none named everything: roles, certificates, invitations and live calls."""
        if not reason.strip():
            raise InvalidInputError("a reason is needed, because it is recorded", remedy='add --reason "TEXT"')
        async with self._database.write() as unit:
            before = await _get(unit, name)
            left = tuple(role for role in before.roles if roles and role not in roles)
            person = replace(before, roles=left)
            if "owner" in before.roles and "owner" not in left:
                await _keep_an_owner(unit, person)
            serials: list[str] = []
            if not roles:
                person = replace(person, state="REVOKED")
                await end_invitations(unit, person)
                serials = await revoke_certificates(unit, person.id, self._clock)
            await unit.people.put(person)
            what = f"took {', '.join(roles)} from {person.name}" if roles else f"revoked {person.name}"
            await _log(unit, LogKind.PERSON_REVOKED, caller, person, f"{what}: {reason}")
            await unit.commit()
        self._access.revoke_certificates(serials)
        self._access.refresh_person(person)
        return person

    async def bind_key(self, caller: Caller, name: str, line: str) -> Person:
        """Bind an OpenSSH public key to a person, by which they sign SOPs; an empty one takes it away."""
        key = None
        if line.strip():
            try:
                key = check_key(line)
            except FormatError as error:
                raise InvalidInputError(f"the key {error.message}", remedy=error.remedy) from error
        async with self._database.write() as unit:
            before = await _get(unit, name)
            bound = key.line() if key else ""
            if await done_before(unit, caller, LogKind.PERSON_KEY_BOUND, before.id) or before.ssh_key == bound:
                return before
            for other in await unit.people.all():
                if bound and other.ssh_key == bound:
                    raise ConflictError(f"this key is {other.name}'s already", remedy="one key belongs to one person")
            person = replace(before, ssh_key=bound)
            await unit.people.put(person)
            what = f"bound the key {key.fingerprint} to {name}" if key else f"took the SSH key from {name}"
            await _log(unit, LogKind.PERSON_KEY_BOUND, caller, person, what)
            await remember(unit, caller, LogKind.PERSON_KEY_BOUND, person.id, self._clock.now())
            await unit.commit()
        self._access.refresh_person(person)
        return person

    async def end_due(self) -> None:
        """Take off the roster whose time is over, and note who is back; a timer asks."""
        now, changed, serials = self._clock.now(), list[Person](), list[str]()
        async with self._database.write() as unit:
            for person in await unit.people.all():
                if person.state != "REVOKED" and rules.has_ended(person, now):
                    after = replace(person, roles=(), state="REVOKED")
                    await end_invitations(unit, after)
                    serials += await revoke_certificates(unit, after.id, self._clock)
                    await _log_time(unit, LogKind.PERSON_EXPIRED, after, "is a guest no more: the time is over")
                elif person.away_until_time is not None and not rules.is_away(person, now):
                    after = rules.come_back(person)
                    await _log_time(unit, LogKind.PERSON_BACK, after, "is back")
                else:
                    continue
                await unit.people.put(after)
                changed.append(after)
            if changed:
                await unit.commit()
        self._access.revoke_certificates(serials)
        for person in changed:
            self._access.refresh_person(person)


def check_person(name: str, roles: Sequence[str], email: str) -> None:
    """Raise InvalidInputError for a name, role or address that cannot be."""
    if not _NAME.fullmatch(name):
        raise InvalidInputError(f"{name!r} is no name for a person", remedy="use at most 63 letters, digits and spaces")
    for role in roles:
        if role not in ROLES:
            raise InvalidInputError(f"{role!r} is no role", remedy=f"use one of {', '.join(ROLES)}")
    if email and not _EMAIL.fullmatch(email):
        raise InvalidInputError(f"{email!r} is no mail address", remedy="write it like manager@example.org")


async def revoke_certificates(unit: UnitOfWork, subject_id: str, clock: Clock) -> list[str]:
    """Revoke all living certificates of a subject; return their serials, for `Access` after the commit."""
    serials = []
    for certificate in await unit.certificates.of_subject(subject_id):
        if certificate.revoked_time is None:
            await unit.certificates.put(replace(certificate, revoked_time=clock.now()))
            serials.append(certificate.serial)
    return serials


async def _get(unit: UnitOfWork, name: str) -> Person:
    person = await unit.people.find(name)
    if person is None:
        raise NotFoundError(f"nobody on the roster is called {name}", remedy="sopwith person list")
    return person


async def _keep_an_owner(unit: UnitOfWork, leaving: Person) -> None:
    others = [person for person in await unit.people.all() if person.id != leaving.id]
    if not any("owner" in person.roles and person.state == "ACTIVE" for person in others):
        raise InvalidInputError(
            "nobody would be owner any more",
            remedy="invite another owner first: sopwith person invite NAME --role owner",
        )


def _ordered(roles: Sequence[str]) -> tuple[str, ...]:
    return tuple(role for role in ROLES if role in roles)


async def _log_time(unit: UnitOfWork, kind: LogKind, person: Person, what: str) -> None:
    """Record what the passing of time brought."""
    details = {"person": person.name, "person_id": person.id, "roles": list(person.roles)}
    await unit.update_log.append(LogDraft(kind=kind, message=f"{person.name} {what}", details=details))


async def _log(unit: UnitOfWork, kind: LogKind, caller: Caller, person: Person, what: str) -> None:
    await unit.update_log.append(
        LogDraft(
            kind=kind,
            message=f"{caller.name} {what}",
            operator=caller.name,
            details={"person": person.name, "person_id": person.id, "roles": list(person.roles)},
        )
    )
