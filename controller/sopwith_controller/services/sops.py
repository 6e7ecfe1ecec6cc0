"""The SOP's way from draft to effect: submitted, signed, effective, acknowledged.

Decides the order of loading, deciding, recording and telling; the rules are `domain.sop`'s. Every change is an entry of
the update log in the same transaction; computers are told of a new effective revision after the commit.

Rules: the document that is stored is the document that was signed, byte for byte; a signature is verified under the key
that is bound to the caller before anything else is believed in it; asking again for what is already so changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sopwith_certs.signing import read_public_key
from sopwith_certs.ssh_signing import check_key
from sopwith_certs.statements import verify_ssh_statement, verify_statement
from sopwith_controller.domain import sop as rules
from sopwith_controller.domain import sop_comment
from sopwith_controller.domain.entities import LogDraft, Person, SopRevision, SopSignature, SopState
from sopwith_controller.domain.errors import InvalidInputError, NotFoundError
from sopwith_controller.domain.governing import check_apart
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.services.access import Caller
from sopwith_controller.services.challenges import use_challenge
from sopwith_controller.services.governing import listeners, scopes_in_force
from sopwith_controller.services.ports import AgentGateway, Clock, Database, SopReader, SopReading, UnitOfWork
from sopwith_controller.services.training import acknowledged
from sopwith_formats.dsse_statement import SopStatement
from sopwith_formats.sop_policy import read_sop_policy
from sopwith_formats.ssh_statement import is_ssh_envelope
from sopwith_formats.units import parse_time


@dataclass(frozen=True)
class SopView:
    """One revision and the roles whose signature it still lacks."""

    revision: SopRevision
    signatures_missing: tuple[str, ...]


def draft_revision(reading: SopReading, document: bytes, now: datetime) -> SopRevision:
    """Return a new draft of a document that was read."""
    return SopRevision(
        id=reading.id,
        revision=reading.revision,
        state=SopState.DRAFT,
        title=reading.title,
        document=document,
        document_sha256=reading.document_sha256,
        policy_sha256=reading.policy_sha256,
        policy_json=reading.policy_json,
        change_description=reading.change_description,
        change_kind=rules.MATERIAL,
        revised_by=reading.revised_by,
        created_time=now,
    )


class Sops:
    """Use cases of SOPs."""

    def __init__(self, database: Database, clock: Clock, reader: SopReader, gateway: AgentGateway) -> None:
        self._database = database
        self._clock = clock
        self._reader = reader
        self._gateway = gateway

    async def all(self) -> Sequence[SopView]:
        """Return the newest revision of each SOP."""
        async with self._database.read() as unit:
            newest = [await unit.sops.newest(sop_id) for sop_id in await unit.sops.ids()]
            profile = await _profile(unit)
        return [_view(revision, profile) for revision in newest if revision is not None]

    async def get(self, sop_id: str, number: int = 0) -> SopView:
        """Return one revision; 0 means the effective one, else the newest."""
        async with self._database.read() as unit:
            return _view(await _find(unit, sop_id, number), await _profile(unit))

    async def history(self, sop_id: str) -> Sequence[SopView]:
        """Return all revisions, oldest first."""
        async with self._database.read() as unit:
            revisions = await unit.sops.revisions(sop_id)
            profile = await _profile(unit)
        if not revisions:
            raise _unknown(sop_id)
        return [_view(revision, profile) for revision in revisions]

    async def submit(
        self, caller: Caller, sop_id: str, document: bytes = b"", *, effective_time: datetime | None = None
    ) -> SopView:
        """Put the stored draft, or a new document, into review; an edit in review voids the signatures."""
        reading = self._reader.read(document) if document else None
        async with self._database.write() as unit:
            profile = await _profile(unit)
            if reading is None:
                found = await unit.sops.newest(sop_id)
                if found is None:
                    raise _unknown(sop_id)
                if found.state is SopState.IN_REVIEW and effective_time is None:
                    return _view(found, profile)
                reading = self._reader.read(found.document)
                document = found.document
            elif sop_id and reading.id != sop_id:
                raise InvalidInputError(f"the document is {reading.id}, not {sop_id}", remedy="name the document's id")
            if reading.faults:
                raise InvalidInputError(
                    "; ".join(reading.faults), remedy="sopwith sop lint FILE, until it says nothing"
                )
            now = self._clock.now()
            others = await scopes_in_force(unit, without=reading.id)
            if others:
                check_apart(reading.id, reading.policy.scope, others, await unit.computers.all())
            revision = await self._stored(unit, reading, document, now)
            if _in_review_already(revision, document) and effective_time is None:
                return _view(revision, profile)
            before = await unit.sops.effective(reading.id)
            kind = rules.change_kind(reading.policy_sha256, reading.change_kind, before)
            drafted = draft_revision(reading, document, revision.created_time)
            revision = replace(
                drafted, state=revision.state, signatures=revision.signatures, change_kind=kind,
                effective_time=effective_time,
            )  # fmt: skip
            revision = rules.submit(revision, now)
            await _log(unit, LogKind.SOP_SUBMITTED, revision, caller.name, f"{caller.name} submitted it for review")
            revision, effective = await self._advance(unit, revision, profile, now)
            await unit.sops.put(revision)
            await unit.commit()
        await self._announce(effective)
        return _view(revision, profile)

    async def sign(self, caller: Caller, sop_id: str, number: int, envelope_json: bytes) -> SopView:
        """Take the caller's signature or rejection; with the last signature the revision takes effect."""
        return await self.sign_as(caller.id, sop_id, number, envelope_json)

    async def sign_as(self, person_id: str, sop_id: str, number: int, envelope_json: bytes) -> SopView:
        """Take a signature by the key that is bound to a person, whoever brings it."""
        async with self._database.write() as unit:
            profile = await _profile(unit)
            person = await _person(unit, person_id)
            statement, key_id = _verified(person, envelope_json)
            revision = await _find(unit, sop_id, number or statement.revision)
            policy = read_sop_policy(revision.policy_json)
            now = self._clock.now()
            rules.check_statement(revision, statement, person, key_id=key_id, now=now)
            rules.check_signatory(revision, policy, person, statement.role, profile)
            await use_challenge(unit, statement, revision, profile, now)
            signature = _signature(statement, person, envelope_json)
            effective = None
            if statement.decision == "reject":
                revision = rules.reject(revision, signature)
                comment = f": {statement.comment}" if statement.comment else ""
                await _log(unit, LogKind.SOP_REJECTED, revision, person.name, f"{person.name} rejected it{comment}")
            else:
                comments = await unit.sop_comments.of_revision(revision.id, revision.revision)
                sop_comment.check_unblocked(revision, comments)
                revision = rules.add_signature(revision, signature)
                await _log(
                    unit, LogKind.SOP_SIGNED, revision, person.name, f"{person.name} signed it as {statement.role}",
                    role=statement.role, meaning=statement.meaning, key_id=statement.key_id,
                    signed_time=statement.signed_time,
                )  # fmt: skip
                revision, effective = await self._advance(unit, revision, profile, now)
            await unit.sops.put(revision)
            await unit.commit()
        await self._announce(effective)
        return _view(revision, profile)

    async def activate(self, caller: Caller, sop_id: str) -> SopView:
        """Let an approved revision take effect now instead of at its later time."""
        async with self._database.write() as unit:
            profile = await _profile(unit)
            newest = await unit.sops.newest(sop_id)
            if newest is None:
                raise _unknown(sop_id)
            if newest.state is SopState.EFFECTIVE:
                return _view(newest, profile)
            revision = await self._take_effect(unit, newest, caller.name)
            await unit.sops.put(revision)
            await unit.commit()
        await self._announce(revision)
        return _view(revision, profile)

    async def retire(self, caller: Caller, sop_id: str, reason: str) -> SopView:
        """End the effective revision without a successor; no new rollout follows it, running ones keep it."""
        if not reason.strip():
            raise InvalidInputError("a reason is needed, because it is recorded", remedy='add --reason "TEXT"')
        async with self._database.write() as unit:
            profile = await _profile(unit)
            found = await unit.sops.effective(sop_id) or await unit.sops.newest(sop_id)
            if found is None:
                raise _unknown(sop_id)
            if found.state is SopState.RETIRED:
                return _view(found, profile)
            revision = rules.retire(found, self._clock.now())
            await unit.sops.put(revision)
            await _log(unit, LogKind.SOP_RETIRED, revision, caller.name, f"{caller.name} retired it: {reason.strip()}")
            await unit.commit()
        return _view(revision, profile)

    async def look_again(self, sop_id: str, number: int) -> None:
        """Let a revision in review go on whose last obstacle is gone; an unsigned evaluation waits for nothing else."""
        async with self._database.write() as unit:
            before = await _find(unit, sop_id, number)
            if before.state is not SopState.IN_REVIEW:
                return
            revision, effective = await self._advance(unit, before, await _profile(unit), self._clock.now())
            if revision is not before:
                await unit.sops.put(revision)
                await unit.commit()
        await self._announce(effective)

    async def activate_due(self) -> None:
        """Let approved revisions take effect whose time has come; a timer asks."""
        now = self._clock.now()
        done: list[SopRevision] = []
        async with self._database.write() as unit:
            for sop_id in await unit.sops.ids():
                newest = await unit.sops.newest(sop_id)
                due = newest is not None and newest.effective_time is not None and newest.effective_time <= now
                if newest is not None and due and newest.state is SopState.APPROVED:
                    done.append(await self._take_effect(unit, newest, ""))
                    await unit.sops.put(done[-1])
            if done:
                await unit.commit()
        for revision in done:
            await self._announce(revision)

    async def acknowledge(self, caller: Caller, sop_id: str, number: int = 0) -> SopView:
        """Record that the caller has read the effective revision; a second time changes nothing."""
        async with self._database.write() as unit:
            profile = await _profile(unit)
            before = await _find(unit, sop_id, number)
            revision = rules.acknowledge(before, caller.name)
            if revision is not before:
                await unit.sops.put(revision)
                since = await acknowledged(unit, revision, caller.name, self._clock)
                what = f"what changed since revision {since}" if since else "it"
                message = f"{caller.name} acknowledged {what}"
                await _log(
                    unit, LogKind.SOP_ACKNOWLEDGED, revision, caller.name, message, since_revision=str(since)
                )  # fmt: skip
                await unit.commit()
        return _view(revision, profile)

    async def _stored(self, unit: UnitOfWork, reading: SopReading, document: bytes, now: datetime) -> SopRevision:
        """Return the revision of this number that is open, or a new draft of the document."""
        revisions = await unit.sops.revisions(reading.id)
        rules.check_number(reading.id, reading.revision, revisions)
        stored = await unit.sops.get(reading.id, reading.revision)
        if stored is not None:
            return stored
        draft = draft_revision(reading, document, now)
        await _log(unit, LogKind.SOP_DRAFTED, draft, reading.revised_by, f"drafted: {reading.change_description}")
        return draft

    async def _advance(
        self, unit: UnitOfWork, revision: SopRevision, profile: str, now: datetime
    ) -> tuple[SopRevision, SopRevision | None]:
        """Approve when nobody is missing, and let it take effect when its time has come; say what took effect."""
        if rules.missing_roles(revision, read_sop_policy(revision.policy_json), profile):
            return revision, None
        if sop_comment.blocking(await unit.sop_comments.of_revision(revision.id, revision.revision)):
            return revision, None
        planned = revision.effective_time or now
        revision = rules.approve(revision, max(planned, now))
        await _log(unit, LogKind.SOP_APPROVED, revision, "", "every signature that it needs is there")
        if planned > now:
            return revision, None
        revision = await self._take_effect(unit, revision, "")
        return revision, revision

    async def _take_effect(self, unit: UnitOfWork, revision: SopRevision, operator: str) -> SopRevision:
        before = await unit.sops.effective(revision.id)
        revision, superseded = rules.activate(revision, before, self._clock.now())
        if superseded is not None:
            await unit.sops.put(superseded)
            message = f"replaced by revision {revision.revision}"
            await _log(unit, LogKind.SOP_SUPERSEDED, superseded, operator, message)
        await _log(unit, LogKind.SOP_EFFECTIVE, revision, operator, "rollouts follow it from now on")
        return revision

    async def _announce(self, revision: SopRevision | None) -> None:
        if revision is not None:
            async with self._database.read() as unit:
                told = await listeners(unit, revision)
            await self._gateway.announce_sop(revision, told)


