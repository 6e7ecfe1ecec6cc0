"""The life of a SOP revision: which command is allowed in which state, and whose signatures make it effective.

Decides the next state, the change's kind, and who still has to sign; whether a signature is genuine is proved before it
comes here, storing and telling computers comes after. Rules:

- DRAFT -submit-> IN_REVIEW -all signatures-> APPROVED -effective time-> EFFECTIVE -newer one effective-> SUPERSEDED;
- an edit or a rejection in review voids the signatures, which are kept as history;
- exactly one revision of a SOP is EFFECTIVE; revisions count up by one;
- equal policy digests mean an editorial change, different ones a material change; an author may only raise it;
- a signatory is the person whom the document names in that role, holds that role on the roster, and, unless the
  document says otherwise, signs in one role only.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from sopwith_controller.domain.entities import Person, SopRevision, SopSignature, SopState
from sopwith_controller.domain.errors import (
    ConflictError,
    InvalidInputError,
    Refusal,
    RefusedError,
    TransitionNotAllowedError,
)
from sopwith_formats.dsse_statement import SopStatement
from sopwith_formats.sop_policy import SopPolicy
from sopwith_formats.units import format_time, parse_time

EDITORIAL, MATERIAL = "editorial", "material"
CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far a signatory's clock may run ahead of the controller's."""


class SopCommand(StrEnum):
    """What a person or the passing of time asks of a revision."""

    SUBMIT = "SUBMIT"
    REJECT = "REJECT"
    APPROVE = "APPROVE"
    ACTIVATE = "ACTIVATE"
    SUPERSEDE = "SUPERSEDE"
    RETIRE = "RETIRE"
    RECALL = "RECALL"


_S, _C = SopState, SopCommand

TRANSITIONS: dict[tuple[SopState, SopCommand], SopState] = {
    (_S.DRAFT, _C.SUBMIT): _S.IN_REVIEW,
    (_S.IN_REVIEW, _C.SUBMIT): _S.IN_REVIEW,
    (_S.IN_REVIEW, _C.REJECT): _S.DRAFT,
    (_S.IN_REVIEW, _C.APPROVE): _S.APPROVED,
    (_S.APPROVED, _C.ACTIVATE): _S.EFFECTIVE,
    (_S.EFFECTIVE, _C.SUPERSEDE): _S.SUPERSEDED,
    (_S.EFFECTIVE, _C.RETIRE): _S.RETIRED,
    (_S.EFFECTIVE, _C.RECALL): _S.IN_REVIEW,
}

_REMEDIES = {
    _S.DRAFT: "sopwith sop submit {id}",
    _S.IN_REVIEW: "sopwith sop sign {id}",
    _S.APPROVED: "sopwith sop activate {id}",
    _S.EFFECTIVE: "write the next revision and submit it: sopwith sop submit FILE",
    _S.SUPERSEDED: "sopwith sop history {id}",
    _S.RETIRED: "sopwith sop new --out FILE",
}


def next_state(revision: SopRevision, command: SopCommand) -> SopState:
    """Return the state after a command; raise TransitionNotAllowedError with what to do instead."""
    state = TRANSITIONS.get((revision.state, command))
    if state is None:
        raise TransitionNotAllowedError(
            f"{revision.id} revision {revision.revision} is {revision.state} and cannot be asked to {command.lower()}",
            remedy=_REMEDIES[revision.state].format(id=revision.id),
        )
    return state


def change_kind(policy_sha256: str, written_kind: str, before: SopRevision | None) -> str:
    """Return editorial or material; the digest decides, and an author may only raise it."""
    if before is None or before.policy_sha256 != policy_sha256 or written_kind == MATERIAL:
        return MATERIAL
    return EDITORIAL


def required_roles(revision: SopRevision, policy: SopPolicy, profile: str) -> tuple[str, ...]:
    """Return the roles whose signatures make the revision effective; none in `evaluation`."""
    if profile == "evaluation":
        return ()
    if profile == "standard" and revision.change_kind == EDITORIAL:
        return policy.approval.editorial
    return policy.approval.require


def valid_signatures(revision: SopRevision) -> tuple[SopSignature, ...]:
    """Return the approving signatures that count."""
    return tuple(item for item in revision.signatures if not item.voided and item.decision == "approve")


def missing_roles(revision: SopRevision, policy: SopPolicy, profile: str) -> tuple[str, ...]:
    """Return the roles whose signature is still missing, in the document's order."""
    signed = {signature.role for signature in valid_signatures(revision)}
    return tuple(role for role in required_roles(revision, policy, profile) if role not in signed)


def check_number(sop_id: str, number: int, revisions: Sequence[SopRevision]) -> None:
    """Raise ConflictError unless the number is the one that comes next, or that of the revision still open."""
    newest = max(revisions, key=lambda item: item.revision, default=None)
    expected = 1 if newest is None else newest.revision
    if newest is not None and newest.state not in {SopState.DRAFT, SopState.IN_REVIEW}:
        expected += 1
    if newest is not None and newest.state is SopState.APPROVED:
        raise ConflictError(
            f"{sop_id} revision {newest.revision} is signed and waits for its effective time",
            remedy=f"sopwith sop activate {sop_id}, then submit the next revision",
        )
    if number != expected:
        raise ConflictError(
            f"{sop_id} revision {number} cannot follow; the next one is {expected}",
            remedy=f"write revision: {expected} into the document",
        )


def submit(revision: SopRevision, now: datetime) -> SopRevision:
    """Put a revision into review; whatever was signed before is void."""
    return replace(
        revision, state=next_state(revision, SopCommand.SUBMIT), submitted_time=now, signatures=_voided(revision)
    )


