"""Feedback on the SOP, clause by clause, and what became of each; and the proposals that recurring deviations make.

Decides which words are feedback, which disposition may follow which, and when deviations recur; keeping them is the
service's. Rules: everything is answered with a reason; what was rejected or done stays as it is; a gate from which
three deviations were approved within 90 days is where the procedure and the work differ, and becomes a proposal.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sopwith_controller.domain.deviation import DEVIABLE, Deviation, said
from sopwith_controller.domain.errors import InvalidInputError, TransitionNotAllowedError
from sopwith_controller.domain.practice_entities import Disposition, Feedback, FeedbackOrigin
from sopwith_formats.sop_words import CLAUSES

HOTSPOT_COUNT = 3
HOTSPOT_WITHIN = timedelta(days=90)

_D = Disposition
TRANSITIONS: dict[tuple[Disposition, Disposition], Disposition] = {
    (_D.OPEN, _D.ACCEPTED): _D.ACCEPTED,
    (_D.OPEN, _D.REJECTED): _D.REJECTED,
    (_D.OPEN, _D.DONE): _D.DONE,
    (_D.ACCEPTED, _D.DONE): _D.DONE,
    (_D.ACCEPTED, _D.REJECTED): _D.REJECTED,
}


@dataclass(frozen=True)
class Said:
    """What somebody says, and about what."""

    clause: str
    text: str
    origin: FeedbackOrigin
    given_by: str
    rollout: str = ""


def give(feedback_id: str, sop_id: str, revision: int, what: Said, now: datetime) -> Feedback:
    """Return a new, open feedback."""
    if what.clause not in CLAUSES:
        raise InvalidInputError(f"there is no clause {what.clause or '(none)'}", remedy=f"one of {', '.join(CLAUSES)}")
    text = said(what.text, "a text", "TEXT")
    return Feedback(
        feedback_id, sop_id, revision, what.clause, text, what.origin, what.given_by, what.rollout, time=now
    )


def dispose(feedback: Feedback, disposition: str, *, person: str, reason: str, now: datetime) -> Feedback:
    """Return it with what became of it."""
    wanted = next((one for one in Disposition if one.value == disposition.upper()), None)
    state = TRANSITIONS.get((feedback.disposition, wanted)) if wanted is not None else None
    if state is None:
        allowed = [new.value.lower() for (old, new) in TRANSITIONS if old is feedback.disposition]
        raise TransitionNotAllowedError(
            f"feedback {feedback.id} is {feedback.disposition} and does not become {disposition or 'nothing'}",
            remedy=f"possible are: {', '.join(allowed)}" if allowed else "give new feedback",
        )
    return replace(
        feedback,
        disposition=state,
        disposed_by=person,
        disposed_time=now,
        disposition_reason=said(reason, "a reason", "--reason"),
    )


def hotspots(deviations: Iterable[Deviation], now: datetime) -> dict[str, int]:
    """Return the gates from which people deviate again and again, with how often."""
    counts = Counter(
        one.gate
        for one in deviations
        if one.approved_time is not None and now - one.approved_time <= HOTSPOT_WITHIN and one.gate in DEVIABLE
    )
    return {gate: count for gate, count in sorted(counts.items()) if count >= HOTSPOT_COUNT}


def proposal_of(gate: str, count: int) -> Said:
    """Return what the controller proposes of a hotspot."""
    text = (
        f"{count} deviations from {gate} were approved within {HOTSPOT_WITHIN.days} days: change the parameter, its "
        "bounds or the gate in the next revision, or say why it stays"
    )
    return Said(DEVIABLE[gate], text, FeedbackOrigin.MACHINE, "")