async def _find(unit: UnitOfWork, sop_id: str, number: int) -> SopRevision:
    if number:
        revision = await unit.sops.get(sop_id, number)
    else:
        revision = await unit.sops.effective(sop_id) or await unit.sops.newest(sop_id)
    if revision is None:
        raise _unknown(f"{sop_id} revision {number}" if number else sop_id)
    return revision


async def _person(unit: UnitOfWork, person_id: str) -> Person:
    person = await unit.people.get(person_id)
    if person is None:
        raise NotFoundError("the signatory is not on the roster", remedy="sopwith person list")
    return person


def _verified(person: Person, envelope_json: bytes) -> tuple[SopStatement, str]:
    """Return what the person's bound key signed, and that key's name; both forms of signatures are taken."""
    if is_ssh_envelope(envelope_json):
        if not person.ssh_key:
            remedy = f"sopwith person key {person.name} --ssh-key FILE.pub"
            raise NotFoundError(f"no SSH key is bound to {person.name}", remedy=remedy)
        return verify_ssh_statement(envelope_json, person.ssh_key), check_key(person.ssh_key).fingerprint
    if not person.public_key_pem:
        raise NotFoundError(f"no key is bound to {person.name}", remedy=f"sopwith person invite {person.name}")
    statement = verify_statement(envelope_json, read_public_key(person.public_key_pem.encode()))
    return statement, person.key_fingerprint


