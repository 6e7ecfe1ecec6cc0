"""What the controller remembers of the SOP's practice: known computers, training, reviews of the SOP, feedback.

Frozen records, like all others; which change is allowed is decided by `coverage`, `training`, `sop_review` and
`feedback`. Times are UTC, empty text means absent. A record whose retention has ended keeps its id and its time, and
loses what it says (`retention`).
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True)
class KnownComputer:
    """A computer that the company knows of, from its own list, whether it is enrolled or not."""

    name: str
    note: str
    listed: bool
    """It stands in the newest list."""
    imported_by: str
    imported_time: datetime
    excused_by: str = ""
    excused_reason: str = ""
    excused_until: datetime | None = None


class TrainingKind(StrEnum):
    """How somebody was trained."""

    ACKNOWLEDGED = "ACKNOWLEDGED"
    DRILL = "DRILL"


@dataclass(frozen=True)
class TrainingRecord:
    """One person's training on one revision."""

    id: str
    kind: TrainingKind
    person: str
    sop_id: str
    revision: int
    time: datetime
    since_revision: int = 0
    """The revision whose difference was acknowledged; 0: there was none before."""
    details: dict[str, str] = field(default_factory=dict)
    """Of a drill: each task and how it was answered."""


class ReviewTrigger(StrEnum):
    """Why a SOP is looked at again."""

    CLOCK = "CLOCK"
    NEW_PLATFORM = "NEW_PLATFORM"
    NEW_SOURCE = "NEW_SOURCE"
    SEVERITY_1 = "SEVERITY_1"
    KPI_MISSED = "KPI_MISSED"
    RECURRING_DEVIATION = "RECURRING_DEVIATION"


class ReviewOutcome(StrEnum):
    """What a review of the SOP led to."""

    NO_CHANGE = "NO_CHANGE"
    REVISE = "REVISE"


@dataclass(frozen=True)
class SopReview:
    """One occasion to look at a SOP again; open until somebody did."""

    id: str
    sop_id: str
    revision: int
    trigger: ReviewTrigger
    subject: str
    """What it is about: a platform, an incident, a KPI."""
    opened_time: datetime
    due_time: datetime
    closed_by: str = ""
    closed_time: datetime | None = None
    outcome: str = ""
    """A `ReviewOutcome`; empty while it is open."""
    note: str = ""


@dataclass(frozen=True)
class ReviewMark:
    """Something that a trigger has seen already, so that it asks for one review and not for one a day."""

    id: str
    """Trigger and subject."""
    time: datetime


class Disposition(StrEnum):
    """What became of a feedback."""

    OPEN = "OPEN"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    DONE = "DONE"


class FeedbackOrigin(StrEnum):
    """Who says it."""

    PERSON = "PERSON"
    COMPUTER = "COMPUTER"
    MACHINE = "MACHINE"


@dataclass(frozen=True)
class Feedback:
    """What somebody says about one clause."""

    id: str
    sop_id: str
    revision: int
    clause: str
    text: str
    origin: FeedbackOrigin
    given_by: str
    """Name of a person or a computer; empty: the controller proposes it."""
    rollout: str
    """Id of the rollout that it is about; empty: none."""
    time: datetime
    disposition: Disposition = Disposition.OPEN
    disposed_by: str = ""
    disposed_time: datetime | None = None
    disposition_reason: str = ""
