"""What agent and controller say to each other on the stream, freed from the wire.

This module decides nothing; the wire's own comments tell units and what empty means. The link translates, the session
answers.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sopwith_agent.domain.readiness import Readiness

Body = dict[str, Any]


@dataclass(frozen=True)
class Hello:
    """The first message of every stream."""

    version: str
    process_nonce: str
    boot_id: str
    facts: dict[str, Any]
    receipt_key_pem: bytes
    journal: tuple[tuple[str, str], ...]
    """Unfinished assignments: id and state."""
    installed: dict[str, str]
    first_unacknowledged: int
    source_root_sha256: str
    checkpoint: str
    sent_time: datetime
    newest_receipt: tuple[int, str] = (0, "")
    """Number and digest of its newest signed record; 0 before the first."""


@dataclass(frozen=True)
class Heartbeat:
    """A sign of life."""

    sent_time: datetime


@dataclass(frozen=True)
class GoingToSleep:
    """The computer will be silent."""


@dataclass(frozen=True)
class ReadinessMeasured:
    """Readiness; `request_id` is empty when nobody asked."""

    readiness: Readiness
    request_id: str = ""


@dataclass(frozen=True)
class FactsMeasured:
    """All facts and installed releases, after a change."""

    facts: dict[str, Any]
    installed: dict[str, str]


@dataclass(frozen=True)
class OutboxMessage:
    """One message of the outbox; sequence 0 may be lost.

    `kind` is progress, receipt, receipt_again, source_designated, packages_observed, deferral, feedback or empty.
    """

    sequence: int
    kind: str
    body: Body


@dataclass(frozen=True)
class SopHeld:
    """The receipt for a SOP revision: this computer holds it."""

    id: str
    revision: int
    policy_sha256: str


Outgoing = Hello | Heartbeat | SopHeld | GoingToSleep | ReadinessMeasured | FactsMeasured | OutboxMessage


@dataclass(frozen=True)
class SopInForce:
    """The effective SOP."""

    id: str
    revision: int
    policy_sha256: str
    agent_policy_json: str


@dataclass(frozen=True)
class Welcome:
    """The answer to Hello."""

    computer_id: str
    name: str
    heartbeat_seconds: int
    acknowledged_sequence: int
    sop: SopInForce | None
    controller_time: datetime | None
    version: str
    frozen: bool
    newest_receipt: tuple[int, str] | None = None
    """Number and digest of the newest signed record that the controller has; None from one that does not say."""
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class WarrantOffered:
    """An instruction, not yet believed."""

    payload: bytes
    signature: bytes


@dataclass(frozen=True)
class LeaseRenewed:
    """Until when an assignment may start; None holds it."""

    assignment_id: str
    start_until_time: datetime | None
    reason: str = ""
    despite_freeze: bool = False
    """A deviation lets it start although a freeze is in force."""


@dataclass(frozen=True)
class RebootLeased:
    """Until when a computer may reboot for an assignment; None: not now."""

    assignment_id: str
    reboot_until_time: datetime | None
    reason: str = ""
    despite_freeze: bool = False


@dataclass(frozen=True)
class Withdrawn:
    """An assignment is taken back."""

    assignment_id: str
    reason: str = ""


@dataclass(frozen=True)
class FreezeSet:
    """Installs are forbidden, or allowed again."""

    active: bool
    reason: str = ""


@dataclass(frozen=True)
class MeasureAsked:
    """Fresh readiness is wanted."""

    request_id: str


@dataclass(frozen=True)
class Acknowledged:
    """Everything up to a sequence is durable."""

    sequence: int


@dataclass(frozen=True)
class SourceNamed:
    """The source, for an agent that has none."""

    root_json: bytes
    metadata_url: str
    files_url: str


@dataclass(frozen=True)
class TrustChanged:
    """Authorities and keys."""

    trust_bundle_pem: bytes
    warrant_keys_pem: bytes
    log_key: str


@dataclass(frozen=True)
class CheckpointTold:
    """A newer checkpoint of the update log."""

    checkpoint: str
    consistency_proof: tuple[bytes, ...] = field(default_factory=tuple)
    recovery: "RecoveryShown | None" = None


@dataclass(frozen=True)
class RecoveryShown:
    """The entry by which the update log went on from a backup, and the proof that it stands in it."""

    index: int
    entry_json: str
    inclusion_proof: tuple[bytes, ...]


@dataclass(frozen=True)
class LabelsTold:
    """What people say about this computer now."""

    labels: dict[str, str]


@dataclass(frozen=True)
class Draining:
    """The controller goes away for a moment."""

    reconnect_after_seconds: int


@dataclass(frozen=True)
class Unknown:
    """A message of a newer controller; it is passed over."""


Incoming = (
    Welcome
    | WarrantOffered
    | LeaseRenewed
    | RebootLeased
    | Withdrawn
    | FreezeSet
    | MeasureAsked
    | Acknowledged
    | SopInForce
    | SourceNamed
    | TrustChanged
    | CheckpointTold
    | LabelsTold
    | Draining
    | Unknown
)