def check_signatory(revision: SopRevision, policy: SopPolicy, person: Person, role: str, profile: str) -> None:
    """Raise RefusedError unless this person may sign this revision in this role now (clauses III and VII)."""
    if revision.state is not SopState.IN_REVIEW:
        raise TransitionNotAllowedError(
            f"{revision.id} revision {revision.revision} is {revision.state}; only a revision in review is signed",
            remedy=_REMEDIES[revision.state].format(id=revision.id),
        )
    required = required_roles(revision, policy, profile) or policy.approval.require
    if role not in required:
        raise _refused(f"revision {revision.revision} needs no signature as {role or 'nobody'}", revision)
    if role not in person.roles:
        remedy = f"sopwith person grant {person.name} --role {role}"
        raise RefusedError(Refusal("operator_role", "III", f"{person.name} does not hold the role {role}", remedy))
    named = getattr(policy.roles, role)
    if not same_name(named, person.name):
        raise _refused(f"the document names {named} as {role}, not {person.name}", revision)
    for signature in valid_signatures(revision):
        if signature.role == role:
            raise _refused(f"{signature.person} has signed as {role} already", revision)
        if signature.person_id == person.id and policy.approval.separate_persons:
            raise _refused(f"{person.name} has signed as {signature.role} already; separate persons sign", revision)


def check_statement(
    revision: SopRevision, statement: SopStatement, person: Person, *, key_id: str, now: datetime
) -> None:
    """Raise an error unless a genuine statement is about these bytes, by this person, made in this review."""
    digests = (statement.document_sha256, statement.policy_sha256)
    if (statement.sop_id, statement.revision) != (revision.id, revision.revision):
        raise ConflictError(f"the signature is for {statement.sop_id} revision {statement.revision}")
    if digests != (revision.document_sha256, revision.policy_sha256):
        raise ConflictError(
            f"{revision.id} revision {revision.revision} was changed after it was shown",
            remedy=f"read it again and sign: sopwith sop sign {revision.id}",
        )
    if statement.person_id != person.id or statement.printed_name != person.name or statement.key_id != key_id:
        raise InvalidInputError(
            f"the signature names {statement.printed_name}, and the caller is {person.name}",
            remedy="sign with the context of the person who signs",
        )
    time = parse_time(statement.signed_time)
    if time > now + CLOCK_TOLERANCE:
        raise InvalidInputError(
            f"the signature is dated {statement.signed_time}, ahead of {format_time(now)}",
            remedy="set the clock of the machine right and sign again",
        )
    if revision.submitted_time is not None and time < revision.submitted_time - CLOCK_TOLERANCE:
        raise ConflictError(
            f"the signature of {statement.signed_time} is older than this review",
            remedy=f"sign again: sopwith sop sign {revision.id}",
        )


def add_signature(revision: SopRevision, signature: SopSignature) -> SopRevision:
    """Return the revision with one more approving signature; who signs has read it."""
    readers = revision.acknowledged_by
    if signature.person not in readers:
        readers = (*readers, signature.person)
    return replace(revision, signatures=(*revision.signatures, signature), acknowledged_by=readers)


def reject(revision: SopRevision, signature: SopSignature) -> SopRevision:
    """Return the revision as a draft again; its signatures are void and kept with the rejection."""
    state = next_state(revision, SopCommand.REJECT)
    return replace(revision, state=state, signatures=(*_voided(revision), replace(signature, voided=True)))


def approve(revision: SopRevision, effective_time: datetime) -> SopRevision:
    """Return the revision APPROVED, to take effect at a time."""
    return replace(revision, state=next_state(revision, SopCommand.APPROVE), effective_time=effective_time)


def activate(
    revision: SopRevision, before: SopRevision | None, now: datetime
) -> tuple[SopRevision, SopRevision | None]:
    """Return the revision EFFECTIVE and the one before it SUPERSEDED; an editorial one carries readers over."""
    readers = revision.acknowledged_by
    if before is not None and revision.change_kind == EDITORIAL:
        readers = (*readers, *(name for name in before.acknowledged_by if name not in readers))
    state = next_state(revision, SopCommand.ACTIVATE)
    effective = replace(revision, state=state, effective_time=now, acknowledged_by=readers)
    if before is None:
        return effective, None
    return effective, replace(before, state=next_state(before, SopCommand.SUPERSEDE), ended_time=now)


def recall(revision: SopRevision, now: datetime) -> SopRevision:
    """Return a revision that took effect unsigned in review again, because the profile asks for signatures now."""
    state = next_state(revision, SopCommand.RECALL)
    return replace(revision, state=state, submitted_time=now, effective_time=None)


def retire(revision: SopRevision, now: datetime) -> SopRevision:
    """Return the effective revision ended without a successor."""
    return replace(revision, state=next_state(revision, SopCommand.RETIRE), ended_time=now)


def acknowledge(revision: SopRevision, name: str) -> SopRevision:
    """Return the revision read by one person more; a second time changes nothing."""
    if revision.state is not SopState.EFFECTIVE:
        raise TransitionNotAllowedError(
            f"{revision.id} revision {revision.revision} is {revision.state}; only an effective one is acknowledged",
            remedy=_REMEDIES[revision.state].format(id=revision.id),
        )
    if name in revision.acknowledged_by:
        return revision
    return replace(revision, acknowledged_by=(*revision.acknowledged_by, name))


def same_name(one: str, other: str) -> bool:
    """Tell whether two writings are one person's name."""
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


def _voided(revision: SopRevision) -> tuple[SopSignature, ...]:
    return tuple(replace(signature, voided=True) for signature in revision.signatures)


def _refused(reason: str, revision: SopRevision) -> RefusedError:
    remedy = f"sopwith sop show {revision.id} says who still has to sign"
    return RefusedError(Refusal("sop_effective", "VII", reason, remedy))