async def _profile(unit: UnitOfWork) -> str:
    return (await unit.settings()).profile


def _in_review_already(revision: SopRevision, document: bytes) -> bool:
    return revision.state is SopState.IN_REVIEW and revision.document == document


def _signature(statement: SopStatement, person: Person, envelope_json: bytes) -> SopSignature:
    return SopSignature(
        person_id=person.id,
        person=person.name,
        role=statement.role,
        meaning=statement.meaning,
        decision=statement.decision,
        signed_time=parse_time(statement.signed_time),
        envelope_json=envelope_json.decode(),
        key_id=statement.key_id,
    )


def _view(revision: SopRevision, profile: str) -> SopView:
    if revision.state not in {SopState.DRAFT, SopState.IN_REVIEW}:
        return SopView(revision, ())
    return SopView(revision, rules.missing_roles(revision, read_sop_policy(revision.policy_json), profile))


def _unknown(what: str) -> NotFoundError:
    return NotFoundError(f"there is no SOP {what}", remedy="sopwith sop list")


async def _log(
    unit: UnitOfWork, kind: LogKind, revision: SopRevision, operator: str, message: str, **details: str
) -> None:
    await unit.update_log.append(
        LogDraft(
            kind=kind,
            message=f"{revision.id} revision {revision.revision}: {message}",
            operator=operator,
            sop_id=revision.id,
            sop_revision=revision.revision,
            details={
                "document_sha256": revision.document_sha256,
                "policy_sha256": revision.policy_sha256,
                "change_kind": revision.change_kind,
                **details,
            },
        )
    )
