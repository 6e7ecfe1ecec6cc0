"""What the controller remembers of rollouts: frozen records, changed only by making a new one.

Which change is allowed is decided by `rollout` and `assignment`, never here. Times are UTC, digests 64 hexadecimal
digits, empty text means absent.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sopwith_controller.domain.entities import Reason
from sopwith_formats.vocabulary import AssignmentState


class RolloutState(StrEnum):
    """Where a rollout stands."""

    DRAFT = "DRAFT"
    IN_REVIEW = "IN_REVIEW"
    APPROVED = "APPROVED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    ABORTING = "ABORTING"
    ABORTED = "ABORTED"


@dataclass(frozen=True)
class Approval:
    """One person's approval of a plan."""

    person: str
    plan_sha256: str
    time: datetime
    envelope_json: str = ""
    certificate_pem: str = ""
    """The approver's certificate as it was shown at the approval; computers prove the envelope by it."""


@dataclass(frozen=True)
class WaveProgress:
    """What happened to one wave so far, by wave index."""

    opened_time: datetime | None = None
    ended_time: datetime | None = None
    """When its last assignment ended; soak counts from here."""
    passed_time: datetime | None = None


@dataclass(frozen=True)
class Rollout:
    """Bringing one release to one audience under one SOP revision."""

    id: str
    name: str
    state: RolloutState
    release: str
    spec_json: str
    """The rollout file as canonical JSON."""
    sop_id: str
    sop_revision: int
    policy_sha256: str
    plan_json: str
    """Canonical JSON of the plan; `domain.planner` reads and writes it."""
    plan_sha256: str
    change_class: str
    requester: str
    created_time: datetime
    audience: str = ""
    state_reason: str = ""
    operator: str = ""
    start_reason: str = ""
    ticket: str = ""
    emergency: bool = False
    approvals: tuple[Approval, ...] = ()
    started_time: datetime | None = None
    ended_time: datetime | None = None
    deadline_time: datetime | None = None
    waves: tuple[WaveProgress, ...] = ()
    counted_from: datetime | None = None
    """Set by resume: assignments that ended before it are accepted and not judged again."""
    generation: int = 1
    origin: str = ""
    """CATCH_UP or PATCH_DAY for one that the controller drafted; empty: a person did."""
    origin_id: str = ""
    """Of a catch-up the rollout whose baseline it brings, of a patch day the first rollout that repeats."""
    reviewed_by: str = ""
    """Who looked at an emergency rollout afterwards; empty: nobody yet, or it is none."""
    reviewed_time: datetime | None = None
    review_note: str = ""


CATCH_UP = "catch_up"
PATCH_DAY = "patch_day"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One computer's share of a rollout, as the controller mirrors it."""

    id: str
    rollout_id: str
    computer_id: str
    computer: str
    """Name of the computer."""
    position: int
    """Place in plan order, from 0."""
    wave: int
    """Index of the wave; the tail is the index after the last one."""
    state: AssignmentState = AssignmentState.PENDING
    outcome: str = ""
    symptom: str = ""
    detail: str = ""
    percent: int = 0
    version_before: str = ""
    version_after: str = ""
    attempts: int = 0
    generation: int = 1
    reasons: tuple[Reason, ...] = ()
    next_try_time: datetime | None = None
    offered_time: datetime | None = None
    """When its warrant went out, or leave to start came to one that had the files and none."""
    start_until_time: datetime | None = None
    """Lease: latest start of the install that was granted so far."""
    install_started_time: datetime | None = None
    ended_time: datetime | None = None
    reported_time: datetime | None = None
    waiting: str = ""
    """Last reason of the planner why it was not offered; becomes the reason of NOT_STARTED."""
    warrant_sha256: str = ""
    receipt_sha256: str = ""
    replaced: bool = False
    """A retry put an assignment of a higher generation in its place; it counts no more."""
    stalled_time: datetime | None = None
    """Since when its computer, in contact, tells nothing for longer than its state allows; None where it goes on."""
    lost_time: datetime | None = None
    """Since when its computer is silent for three heartbeats while it was being changed; None when it is not."""
    reboot_asked_time: datetime | None = None
    """Since when it waits, or waited, for its reboot; None: it never did."""
    reboot_wanted: bool = False
    """It would reboot now, had it leave."""
    reboot_forced: bool = False
    """Its computer may not be waited for any more: no window holds its reboot."""
    reboot_until_time: datetime | None = None
    """Leave to reboot: latest start that was granted so far; it takes a place until it is taken back."""
    deferrals: int = 0
    """How often people at the computer put it off."""
    deferred_until_time: datetime | None = None
    """Until when they put it off; None where they did not, or let it begin."""

    @property
    def lost(self) -> bool:
        """Tell whether its computer fell silent while it was being changed."""
        return self.lost_time is not None

    @property
    def ended(self) -> bool:
        """Tell whether it has an outcome."""
        return self.state is AssignmentState.ENDED


@dataclass(frozen=True, slots=True)
class WaveShare:
    """How many assignments of one wave stand alike."""

    wave: int
    state: AssignmentState
    outcome: str
    number: int
