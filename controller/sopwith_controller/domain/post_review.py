"""The review after a rollout: drafted by the machine, closed by itself after a day where everything went well.

Decides when a rollout is clean, when its review closes itself, and what the draft says; emergency rollouts are always
reviewed by a person (`emergency`). Rules (SOP, clause 7 of the outline):

- Clean: every computer SUCCEEDED or SKIPPED, no deviation, no incident, never suspended or aborted.
- A clean rollout's review closes itself 24 h after the end; any other waits for a person who writes what was found.
- The draft is made of numbers that the report shows too, and is kept with the review.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sopwith_controller.domain.deviation import Deviation, said
from sopwith_controller.domain.errors import TransitionNotAllowedError
from sopwith_controller.domain.incident_entities import Incident
from sopwith_controller.domain.rollout import ENDED_STATES
from sopwith_controller.domain.rollout_entities import Rollout, RolloutState
from sopwith_controller.domain.rollout_report import Duration, Failure
from sopwith_controller.domain.waves import Counts
from sopwith_formats.units import format_time

CLOSES_AFTER = timedelta(hours=24)
BY_ITSELF = "Sopwith"
"""Who reviewed what closed by itself."""


@dataclass(frozen=True)
class Ended:
    """How a rollout ended."""

    rollout: Rollout
    counts: Counts
    failures: Sequence[Failure]
    durations: Sequence[Duration]
    deviations: Sequence[Deviation]
    incidents: Sequence[Incident]
    planned_end: datetime | None


def waits(rollout: Rollout) -> bool:
    """Tell whether the review of an ended, started rollout is outstanding."""
    return (
        rollout.state in ENDED_STATES
        and rollout.started_time is not None
        and rollout.reviewed_time is None
        and not rollout.emergency
    )


def is_clean(ended: Ended) -> bool:
    """Tell whether nobody has to look at it."""
    return (
        ended.rollout.state is RolloutState.COMPLETED
        and not ended.failures
        and not ended.deviations
        and not ended.incidents
    )


def closes_itself(ended: Ended, now: datetime) -> bool:
    """Tell whether its time has come."""
    end = ended.rollout.ended_time
    return waits(ended.rollout) and is_clean(ended) and end is not None and end + CLOSES_AFTER <= now


def close(ended: Ended, now: datetime) -> Rollout:
    """Return it reviewed by the machine."""
    note = f"clean: {ended.counts.succeeded} succeeded, {ended.counts.skipped} had it already"
    return replace(ended.rollout, reviewed_by=BY_ITSELF, reviewed_time=now, review_note=note)


def review(rollout: Rollout, *, person: str, note: str, now: datetime) -> Rollout:
    """Return it reviewed by a person."""
    if not waits(rollout):
        raise TransitionNotAllowedError(
            f"rollout {rollout.name} waits for no review"
            + (f"; {rollout.reviewed_by} reviewed it" if rollout.reviewed_by else ""),
            remedy="sopwith rollout list",
        )
    return replace(rollout, reviewed_by=person, reviewed_time=now, review_note=said(note, "a note", "--note"))


def draft(ended: Ended) -> dict[str, Any]:
    """Return what the machine can say of it: planned against actual, failures by symptom, times, deviations."""
    rollout = ended.rollout
    return {
        "planned_end": _text(ended.planned_end),
        "ended": _text(rollout.ended_time),
        "failures": [
            {"outcome": one.outcome, "symptom": one.symptom, "computers": len(one.computers)} for one in ended.failures
        ],
        "median_seconds": {one.what: round(one.median_seconds) for one in ended.durations},
        "deviations": [f"{one.id} {one.gate}" for one in ended.deviations],
        "incidents": [f"{one.id} {one.symptom}" for one in ended.incidents],
    }


def _text(time: datetime | None) -> str:
    return format_time(time) if time is not None else ""
