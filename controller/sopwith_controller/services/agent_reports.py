"""What computers report, freed from the wire: one frozen record per kind of message.

This module decides nothing. A report with a sequence above 0 is reliable: the computer keeps it until it is
acknowledged, and it is recorded exactly once; `sha256` is over its content without the sequence, so that a repetition
can be told from a contradiction.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sopwith_controller.domain.assignment import RebootWish
from sopwith_controller.domain.entities import Readiness, Reason
from sopwith_controller.domain.receipt_chain import Place
from sopwith_formats.vocabulary import AssignmentState


@dataclass(frozen=True)
class ProgressReported:
    """An assignment entered a state, or is so far in it."""

    assignment_id: str
    state: AssignmentState
    percent: int = 0
    symptom: str = ""
    detail: str = ""
    attempts: int = 0
    version_before: str = ""
    reasons: tuple[Reason, ...] = ()
    next_try_time: datetime | None = None
    reboot: RebootWish | None = None


@dataclass(frozen=True)
class ReceiptReported:
    """A signed started record or outcome, not yet verified."""

    payload: bytes
    signature: bytes


@dataclass(frozen=True)
class ReadinessReported:
    """Measured readiness; `request_id` is empty when the computer measured by itself."""

    readiness: Readiness
    request_id: str = ""


@dataclass(frozen=True)
class FactsReported:
    """What the computer knows of itself now."""

    facts: dict[str, Any]
    installed: dict[str, str]


@dataclass(frozen=True)
class SourceReported:
    """The computer accepted a designated source, or refused it."""

    root_sha256: str
    accepted: bool
    reason: str = ""


@dataclass(frozen=True)
class DeferralReported:
    """People at the computer put a change off; `until_time` None: they let it begin after all."""

    assignment_id: str
    deferrals: int
    deferrals_max: int
    until_time: datetime | None
    purpose: str


@dataclass(frozen=True)
class FeedbackReported:
    """What a person at the computer has to say."""

    text: str
    given_time: datetime | None
    assignment_id: str = ""


@dataclass(frozen=True)
class SleepReported:
    """The computer goes to sleep; its next Hello ends that."""


@dataclass(frozen=True)
class UnreadableReported:
    """A reliable message that breaks its format; it is recorded as refused, so that the computer can go on."""

    reason: str


Content = (
    ProgressReported
    | ReceiptReported
    | ReadinessReported
    | FactsReported
    | SourceReported
    | DeferralReported
    | FeedbackReported
    | SleepReported
    | UnreadableReported
)

KINDS: dict[type, str] = {
    ProgressReported: "progress",
    ReceiptReported: "receipt",
    ReadinessReported: "readiness",
    FactsReported: "facts",
    SourceReported: "source",
    DeferralReported: "deferral",
    FeedbackReported: "feedback",
    SleepReported: "sleep",
    UnreadableReported: "unreadable",
}


@dataclass(frozen=True)
class Report:
    """One message of one computer."""

    computer_id: str
    sequence: int
    sha256: str
    content: Content


@dataclass(frozen=True)
class JournalEntry:
    """One unfinished assignment in a computer's journal."""

    assignment_id: str
    state: str


@dataclass(frozen=True)
class Arrival:
    """What a computer says when it comes."""

    computer_id: str
    version: str
    process_nonce: str
    boot_id: str
    facts: dict[str, Any] = field(default_factory=dict)
    installed: dict[str, str] = field(default_factory=dict)
    receipt_key_pem: str = ""
    journal: tuple[JournalEntry, ...] = ()
    first_unacknowledged: int = 0
    source_root_sha256: str = ""
    newest_receipt: Place | None = None
    """The newest signed record that it knows of itself; None from an agent that does not say."""
