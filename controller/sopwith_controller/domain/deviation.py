"""The life of a deviation: a planned, approved, expiring exception to one gate; and what it covers.

Decides which gates may be deviated from at all, who may approve, when a deviation is in force and for which plan.
Consulting it is the gates' affair (`gate_decisions`), keeping it the service's. Rules (SOP, section 3):

- Integrity gates are never deviable, nor are the gates that say who may act and what was approved: for urgency there is
  the emergency door. Thresholds of waves are changed in the rollout file, within the SOP's bounds (`sop_bounds`).
- Reason and compensating measure are said; the approver is owner or IT manager and never the requester.
- It always expires: after 7 days unless something else is asked for, after 30 at the latest.
- One given to a rollout covers the plan that the rollout had then; a changed plan does not inherit it. One for the SOP
  as a whole covers every rollout all of whose computers its selector matches.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sopwith_controller.domain.agent_gates import AGENT_GATES
from sopwith_controller.domain.errors import InvalidInputError, Refusal, RefusedError, TransitionNotAllowedError
from sopwith_formats.units import format_duration, format_time

DEFAULT_LIFE = timedelta(days=7)
LIFE_MAX = timedelta(days=30)
CLOCKS_APART = timedelta(minutes=5)
"""How far the asker's clock may be ahead when it works out the longest life."""
TEXT_MAX = 2000
APPROVER_ROLES = ("owner", "it_manager")
GRANTED_BY = "owner or it_manager (sopwith deviation open)"
"""What a refusal says of who may grant a deviation."""

DEVIABLE = {
    "sop_scope": "II",
    "sop_bounds": "V",
    "operator_trained": "III",
    "contacts_set": "V.E",
    "ready_quorum": "V.A",
    "window": "V.C",
    "freeze": "V.C",
    **AGENT_GATES,
}
"""Gates that a deviation can open, with their clauses."""

INTEGRITY = frozenset(
    {
        "source_designated",
        "metadata_fresh",
        "signature",
        "digest",
        "warrant_valid",
        "record_written",
        "log_integrity",
        "mtls",
    }
)


class DeviationState(StrEnum):
    """Where a deviation stands."""

    OPEN = "OPEN"
    APPROVED = "APPROVED"
    EXPIRED = "EXPIRED"
    CLOSED = "CLOSED"


class DeviationCommand(StrEnum):
    """What a person or the clock does to a deviation."""

    APPROVE = "APPROVE"
    CLOSE = "CLOSE"
    EXPIRE = "EXPIRE"


_S, _C = DeviationState, DeviationCommand

TRANSITIONS: dict[tuple[DeviationState, DeviationCommand], DeviationState] = {
    (_S.OPEN, _C.APPROVE): _S.APPROVED,
    (_S.OPEN, _C.CLOSE): _S.CLOSED,
    (_S.OPEN, _C.EXPIRE): _S.EXPIRED,
    (_S.APPROVED, _C.CLOSE): _S.CLOSED,
    (_S.APPROVED, _C.EXPIRE): _S.EXPIRED,
}


@dataclass(frozen=True)
class Deviation:
    """One exception to one gate. Times are UTC, empty text means absent."""

    id: str
    gate: str
    state: DeviationState
    reason: str
    measure: str
    """The compensating measure: what is done instead of what the gate asks for."""
    requester: str
    sop_id: str
    created_time: datetime
    expires_time: datetime
    rollout_id: str = ""
    """The rollout that it is given to; empty: every rollout under the SOP, as far as the selector goes."""
    plan_sha256: str = ""
    """The plan that it was asked for; empty where it is given to no rollout."""
    selector: str = ""
    """Selector over labels and facts; empty: every computer. Only without a rollout."""
    approver: str = ""
    approved_time: datetime | None = None
    closed_by: str = ""
    closed_time: datetime | None = None
    closing_reason: str = ""


def check_gate(gate: str) -> None:
    """Raise InvalidInputError for a gate that no deviation opens."""
    if gate in DEVIABLE:
        return
    if gate in INTEGRITY:
        text = f"{gate} is an integrity gate: nobody can deviate from it"
    else:
        text = f"no deviation is granted from {gate}"
    raise InvalidInputError(text, remedy=f"gates with deviations: {', '.join(sorted(DEVIABLE))}")


def expiry(asked: datetime | None, now: datetime) -> datetime:
    """Return when a new deviation ends; raise InvalidInputError for a time that is over or too far away."""
    until = asked or now + DEFAULT_LIFE
    if until <= now:
        raise InvalidInputError("the deviation would have expired already", remedy="name a later end")
    if until > now + LIFE_MAX + CLOCKS_APART:
        raise InvalidInputError(
            f"a deviation lasts {format_duration(LIFE_MAX)} at most", remedy="name an earlier end, and ask again then"
        )
    return min(until, now + LIFE_MAX)


