"""When a SOP is looked at again: the clock, what else asks for it, and what follows when nobody does.

Decides due times, which triggers are new and what an overdue review leads to; looking at the fleet and telling people
is the service's. Rules (SOP, clause 7 of the outline):

- The clock runs from the effective time, and anew from every closed review; it asks `warn_before` ahead.
- Other triggers are due after `warn_before`; one open review per trigger gathers what else comes.
- "Reviewed, no change" is a record and starts the clock anew. An overdue review warns and climbs; it refuses a start
  only where the SOP says `hard_expiry: true`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sopwith_controller.domain.deviation import said
from sopwith_controller.domain.entities import Computer, ComputerState, SopRevision
from sopwith_controller.domain.errors import InvalidInputError, Refusal, TransitionNotAllowedError
from sopwith_controller.domain.gate_decisions import GateCheck
from sopwith_controller.domain.practice_entities import ReviewOutcome, ReviewTrigger, SopReview
from sopwith_formats.sop_policy import SopPolicy
from sopwith_formats.units import format_time

WORDS = {
    ReviewTrigger.NEW_PLATFORM: "new_platform",
    ReviewTrigger.NEW_SOURCE: "new_source",
    ReviewTrigger.SEVERITY_1: "severity_1_incident",
    ReviewTrigger.KPI_MISSED: "kpi_missed",
    ReviewTrigger.RECURRING_DEVIATION: "recurring_deviation",
}
"""Trigger to its word in `review.on`; the clock always runs."""
SILENT_AT_FIRST = frozenset({ReviewTrigger.NEW_PLATFORM, ReviewTrigger.NEW_SOURCE})
"""What was there at the first look is not new."""


def clock_due(revision: SopRevision, policy: SopPolicy, reviews: Iterable[SopReview]) -> datetime | None:
    """Return when the clock's next review is due; None before the revision took effect."""
    if revision.effective_time is None:
        return None
    closed = [one.closed_time for one in reviews if one.closed_time is not None]
    return max([revision.effective_time, *closed]) + timedelta(seconds=policy.review.every_seconds)


def open_reviews(reviews: Iterable[SopReview], sop_id: str) -> tuple[SopReview, ...]:
    """Return a SOP's open reviews, the one that is due first in front."""
    found = [one for one in reviews if one.sop_id == sop_id and one.closed_time is None]
    return tuple(sorted(found, key=lambda one: one.due_time))


def ask(
    review_id: str, revision: SopRevision, trigger: ReviewTrigger, subject: str, *, policy: SopPolicy, now: datetime
) -> SopReview:
    """Return a new open review; the clock's `subject` is its due time."""
    ahead = timedelta(seconds=policy.review.warn_before_seconds)
    return SopReview(review_id, revision.id, revision.revision, trigger, subject, now, now + ahead)


def clock_review(
    review_id: str, revision: SopRevision, policy: SopPolicy, reviews: Sequence[SopReview], now: datetime
) -> SopReview | None:
    """Return the clock's review where it is time to ask for it and nobody did yet."""
    due = clock_due(revision, policy, [one for one in reviews if one.sop_id == revision.id])
    asked = any(one.trigger is ReviewTrigger.CLOCK for one in open_reviews(reviews, revision.id))
    if due is None or asked or now < due - timedelta(seconds=policy.review.warn_before_seconds):
        return None
    subject = f"last reviewed {format_time(due - timedelta(seconds=policy.review.every_seconds))}"
    return SopReview(review_id, revision.id, revision.revision, ReviewTrigger.CLOCK, subject, now, due)


def close(review: SopReview, *, person: str, outcome: str, note: str, now: datetime) -> SopReview:
    """Return it closed."""
    if review.closed_time is not None:
        raise TransitionNotAllowedError(f"{review.closed_by} closed this review", remedy="sopwith sop review ID")
    if outcome not in tuple(ReviewOutcome):
        raise InvalidInputError("a review ends with no change or with a revision", remedy="--no-change or --revise")
    return replace(review, closed_by=person, closed_time=now, outcome=outcome, note=said(note, "a note", "--note"))


def overdue(reviews: Iterable[SopReview], sop_id: str, now: datetime) -> tuple[SopReview, ...]:
    """Return the open reviews whose time is up."""
    return tuple(one for one in open_reviews(reviews, sop_id) if one.due_time <= now)


def expiry_check(
    revision: SopRevision, policy: SopPolicy, reviews: Sequence[SopReview], now: datetime
) -> tuple[GateCheck, str]:
    """Return what `sop_effective` says of overdue reviews at a start, and the warning of one that does not block."""
    late = overdue(reviews, revision.id, now)
    inputs = {"hard_expiry": policy.review.hard_expiry, "overdue_reviews": [one.id for one in late]}
    if not late:
        return GateCheck("sop_effective", "VII", inputs), ""
    reason = f"the review of {revision.id} was due {format_time(late[0].due_time)}"
    remedy = f"sopwith sop review {revision.id} --no-change --note TEXT, by the owner or the IT manager"
    if policy.review.hard_expiry:
        refusal = Refusal("sop_effective", "VII", f"{reason}, and the SOP ends with it (hard_expiry)", remedy)
        return GateCheck("sop_effective", "VII", inputs, (refusal,)), ""
    return GateCheck("sop_effective", "VII", inputs), f"{reason}: {remedy}"


def platforms(computers: Iterable[Computer]) -> tuple[str, ...]:
    """Return the platforms of the computers in service, each once."""
    found = {
        " ".join(str(computer.facts[key]) for key in ("os", "distribution", "arch") if computer.facts.get(key))
        for computer in computers
        if computer.state is ComputerState.ACCEPTED
    }
    return tuple(sorted(found - {""}))
