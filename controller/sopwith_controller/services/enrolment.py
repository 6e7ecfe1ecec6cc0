"""Enrolment: from a join string to a certificate, for computers and people, and back in after a long sleep.

This module decides who gets a certificate. What a certificate says is the authority's; how requests travel (EST over
HTTPS), and how often one may ask, is the console's.

Rules. A request proves that the asker holds the key in it. A token is found by the digest of its secret, must be
neither used up, nor ended, nor revoked, and is spent in the transaction that issues the certificate, so that two
askers cannot both spend its last use. Labels come from the token, never from the computer. Names are unique; a name
that is taken is refused. Without a token a computer waits PENDING until a person accepts it, known by its key. An
invitation binds the key to its person; one key belongs to one computer or one person for ever. A known key of an
ACCEPTED computer or an ACTIVE person gets a certificate again at any time, however long the old one has been over: it
is useless to anybody else. Whoever was rejected, retired, quarantined or revoked gets none. Everything that was issued
stands in the update log.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, replace
from datetime import datetime

from sopwith_certs.est_messages import read_request
from sopwith_certs.signing import PublicKey, fingerprint, public_key_pem
from sopwith_controller.domain.entities import Certificate, Computer, ComputerState, LogDraft, Person, Token
from sopwith_controller.domain.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    Refusal,
    RefusedError,
    UnavailableError,
)
from sopwith_controller.domain.evaluation import check_computers
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.roster import has_ended
from sopwith_controller.services.access import Access, Caller
from sopwith_controller.services.people import revoke_certificates
from sopwith_controller.services.ports import Clock, Database, Ids, Issuer, UnitOfWork
from sopwith_formats.errors import FormatError

PENDING_COMPUTERS_MAX = 1000
RETRY_AFTER_SECONDS = 5
_LEFT = frozenset({ComputerState.RETIRED, ComputerState.REJECTED})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_NEW_TOKEN = "ask for a new join string: `sopwith token create` or `sopwith person invite`"  # noqa: S105  a sentence


@dataclass(frozen=True)
class Issued:
    """A certificate was issued."""

    certificate_pem: bytes


@dataclass(frozen=True)
class Waiting:
    """A person has to accept the computer; it may ask again after so many seconds."""

    retry_after_seconds: int
    key_fingerprint: str


@dataclass(frozen=True)
class _Request:
    """One request whose key was proven."""

    der: bytes
    key: PublicKey
    fingerprint: str
    now: datetime


class Enrolment:
    """The use cases of enrolment."""

    def __init__(self, database: Database, issuer: Issuer, clock: Clock, ids: Ids, access: Access) -> None:
        self._database = database
        self._issuer = issuer
        self._clock = clock
        self._ids = ids
        self._access = access

    async def enrol(self, certificate_request: bytes, *, name: str = "", token: str = "") -> Issued | Waiting:
        """Answer a first request: with a token at once, without one after a person accepted the computer.

        The request is PKCS#10 in DER. `name` is what a computer wishes to be called; a person's comes from the
        invitation. Asking again with the same key gives a certificate again without spending the token again.
        """
        request = self._read(certificate_request)
        async with self._database.write() as unit:
            permission = await self._permission(unit, token, request.now) if token else None
            holder = await _holder_of(unit, request.fingerprint)
            if isinstance(holder, Person) or (permission is not None and permission.kind == "person"):
                return await self._enrol_person(unit, request, holder, permission)
            return await self._enrol_computer(unit, request, holder, permission, name)

    async def reenrol(self, certificate_request: bytes) -> Issued:
        """Answer a request signed with a key that the fleet knows, after the certificate ran out."""
        request = self._read(certificate_request)
        async with self._database.write() as unit:
            holder = await _holder_of(unit, request.fingerprint)
            if holder is None:
                raise _refusal("no computer or person of the fleet has this key", _NEW_TOKEN)
            return await self._renew(unit, request, holder)

    async def renew(self, caller: Caller, certificate_request: bytes) -> Issued:
        """Exchange a living certificate for a new one, for the same key or a new one; `caller` was admitted already."""
        request = self._read(certificate_request)
        async with self._database.write() as unit:
            repository = unit.computers if caller.kind == "computer" else unit.people
            subject: Computer | Person | None = await repository.get(caller.id)
            holder = await _holder_of(unit, request.fingerprint)
            if subject is None:
                raise NotFoundError(f"{caller.name or caller.id} is not on record", remedy=_NEW_TOKEN)
            if holder is not None and holder.id != subject.id:
                raise ConflictError("this key belongs to somebody else", remedy="make a new key and ask again")
            return await self._renew(unit, request, subject)

    def _read(self, certificate_request: bytes) -> _Request:
        try:
            key = read_request(certificate_request)
        except FormatError as error:
            raise InvalidInputError(error.message, remedy=error.remedy) from error
        return _Request(certificate_request, key, fingerprint(key), self._clock.now())

    async def _permission(self, unit: UnitOfWork, secret: str, now: datetime) -> Token:
        """Return the token of a secret, whatever is left of it; refuse one that never was, ended or was revoked."""
        digest = hashlib.sha256(secret.encode()).hexdigest()
        token = await unit.tokens.by_secret(digest)
        if token is None or not hmac.compare_digest(token.secret_sha256, digest):
            raise _refusal("this token is not known", _NEW_TOKEN)
        if token.revoked:
            raise _refusal("this token was revoked", _NEW_TOKEN)
        if now >= token.expires_time:
            raise _refusal(f"this token ended on {token.expires_time:%Y-%m-%d %H:%M} UTC", _NEW_TOKEN)
        return token

    async def _spend(self, unit: UnitOfWork, token: Token) -> None:
        if token.uses_left < 1:
            raise _refusal("this token was used already", _NEW_TOKEN)
        await unit.tokens.put(replace(token, uses_left=token.uses_left - 1))

    async def _enrol_computer(
        self, unit: UnitOfWork, request: _Request, known: Computer | None, token: Token | None, name: str
    ) -> Issued | Waiting:
        if known is not None and known.state is not ComputerState.PENDING:
            return await self._renew(unit, request, known)
        if token is None:
            return await self._wait(unit, request, known, name)
        members = [c for c in await unit.computers.all() if c.state is ComputerState.ACCEPTED]
        check_computers(await unit.settings(), len(members))
        computer = known or await self._new_computer(unit, request, name, ComputerState.ACCEPTED)
        computer = replace(computer, state=ComputerState.ACCEPTED, labels=dict(token.labels))
        await self._spend(unit, token)
        await unit.computers.put(computer)
        return await self._issue(
            unit, request, computer, LogKind.COMPUTER_ENROLLED, operator=token.created_by, token=token.id
        )

    async def _wait(self, unit: UnitOfWork, request: _Request, known: Computer | None, name: str) -> Waiting:
        if known is None:
            # Anybody may ask without a token, so the waiting room has an end.
            waiting = [c for c in await unit.computers.all() if c.state is ComputerState.PENDING]
            if len(waiting) >= PENDING_COMPUTERS_MAX:
                raise UnavailableError(
                    f"{len(waiting)} computers wait to be accepted already",
                    remedy="accept or reject them with `sopwith computer`, or enrol with a token",
                )
            computer = await self._new_computer(unit, request, name, ComputerState.PENDING)
            await unit.computers.put(computer)
            await unit.commit()
            self._access.refresh_computer(computer)
        return Waiting(RETRY_AFTER_SECONDS, request.fingerprint)

    async def _new_computer(self, unit: UnitOfWork, request: _Request, name: str, state: ComputerState) -> Computer:
        if not _NAME.fullmatch(name):
            raise InvalidInputError(
                f"{name[:80]!r} is no name for a computer",
                remedy="use --name with 1 to 63 letters, digits, dots, dashes and underlines",
            )
        taken = await _using_name(unit, name)
        if taken is not None:
            raise ConflictError(
                f"there is a computer {name} already ({taken.state}, key {taken.key_fingerprint[:23]}...)",
                remedy="choose another --name",
            )
        return Computer(
            id=self._ids.new("c"),
            name=name,
            state=state,
            key_fingerprint=request.fingerprint,
            enrolled_time=request.now,
        )

    async def _enrol_person(
        self, unit: UnitOfWork, request: _Request, known: Computer | Person | None, token: Token | None
    ) -> Issued:
        if token is None or token.kind != "person":
            raise _refusal("this key belongs to a person", "make a new key for the computer")
        person = await unit.people.get(token.person_id)
        if person is None or person.state == "REVOKED":
            raise _refusal("the invited person is not on the roster any more", _NEW_TOKEN)
        if known is not None and known.id != person.id:
            raise ConflictError("this key belongs to somebody else", remedy="make a new key and ask again")
        again = known is not None and person.state == "ACTIVE"
        if token.uses_left or not again:
            await self._spend(unit, token)
        if again:
            return await self._renew(unit, request, person)
        revoked = await revoke_certificates(unit, person.id, self._clock)
        person = replace(person, state="ACTIVE")
        issued = await self._issue(
            unit, request, person, LogKind.PERSON_JOINED, operator=token.created_by, token=token.id
        )
        self._access.revoke_certificates(revoked)
        if revoked:
            self._access.cut(person.id, "the person accepted a new invitation")
        return issued

    async def _renew(self, unit: UnitOfWork, request: _Request, holder: Computer | Person) -> Issued:
        if isinstance(holder, Computer) and holder.state is not ComputerState.ACCEPTED:
            remedy = "`sopwith computer show` tells why; a retired computer enrols with a new key and a new token"
            raise _refusal(f"the computer {holder.name} is {holder.state}", remedy)
        if isinstance(holder, Person) and holder.state != "ACTIVE":
            raise _refusal(f"{holder.name} is {holder.state}", _NEW_TOKEN)
        if isinstance(holder, Person) and has_ended(holder, request.now):
            raise _refusal(
                f"{holder.name} was on the roster until {holder.expires_time:%Y-%m-%d %H:%M} UTC", _NEW_TOKEN
            )
        first = not await unit.certificates.of_subject(holder.id)
        enrolled = LogKind.COMPUTER_ENROLLED if isinstance(holder, Computer) else LogKind.PERSON_JOINED
        return await self._issue(unit, request, holder, enrolled if first else LogKind.CERTIFICATE_RENEWED)

    async def _issue(
        self,
        unit: UnitOfWork,
        request: _Request,
        subject: Computer | Person,
        kind: LogKind,
        *,
        operator: str = "",
        token: str = "",
    ) -> Issued:
        """Issue, bind the key, record and commit; then let calls with the new certificate in."""
        is_computer = isinstance(subject, Computer)
        certificate, pem = self._issuer.issue(
            request.der,
            subject_kind="computer" if is_computer else "person",
            subject_id=subject.id,
            now=request.now,
        )
        await unit.certificates.put(certificate)
        subject = _bind(subject, request, certificate)
        if isinstance(subject, Computer):
            await unit.computers.put(subject)
        else:
            await unit.people.put(subject)
        details = {"key_fingerprint": request.fingerprint, "serial": certificate.serial}
        await unit.update_log.append(
            LogDraft(
                kind=kind,
                message=_SENTENCES[kind].format(name=subject.name),
                computer=subject.name if is_computer else "",
                operator=operator or ("" if is_computer else subject.name),
                details={**details, **({"token": token} if token else {})},
            )
        )
        await unit.commit()
        if isinstance(subject, Computer):
            self._access.refresh_computer(subject)
        else:
            self._access.refresh_person(subject)
        return Issued(pem)


_SENTENCES = {
    LogKind.COMPUTER_ENROLLED: "{name} enrolled and received its certificate",
    LogKind.PERSON_JOINED: "{name} accepted the invitation and received a certificate",
    LogKind.CERTIFICATE_RENEWED: "{name} received a new certificate",
}


def _bind(subject: Computer | Person, request: _Request, certificate: Certificate) -> Computer | Person:
    if isinstance(subject, Computer):
        return replace(subject, key_fingerprint=request.fingerprint)
    return replace(
        subject,
        key_fingerprint=request.fingerprint,
        public_key_pem=public_key_pem(request.key).decode(),
        certificate_expires_time=certificate.expires_time,
    )


async def _holder_of(unit: UnitOfWork, key_fingerprint: str) -> Computer | Person | None:
    """Return whom the key belongs to."""
    for person in await unit.people.all():
        if person.key_fingerprint == key_fingerprint:
            return person
    return await unit.computers.by_key(key_fingerprint)


async def _using_name(unit: UnitOfWork, name: str) -> Computer | None:
    """Return the computer that has the name or this id; whoever left the fleet has given its name back."""
    found = await unit.computers.find(name)
    if found is None or found.state not in _LEFT or found.id == name:
        return found
    return next((one for one in await unit.computers.all() if one.name == name and one.state not in _LEFT), None)


def _refusal(reason: str, remedy: str) -> RefusedError:
    return RefusedError(Refusal(gate="enrolment", clause="", reason=reason, remedy=remedy))
