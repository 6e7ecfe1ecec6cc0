"""A signatory who installs nothing: a one-time link to read, to take the statement along, and to bring the signature.

Decides what a link hands out and takes: the statement is written here, once per decision, and the signature must be
over those very bytes by the SSH key that is bound to the person. No private key ever comes near. The rules of links are
`domain.signing_link`'s, whether the signature counts is `sops`'; a link is used up in the transaction of its signature.
The secret leaves the controller once, only its digest is kept.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from sopwith_certs.errors import TrustError
from sopwith_certs.ssh_signing import check_key, verify_ssh
from sopwith_controller.domain import signing_link as rules
from sopwith_controller.domain import sop as sop_rules
from sopwith_controller.domain.entities import LogDraft, Person, SopRevision
from sopwith_controller.domain.errors import InvalidInputError, NotFoundError
from sopwith_controller.domain.incident_entities import Notification
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.sop_life_entities import SigningLink
from sopwith_controller.services.access import Caller
from sopwith_controller.services.ports import Clock, Database, Ids, UnitOfWork
from sopwith_controller.services.sops import Sops, SopView
from sopwith_formats.dsse_statement import DECISIONS, MEANINGS, SopStatement, read_statement
from sopwith_formats.errors import FormatError
from sopwith_formats.sop_policy import read_sop_policy
from sopwith_formats.ssh_signature import read_signature
from sopwith_formats.ssh_statement import SshEnvelope
from sopwith_formats.units import format_time

COMMENT_LENGTH_MAX = 1000


@dataclass(frozen=True)
class Offer:
    """What a good link shows: who may sign what, and with which key."""

    link: SigningLink
    person: Person
    revision: SopRevision
    organization: str
    evaluation: bool
    key_fingerprint: str
    history: tuple[SopRevision, ...] = ()
    """The SOP's revisions, oldest first."""


