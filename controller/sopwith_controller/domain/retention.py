"""Retention: what of the SOP's records may go, and when: counted from the end of their effect (SOP, clause 8).

Decides which records are over and what stays of them; a digest of what went, the log entry and the writing are the
service's. The update log itself is never cut: its chain has to verify for ever. Rules:

- A revision's effect ends when it is superseded or retired, and not while a rollout that cites it runs or has ended
  less than the retention ago. An effective revision is kept, however old it is.
- Training, feedback and closed reviews end with their revision; what is open is kept.
- Of a revision its number, digests and times stay, and its policy, by which old rollouts are read; document, signatures
  and names of readers go. Of the others the id and the time stay.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sopwith_controller.domain.entities import SopRevision, SopState
from sopwith_controller.domain.practice_entities import Disposition, Feedback, SopReview, TrainingRecord
from sopwith_controller.domain.rollout_entities import Rollout

GONE = "purged"
"""Stands where a text was that had to be there."""
_OVER = frozenset({SopState.SUPERSEDED, SopState.RETIRED})


@dataclass(frozen=True)
class Practice:
    """What is kept of one SOP."""

    revisions: Sequence[SopRevision]
    training: Sequence[TrainingRecord] = ()
    reviews: Sequence[SopReview] = ()
    feedback: Sequence[Feedback] = ()


def effect_ended(revision: SopRevision, rollouts: Iterable[Rollout]) -> datetime | None:
    """Return when a revision's effect ended; None while it lasts."""
    if revision.state not in _OVER or revision.ended_time is None:
        return None
    last = revision.ended_time
    for rollout in rollouts:
        if (rollout.sop_id, rollout.sop_revision) == (revision.id, revision.revision):
            if rollout.ended_time is None:
                return None
            last = max(last, rollout.ended_time)
    return last


def over(practice: Practice, rollouts: Sequence[Rollout], retention: timedelta, now: datetime) -> Practice:
    """Return what may go, as it is kept now."""
    revisions = [
        one
        for one in practice.revisions
        if (ended := effect_ended(one, rollouts)) is not None and ended + retention <= now
    ]
    numbers = {one.revision for one in revisions}
    return Practice(
        [one for one in revisions if one.document],
        [one for one in practice.training if one.revision in numbers and one.person != GONE],
        [
            one
            for one in practice.reviews
            if one.revision in numbers and one.closed_time is not None and one.note != GONE
        ],
        [
            one
            for one in practice.feedback
            if one.revision in numbers
            and one.text != GONE
            and one.disposition in (Disposition.DONE, Disposition.REJECTED)
        ],
    )


def emptied(gone: Practice) -> Practice:
    """Return the same records with what stays of them."""
    return Practice(
        [replace(one, document=b"", signatures=(), acknowledged_by=()) for one in gone.revisions],
        [replace(one, person=GONE, details={}) for one in gone.training],
        [replace(one, closed_by=GONE, note=GONE, subject=GONE) for one in gone.reviews],
        [
            replace(one, text=GONE, given_by=GONE, disposed_by=GONE, disposition_reason=GONE, rollout="")
            for one in gone.feedback
        ],
    )


def named(gone: Practice) -> list[tuple[str, Any]]:
    """Return each record with the name under which its digest is written down."""
    return [
        *((f"revision {one.id} {one.revision}", one) for one in gone.revisions),
        *((f"training {one.id}", one) for one in gone.training),
        *((f"review {one.id}", one) for one in gone.reviews),
        *((f"feedback {one.id}", one) for one in gone.feedback),
    ]
