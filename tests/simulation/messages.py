"""What goes through a stream, as plain records: the wire's messages without the wire."""

from dataclasses import dataclass
from datetime import datetime

from sopwith_controller.services.agent_reports import Arrival


@dataclass(frozen=True)
class Hello:
    """The first message of a stream."""

    arrival: Arrival


@dataclass(frozen=True)
class GoingToSleep:
    """The computer announces its silence."""


@dataclass(frozen=True)
class Welcome:
    """The controller's answer to a Hello."""

    acknowledged: int
    frozen: bool
    controller_time: datetime


@dataclass(frozen=True)
class WarrantSent:
    """A warrant, as its bytes."""

    payload: bytes


@dataclass(frozen=True)
class LeaseRenewal:
    """Until when an assignment may start; None: hold."""

    assignment_id: str
    start_until: datetime | None
    reason: str
    despite_freeze: str = ""
    """Id of the deviation by which no freeze holds it; empty: none."""


@dataclass(frozen=True)
class RebootLease:
    """Until when a computer may reboot for an assignment; None: not now."""

    assignment_id: str
    reboot_until: datetime | None
    reason: str


@dataclass(frozen=True)
class Withdraw:
    """An assignment is taken back."""

    assignment_id: str
    reason: str


@dataclass(frozen=True)
class FreezeOrder:
    """No install may start, or may again."""

    active: bool
    reason: str


@dataclass(frozen=True)
class MeasureRequest:
    """Measure readiness now."""

    request_id: str


@dataclass(frozen=True)
class Ack:
    """Everything up to this sequence is durable."""

    sequence: int