class SigningLinks:
    """Use cases of signing links."""

    def __init__(
        self, database: Database, clock: Clock, ids: Ids, sops: Sops, *, mail: bool, wake: Callable[[], None]
    ) -> None:
        self._mail = mail
        self._wake = wake
        self._database = database
        self._clock = clock
        self._ids = ids
        self._sops = sops

    async def mint(
        self, caller: Caller, sop_id: str, name: str, *, role: str = "", life: timedelta | None = None
    ) -> tuple[SigningLink, str]:
        """Return a new link for a person and its secret, which nobody will see again."""
        now, secret = self._clock.now(), self._ids.secret()
        life = rules.life_of(life)
        async with self._database.write() as unit:
            person = await unit.people.find(name)
            if person is None or person.state == "REVOKED":
                raise NotFoundError(f"nobody on the roster is called {name}", remedy="sopwith person list")
            if not person.ssh_key:
                raise InvalidInputError(
                    f"no SSH key is bound to {person.name}, so nothing could be proved",
                    remedy=f"sopwith person key {person.name} --ssh-key FILE.pub",
                )
            revision = await unit.sops.newest(sop_id)
            if revision is None:
                raise NotFoundError(f"there is no SOP {sop_id}", remedy="sopwith sop list")
            policy = read_sop_policy(revision.policy_json)
            role = role or next((one for one in MEANINGS if getattr(policy.roles, one) == person.name), "")
            sop_rules.check_signatory(revision, policy, person, role, (await unit.settings()).profile)
            link = SigningLink(
                id=self._ids.new("sl"),
                secret_sha256=_digest(secret),
                kind=rules.PAGE,
                sop_id=revision.id,
                revision=revision.revision,
                document_sha256=revision.document_sha256,
                person_id=person.id,
                role=role,
                created_by=caller.name,
                created_time=now,
                expires_time=now + life,
            )
            await unit.signing_links.put(link)
            await unit.update_log.append(
                LogDraft(
                    kind=LogKind.SIGNING_LINK_MADE,
                    message=f"{revision.id} revision {revision.revision}: {caller.name} made a link for {person.name} "
                    f"to sign as {role}",
                    operator=caller.name,
                    sop_id=revision.id,
                    sop_revision=revision.revision,
                    details={"link": link.id, "person_id": person.id, "document_sha256": revision.document_sha256},
                )
            )
            await unit.commit()
        return link, secret

    async def send_code(self, caller: Caller, sop_id: str) -> tuple[str, SigningLink]:
        """Send the caller a code to sign the newest revision with; return the address and what it is good for."""
        now, code = self._clock.now(), _code_of(self._ids.secret())
        async with self._database.write() as unit:
            person = await unit.people.get(caller.id)
            revision = await unit.sops.newest(sop_id)
            if person is None or revision is None:
                raise NotFoundError(f"there is no SOP {sop_id}", remedy="sopwith sop list")
            if not person.email or not self._mail:
                lacking = "no channel for mail is set up" if person.email else "no address is known"
                raise InvalidInputError(
                    f"no code can be sent to {person.name}: {lacking}",
                    remedy=f"sopwith person invite {person.name} --email ADDR, smtp in sopwith.toml; or sign by a link",
                )
            link = SigningLink(
                id=self._ids.new("sl"),
                secret_sha256=_digest(code),
                kind=rules.CODE,
                sop_id=revision.id,
                revision=revision.revision,
                document_sha256=revision.document_sha256,
                person_id=person.id,
                role="",
                created_by=caller.name,
                created_time=now,
                expires_time=now + rules.CODE_LIFE,
            )
            await unit.signing_links.put(link)
            await unit.notifications.put(
                Notification(
                    id=self._ids.new("n"),
                    incident_id=link.id,
                    channel="smtp",
                    target=person.email,
                    subject=f"Code to sign {revision.id} revision {revision.revision}",
                    body=f"{code}\n\nIt is good for ten minutes and one signature:\n"
                    f"sopwith sop sign {revision.id} --code {code}\n\n"
                    "If you did not ask for it, somebody has your key: tell the owner at once.\n",
                    created_time=now,
                )
            )
            await unit.commit()
        self._wake()
        return person.email, link

    async def offer(self, secret: str) -> Offer:
        """Return what a link shows; raise RefusedError in words when it is good no more."""
        async with self._database.read() as unit:
            return await self._offer(unit, secret)

    async def statement(self, secret: str, decision: str, comment: str = "") -> bytes:
        """Return the statement to sign, the same bytes every time; a rejection says why."""
        if decision not in DECISIONS:
            raise InvalidInputError(f"{decision!r} is no decision", remedy=f"use {' or '.join(DECISIONS)}")
        if len(comment) > COMMENT_LENGTH_MAX:
            raise InvalidInputError(f"a comment has at most {COMMENT_LENGTH_MAX} characters", remedy="shorten it")
        if decision == "reject" and not comment.strip():
            raise InvalidInputError("a rejection says why, so that the author knows", remedy="write a comment")
        async with self._database.write() as unit:
            offer = await self._offer(unit, secret)
            known = offer.link.payloads.get(decision)
            if known is not None and read_statement(known.encode()).comment == comment.strip():
                return known.encode()
            payload = self._written(offer, decision, comment.strip())
            await unit.signing_links.put(
                replace(offer.link, payloads={**offer.link.payloads, decision: payload.decode()})
            )
            await unit.commit()
        return payload

    async def sign(self, secret: str, armoured: str) -> SopView:
        """Take the signature over one of the statements that the link handed out; the link is used up."""
        try:
            signature = read_signature(armoured)
        except FormatError as error:
            raise InvalidInputError(f"the file {error.message}", remedy=error.remedy) from error
        async with self._database.read() as unit:
            offer = await self._offer(unit, secret)
        if not offer.link.payloads:
            raise InvalidInputError("no statement was downloaded yet", remedy="download it, sign that file, come back")
        failure: TrustError | FormatError | None = None
        for payload in offer.link.payloads.values():
            try:
                verify_ssh(signature, payload.encode(), offer.person.ssh_key)
            except (TrustError, FormatError) as error:
                failure = error
                continue
            envelope = SshEnvelope(payload.encode(), armoured).to_json()
            return await self._sops.sign_as(offer.person.id, offer.link.sop_id, offer.link.revision, envelope)
        raise InvalidInputError(failure.message if failure else "", remedy=failure.remedy if failure else "")

    async def _offer(self, unit: UnitOfWork, secret: str) -> Offer:
        found = await unit.signing_links.by_secret(_digest(secret)) if secret else None
        if found is not None and found.kind != rules.PAGE:
            found = None
        revision = await unit.sops.get(found.sop_id, found.revision) if found else None
        link = rules.check_good(found, revision, self._clock.now())
        person = await unit.people.get(link.person_id)
        if person is None or revision is None or person.state == "REVOKED" or not person.ssh_key:
            raise rules.refusal("the person whom this link was made for is not on the roster with a key any more")
        settings = await unit.settings()
        fingerprint = check_key(person.ssh_key).fingerprint
        evaluation = settings.profile == "evaluation"
        history = tuple(await unit.sops.revisions(revision.id))
        return Offer(link, person, revision, settings.organization, evaluation, fingerprint, history)

    def _written(self, offer: Offer, decision: str, comment: str) -> bytes:
        key = check_key(offer.person.ssh_key)
        return SopStatement(
            sop_id=offer.revision.id,
            revision=offer.revision.revision,
            document_sha256=offer.revision.document_sha256,
            policy_sha256=offer.revision.policy_sha256,
            decision=decision,
            meaning=MEANINGS[offer.link.role],
            printed_name=offer.person.name,
            person_id=offer.person.id,
            role=offer.link.role,
            signed_time=format_time(self._clock.now().replace(microsecond=0)),
            key_id=key.fingerprint,
            public_key_pem=key.line(),
            comment=comment,
            challenge=offer.link.id,
        ).payload()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _code_of(secret: str) -> str:
    """Return a code of fifty bits that a person can type."""
    text = base64.b32encode(hashlib.sha256(secret.encode()).digest()).decode()
    return f"{text[:5]}-{text[5:10]}"