def said(text: str, what: str, option: str) -> str:
    """Return a text that has to be said, its white space evened; raise InvalidInputError where it is missing."""
    words = " ".join(text.split())
    if not words:
        raise InvalidInputError(f"{what} is needed, because it is recorded", remedy=f'add {option} "TEXT"')
    if len(words) > TEXT_MAX:
        raise InvalidInputError(f"{what} has at most {TEXT_MAX} characters", remedy="shorten it")
    return words


def next_state(deviation: Deviation, command: DeviationCommand) -> DeviationState:
    """Return the state after a command; raise TransitionNotAllowedError."""
    state = TRANSITIONS.get((deviation.state, command))
    if state is None:
        raise TransitionNotAllowedError(
            f"deviation {deviation.id} is {deviation.state} and cannot be asked to {command.lower()}",
            remedy="sopwith deviation list; sopwith deviation open",
        )
    return state


def approve(deviation: Deviation, *, person: str, roles: Collection[str], plan_sha256: str, now: datetime) -> Deviation:
    """Approve it; `plan_sha256` is the rollout's plan as it is now, empty where it is given to no rollout."""
    state = next_state(deviation, _C.APPROVE)
    remedy = f"ask another {' or '.join(APPROVER_ROLES)} for sopwith deviation approve {deviation.id}"
    if person == deviation.requester:
        reason = f"{person} asked for deviation {deviation.id} and cannot approve it"
        raise RefusedError(Refusal("operator_role", "III", reason, remedy))
    if not set(APPROVER_ROLES) & set(roles):
        reason = f"a deviation is approved by {' or '.join(APPROVER_ROLES)}; {person} is neither"
        raise RefusedError(Refusal("operator_role", "III", reason, remedy))
    if deviation.expires_time <= now:
        raise TransitionNotAllowedError(
            f"deviation {deviation.id} expired at {format_time(deviation.expires_time)}",
            remedy="sopwith deviation open",
        )
    if plan_sha256 != deviation.plan_sha256:
        raise RefusedError(
            Refusal(
                "approval_fresh",
                "VII",
                f"the plan of rollout {deviation.rollout_id} changed since deviation {deviation.id} was asked for",
                remedy=f"sopwith deviation open --gate {deviation.gate} --rollout {deviation.rollout_id}",
            )
        )
    return replace(deviation, state=state, approver=person, approved_time=now)


def close(deviation: Deviation, *, person: str, roles: Collection[str], reason: str, now: datetime) -> Deviation:
    """End it before its time; who asked for it may, and whoever may approve."""
    state = next_state(deviation, _C.CLOSE)
    if person != deviation.requester and not set(APPROVER_ROLES) & set(roles):
        raise RefusedError(
            Refusal(
                "operator_role",
                "III",
                f"{person} neither asked for deviation {deviation.id} nor may approve one",
                remedy=f"ask {deviation.requester} for sopwith deviation close {deviation.id}",
            )
        )
    text = said(reason, "a reason", "--reason")
    return replace(deviation, state=state, closed_by=person, closed_time=now, closing_reason=text)


def expire(deviation: Deviation, now: datetime) -> Deviation | None:
    """Return it EXPIRED where its time is over and nobody ended it before; None otherwise."""
    if (deviation.state, _C.EXPIRE) not in TRANSITIONS or deviation.expires_time > now:
        return None
    return replace(deviation, state=next_state(deviation, _C.EXPIRE), closed_time=deviation.expires_time)


def in_force(deviation: Deviation, now: datetime) -> bool:
    """Tell whether it is approved and its time is not over; the clock counts, not when somebody looked."""
    return deviation.state is DeviationState.APPROVED and now < deviation.expires_time


def covering(
    deviations: Iterable[Deviation],
    *,
    sop_id: str,
    rollout_id: str,
    plan_sha256: str,
    matches_all: Callable[[str], bool],
    now: datetime,
) -> dict[str, Deviation]:
    """Return gate to the deviation that opens it for this plan; of several the one that lasts longest.

    `matches_all(selector)` tells whether every computer of the plan is matched; it is asked where that matters only.
    """
    found: dict[str, Deviation] = {}
    for deviation in deviations:
        if not in_force(deviation, now) or deviation.sop_id != sop_id:
            continue
        if deviation.rollout_id:
            covers = (deviation.rollout_id, deviation.plan_sha256) == (rollout_id, plan_sha256)
        else:
            covers = not deviation.selector or matches_all(deviation.selector)
        known = found.get(deviation.gate)
        if covers and (known is None or known.expires_time < deviation.expires_time):
            found[deviation.gate] = deviation
    return found


def missed(deviations: Iterable[Deviation], rollout_id: str, plan_sha256: str, now: datetime) -> dict[str, Deviation]:
    """Return gate to a deviation in force that was given to an earlier plan of this rollout: it does not count."""
    return {
        deviation.gate: deviation
        for deviation in deviations
        if rollout_id
        and deviation.rollout_id == rollout_id
        and deviation.plan_sha256 != plan_sha256
        and in_force(deviation, now)
    }
