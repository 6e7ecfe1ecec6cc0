"""Training: who has to know the effective revision, who does, and until when the others have time.

Decides by roster, policy, revision and records; what a start makes of it is the gate `operator_trained`'s (`sop_gates`,
which asks the same). Rules (SOP, clause 4 of the outline):

- Somebody who holds a role of `training.required_for` has to acknowledge; signing counts, and an editorial revision
  carries over what was acknowledged before.
- The grace counts from the effective time; `regulated` gives none, `evaluation` asks nobody.
- What is acknowledged is the difference to the newest revision that the person knew.
- Where the SOP says `drill: required`, a drill on this SOP within the last year belongs to being current.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sopwith_controller.domain.entities import Person, SopRevision
from sopwith_controller.domain.practice_entities import TrainingKind, TrainingRecord
from sopwith_formats.sop_policy import SopPolicy

DRILL_LASTS = timedelta(days=366)


class TrainingState(StrEnum):
    """Where somebody stands."""

    CURRENT = "CURRENT"
    DUE = "DUE"
    OVERDUE = "OVERDUE"
    NOT_REQUIRED = "NOT_REQUIRED"


@dataclass(frozen=True)
class Trainee:
    """One person and where they stand."""

    person: str
    state: TrainingState
    how: str = ""
    """acknowledged, signed or carried over; empty: not yet."""
    time: datetime | None = None
    """When they acknowledged or signed; None where that is not known or was carried over."""
    due_time: datetime | None = None
    since_revision: int = 0
    """The newest revision that they know; 0: none."""
    drill_time: datetime | None = None


def due_time(revision: SopRevision, policy: SopPolicy, profile: str) -> datetime | None:
    """Return until when somebody has time; None before it takes effect."""
    if revision.effective_time is None:
        return None
    grace = timedelta(0) if profile == "regulated" else timedelta(seconds=policy.training.grace_seconds)
    return revision.effective_time + grace


def trainees(
    people: Iterable[Person],
    revision: SopRevision,
    policy: SopPolicy,
    *,
    earlier: Sequence[SopRevision],
    records: Sequence[TrainingRecord],
    profile: str,
    now: datetime,
) -> tuple[Trainee, ...]:
    """Return everybody on the roster who holds a role, those that have to be trained first."""
    due = due_time(revision, policy, profile)
    found = [
        _trainee(one, revision, policy, earlier=earlier, records=records, due=due, profile=profile, now=now)
        for one in people
        if one.state != "REVOKED" and one.roles
    ]
    return tuple(sorted(found, key=lambda one: (one.state is TrainingState.NOT_REQUIRED, one.person)))


def _trainee(
    person: Person,
    revision: SopRevision,
    policy: SopPolicy,
    *,
    earlier: Sequence[SopRevision],
    records: Sequence[TrainingRecord],
    due: datetime | None,
    profile: str,
    now: datetime,
) -> Trainee:
    own = [one for one in records if one.person == person.name]
    how, time = _how(person.name, revision, own)
    drill = max((one.time for one in own if _is_drill(one)), default=None)
    needed = bool(set(person.roles) & set(policy.training.required_for)) and profile != "evaluation"
    current = bool(how) and not _lacks_drill(policy, drill, now)
    state = TrainingState.CURRENT
    if not current and not needed:
        state = TrainingState.NOT_REQUIRED
    elif not current:
        state = TrainingState.OVERDUE if due is not None and due <= now else TrainingState.DUE
    return Trainee(
        person.name,
        state,
        how,
        time,
        due_time=due if state in (TrainingState.DUE, TrainingState.OVERDUE) else None,
        since_revision=known_revision(person.name, [*earlier, revision]),
        drill_time=drill,
    )


def known_revision(person: str, revisions: Sequence[SopRevision]) -> int:
    """Return the newest of these revisions that somebody acknowledged or signed; 0: none."""
    return max((one.revision for one in revisions if person in one.acknowledged_by), default=0)


def _how(person: str, revision: SopRevision, own: Sequence[TrainingRecord]) -> tuple[str, datetime | None]:
    if person not in revision.acknowledged_by:
        return "", None
    for record in own:
        if record.kind is TrainingKind.ACKNOWLEDGED and record.revision == revision.revision:
            return "acknowledged", record.time
    for signature in revision.signatures:
        if signature.person == person and not signature.voided:
            return "signed", signature.signed_time
    return "carried over", None


def _is_drill(record: TrainingRecord) -> bool:
    """Tell whether the person did anything of it themselves; one that only was shown trains nobody."""
    done = not record.details or any(not how.startswith("shown") for how in record.details.values())
    return record.kind is TrainingKind.DRILL and done


def _lacks_drill(policy: SopPolicy, drill: datetime | None, now: datetime) -> bool:
    return policy.training.drill == "required" and (drill is None or now - drill > DRILL_LASTS)


def currency(found: Sequence[Trainee]) -> tuple[int, int]:
    """Return how many of those that have to be trained are current, and how many they are."""
    needed = [one for one in found if one.state is not TrainingState.NOT_REQUIRED]
    return sum(one.state is TrainingState.CURRENT for one in needed), len(needed)
