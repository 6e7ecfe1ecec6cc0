"""What the session needs from the agent, and all of it together (`SessionPorts`).

Methods are synchronous and may touch the disk; the session calls them in threads.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sopwith_agent.domain.messages import (
    Body,
    CheckpointTold,
    OutboxMessage,
    SopInForce,
    SourceNamed,
    TrustChanged,
    Welcome,
)
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.link_port import Link
from sopwith_agent.steps.orders import Orders
from sopwith_agent.steps.ports import Clock, Journal
from sopwith_agent.steps.readiness_meter import Meter
from sopwith_agent.steps.worker import Worker
from sopwith_formats.agent_policy import AgentPolicy


class SetClock(Clock, Protocol):
    """A clock that can be told the controller's time."""

    def set_fleet_time(self, controller_time: datetime) -> None:
        """Take the controller's time from a Welcome."""
        ...


class Deliveries(Protocol):
    """The outbox, as whoever delivers sees it."""

    changed: Callable[[], None]
    passing: Callable[[OutboxMessage], None]

    @property
    def first_unacknowledged(self) -> int:
        """Return the lowest sequence that is still held; 0 when none is."""
        ...

    @property
    def newest_receipt(self) -> tuple[int, str]:
        """Return number and digest of the newest signed record; 0 and nothing before the first."""
        ...

    def lacking(self, newest: tuple[int, str] | None) -> list[int]:
        """Return the numbers of acknowledged records behind what the controller says it has, in order."""
        ...

    def again(self, number: int) -> OutboxMessage | None:
        """Return an acknowledged record, to be sent once more outside the sequence; None when it is gone."""
        ...

    def put(self, kind: str, body: Body) -> int:
        """Keep a message until it is acknowledged and return its sequence."""
        ...

    def after(self, sequence: int) -> list[OutboxMessage]:
        """Return the next unacknowledged messages behind a sequence, in order."""
        ...

    def acknowledge(self, sequence: int) -> None:
        """Let go of everything up to a sequence."""
        ...


class Dates(Protocol):
    """A certificate's dates."""

    @property
    def not_after(self) -> datetime:
        """When it runs out."""
        ...

    @property
    def renewal(self) -> datetime:
        """When it should be renewed."""
        ...


class Certificates(Protocol):
    """The computer's certificate and the keys that it believes."""

    def dates(self) -> Dates:
        """Return the certificate's dates."""
        ...

    def trust_changed(self, trust: TrustChanged) -> None:
        """Take up authorities and keys; what cannot be read changes nothing."""
        ...


class Inventory(Protocol):
    """What the computer knows of itself."""

    def take(self) -> tuple[dict[str, Any], dict[str, str]]:
        """Return its facts, and its installed releases as read back: name to version."""
        ...


class SourceDesk(Protocol):
    """Where a source is designated."""

    def root_sha256(self) -> str:
        """Return the digest of the trusted root, empty before designation."""
        ...

    def designate(self, named: SourceNamed) -> Body:
        """Accept a source, once; return what `SourceDesignated` says of it."""
        ...


class FleetMemory(Protocol):
    """What the controller told, kept for a start without it."""

    checkpoint: str
    """The newest update-log checkpoint, empty before the first."""

    @property
    def policy(self) -> AgentPolicy:
        """The effective SOP's word to computers; the shipped one's before any."""
        ...

    def welcomed(self, welcome: Welcome) -> None:
        """Keep the computer's name and the SOP."""
        ...

    def sop_changed(self, sop: SopInForce) -> None:
        """Keep the SOP."""
        ...

    def labels_told(self, labels: dict[str, str]) -> None:
        """Keep what people say about this computer."""
        ...

    def checkpoint_told(self, told: CheckpointTold) -> None:
        """Keep a newer checkpoint that holds all of the older log; refuse any other."""
        ...


class StatusBoard(Protocol):
    """Where `sopwith-agent status` reads."""

    connection_error: str

    def publish(self, *, connected: bool, address: str, unfinished: Sequence[Record]) -> None:
        """Write what is so now."""
        ...


@dataclass(frozen=True)
class SessionPorts:
    """Everything that the session talks to."""

    link: Link
    worker: Worker
    outbox: Deliveries
    journal: Journal
    orders: Orders
    meter: Meter
    clock: SetClock
    certificates: Certificates
    inventory: Inventory
    source: SourceDesk
    memory: FleetMemory
    board: StatusBoard
    version: str
    receipt_key_pem: bytes
    beside: tuple[Callable[[], Awaitable[None]], ...] = ()
    """What else runs for as long as the agent does: the door for people, the watch over sleep."""
