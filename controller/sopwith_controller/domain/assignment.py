"""The controller's mirror of one computer's share of a rollout: what may follow what, and how it ends.

The agent drives; its reports may be repeated, skip states that passed while nobody listened, or arrive late. Rules:

- A reported state is taken over when the table leads there from the present one, in one step or several.
- Nothing goes back, except to PREPARING: a deferral, which may give its try back (a full disk, a lock: waiting spends
  none). Any other report with fewer attempts than known is late and changes nothing.
- After ENDED only a signed receipt changes anything, and only what the controller had concluded without one: the late
  truth becomes a correction.

What should happen to an assignment (offer, lease, deadline) is the planner's decision.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cache

from sopwith_controller.domain.entities import Reason
from sopwith_controller.domain.errors import TransitionNotAllowedError
from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState, Outcome


class AssignmentEvent(StrEnum):
    """What happened on the computer, or was decided about it."""

    OFFERED = "OFFERED"
    NOT_READY = "NOT_READY"
    READY = "READY"
    STAGED = "STAGED"
    DEFERRED = "DEFERRED"
    STARTED = "STARTED"
    APPLIED = "APPLIED"
    REBOOT_NEEDED = "REBOOT_NEEDED"
    REBOOTED = "REBOOTED"
    BOOTED = "BOOTED"
    BROKEN = "BROKEN"
    ENDED = "ENDED"


_S, _E = AssignmentState, AssignmentEvent

TRANSITIONS: dict[tuple[AssignmentState, AssignmentEvent], AssignmentState] = {
    (_S.PENDING, _E.OFFERED): _S.PREPARING,
    (_S.PENDING, _E.ENDED): _S.ENDED,
    (_S.PREPARING, _E.NOT_READY): _S.PREPARING,
    (_S.PREPARING, _E.READY): _S.DOWNLOADING,
    (_S.PREPARING, _E.ENDED): _S.ENDED,
    (_S.DOWNLOADING, _E.STAGED): _S.STAGED,
    (_S.DOWNLOADING, _E.DEFERRED): _S.PREPARING,
    (_S.DOWNLOADING, _E.ENDED): _S.ENDED,
    (_S.STAGED, _E.STARTED): _S.INSTALLING,
    (_S.STAGED, _E.DEFERRED): _S.PREPARING,
    (_S.STAGED, _E.ENDED): _S.ENDED,
    (_S.INSTALLING, _E.DEFERRED): _S.PREPARING,
    (_S.INSTALLING, _E.APPLIED): _S.CONFIRMING,
    (_S.INSTALLING, _E.REBOOT_NEEDED): _S.AWAITING_REBOOT,
    (_S.INSTALLING, _E.BROKEN): _S.ROLLING_BACK,
    (_S.INSTALLING, _E.ENDED): _S.ENDED,
    (_S.AWAITING_REBOOT, _E.REBOOTED): _S.REBOOTING,
    (_S.AWAITING_REBOOT, _E.ENDED): _S.ENDED,
    (_S.REBOOTING, _E.BOOTED): _S.CONFIRMING,
    (_S.REBOOTING, _E.BROKEN): _S.ROLLING_BACK,
    (_S.REBOOTING, _E.ENDED): _S.ENDED,
    (_S.CONFIRMING, _E.BROKEN): _S.ROLLING_BACK,
    (_S.CONFIRMING, _E.ENDED): _S.ENDED,
    (_S.ROLLING_BACK, _E.ENDED): _S.ENDED,
}

MAY_BE_LOST = frozenset({_S.INSTALLING, _S.CONFIRMING, _S.ROLLING_BACK})
"""States in which three missed heartbeats make a computer lost; REBOOTING has a longer patience of its own."""

ERRORS = frozenset({Outcome.FAILED, Outcome.ROLLED_BACK, Outcome.UNREACHABLE})
"""Outcomes that count as errors (contract, section 5)."""
SUCCESSES = frozenset({Outcome.SUCCEEDED, Outcome.SKIPPED})


def next_state(state: AssignmentState, event: AssignmentEvent) -> AssignmentState:
    """Return the state after an event; raise TransitionNotAllowedError where the table has none."""
    target = TRANSITIONS.get((state, event))
    if target is None:
        raise TransitionNotAllowedError(f"an assignment that is {state} cannot be {event.lower().replace('_', ' ')}")
    return target


@cache
def _reachable(state: AssignmentState) -> frozenset[AssignmentState]:
    """Return the states that lie ahead, without going back to PREPARING on the way; PREPARING itself is a deferral."""
    ahead: set[AssignmentState] = set()
    rest = [state]
    while rest:
        here = rest.pop()
        for (source, event), target in TRANSITIONS.items():
            if source is here and event is not _E.DEFERRED and target not in ahead:
                ahead.add(target)
                rest.append(target)
    if any(source is state and event is _E.DEFERRED for source, event in TRANSITIONS):
        ahead.add(_S.PREPARING)
    return frozenset(ahead - {_S.ENDED})


@dataclass(frozen=True)
class RebootWish:
    """How a computer stands with its reboot, as it tells itself."""

    asked_time: datetime | None
    wanted: bool = False
    forced: bool = False


def offer(assignment: Assignment, *, now: datetime, start_until: datetime | None) -> Assignment:
    """Write down that a warrant goes out, with its first lease; before the warrant is sent."""
    return replace(
        assignment,
        state=next_state(assignment.state, _E.OFFERED),
        offered_time=now,
        start_until_time=start_until,
        waiting="",
    )


def apply_progress(
    assignment: Assignment,
    state: AssignmentState,
    *,
    now: datetime,
    percent: int = 0,
    symptom: str = "",
    detail: str = "",
    attempts: int = 0,
    version_before: str = "",
    reasons: Sequence[Reason] = (),
    next_try_time: datetime | None = None,
    reboot: RebootWish | None = None,
) -> Assignment:
    """Return the assignment after a report; the very same object where the report is late and says nothing new."""
    if assignment.ended or (attempts < assignment.attempts and state is not _S.PREPARING):
        return assignment
    if state is not assignment.state and state not in _reachable(assignment.state):
        return assignment
    if state is assignment.state and percent < assignment.percent and attempts == assignment.attempts:
        percent = assignment.percent
    started = assignment.install_started_time
    if started is None and state not in BEFORE_INSTALLING:
        started = now
    return replace(
        assignment,
        state=state,
        percent=percent,
        symptom=symptom,
        detail=detail,
        attempts=max(attempts, assignment.attempts),
        version_before=version_before or assignment.version_before,
        reasons=tuple(reasons),
        next_try_time=next_try_time,
        stalled_time=None,
        offered_time=assignment.offered_time or now,
        install_started_time=started,
        reported_time=now,
        lost_time=None,
        reboot_asked_time=assignment.reboot_asked_time or (reboot.asked_time if reboot else None),
        reboot_wanted=reboot is not None and reboot.wanted,
        reboot_forced=reboot is not None and reboot.forced,
    )


def renew(assignment: Assignment, *, now: datetime, start_until: datetime) -> Assignment:
    """Return the assignment with leave to start; one that has the files and had no leave counts its time from now."""
    held = assignment.start_until_time
    anew = assignment.state is _S.STAGED and (held is None or held <= now)
    return replace(assignment, start_until_time=start_until, offered_time=now if anew else assignment.offered_time)


def defer(assignment: Assignment, *, deferrals: int, until: datetime | None, now: datetime) -> Assignment:
    """Return the assignment after people at the computer put it off until then; None: they let it begin.

    The very same object where the word is late: it has ended, or a later one is known.
    """
    if assignment.ended or deferrals < assignment.deferrals:
        return assignment
    return replace(assignment, deferrals=deferrals, deferred_until_time=until, stalled_time=None, reported_time=now)


class EndKind(StrEnum):
    """What an end means for what was known before."""

    ENDED = "ENDED"
    """The first word: the assignment has its outcome now."""
    REPEATED = "REPEATED"
    """Known already; nothing changes."""
    CONFIRMED = "CONFIRMED"
    """A receipt says what the controller had concluded without one."""
    CORRECTED = "CORRECTED"
    """A receipt tells another truth than the controller had concluded; counts follow it."""
    CONTRADICTED = "CONTRADICTED"
    """A second receipt with other content: an alarm; nothing changes."""


@dataclass(frozen=True)
class Ending:
    """The assignment after a word about its end, and what that word meant."""

    assignment: Assignment
    kind: EndKind
    outcome_before: str = ""
    """What was recorded before a correction."""


def end(
    assignment: Assignment,
    outcome: Outcome,
    *,
    now: datetime,
    symptom: str = "",
    detail: str = "",
    version_before: str = "",
    version_after: str = "",
    attempts: int = 0,
    receipt_sha256: str = "",
) -> Ending:
    """Return the assignment with its outcome; `receipt_sha256` is empty where the controller concludes by itself."""
    if assignment.ended and not receipt_sha256:
        return Ending(assignment, EndKind.REPEATED)
    if assignment.ended and assignment.receipt_sha256:
        same = assignment.receipt_sha256 == receipt_sha256
        return Ending(assignment, EndKind.REPEATED if same else EndKind.CONTRADICTED)
    after = replace(
        assignment,
        state=_S.ENDED,
        outcome=outcome,
        symptom=symptom,
        detail=detail,
        percent=100,
        version_before=version_before or assignment.version_before,
        version_after=version_after,
        attempts=max(attempts, assignment.attempts),
        receipt_sha256=receipt_sha256,
        start_until_time=None,
        next_try_time=None,
        reasons=(),
        stalled_time=None,
        reboot_wanted=False,
        reboot_until_time=None,
        ended_time=assignment.ended_time or now,
        reported_time=now if receipt_sha256 else assignment.reported_time,
        lost_time=None,
    )
    if not assignment.ended:
        return Ending(after, EndKind.ENDED)
    if assignment.outcome == outcome:
        return Ending(after, EndKind.CONFIRMED, assignment.outcome)
    return Ending(after, EndKind.CORRECTED, assignment.outcome)


def without_leave(assignment: Assignment, now: datetime) -> Assignment:
    """Return it with leave to start and to reboot that runs out now; what has run out already stays as it is.

    It still has its place, as with any leave that ran out: it may have been used, and the word of it be under way.
    """
    start, reboot = assignment.start_until_time, assignment.reboot_until_time
    return replace(
        assignment,
        start_until_time=min(start, now) if start else None,
        reboot_until_time=min(reboot, now) if reboot else None,
    )


def takes_place(assignment: Assignment, now: datetime) -> bool:
    """Tell whether it takes one of the places of `max_concurrency` and of its disruption group.

    Whatever occupies its computer does, but for one that only waits for its reboot: until it has leave nothing happens
    to the computer, and it may wait for days.
    """
    if assignment.state is _S.AWAITING_REBOOT:
        return assignment.reboot_until_time is not None
    return occupies(assignment, now)


def occupies(assignment: Assignment, now: datetime) -> bool:
    """Tell whether it keeps its computer from another rollout.

    Offered and not ended does. Who has no leave to install does not: staged ahead of its window, held, or parked before
    its download with a lease that has run out. A lease that ran out on one that has the files still counts until it is
    taken back: it may have been used, and the word of it be under way.
    """
    if assignment.ended or assignment.state is _S.PENDING:
        return False
    if assignment.state not in BEFORE_INSTALLING:
        return True
    lease = assignment.start_until_time
    return lease is not None and (lease > now or assignment.state is not _S.PREPARING)
