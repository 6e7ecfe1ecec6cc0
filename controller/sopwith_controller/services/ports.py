"""What use cases need from outside, each port small and named for its role.

A use case opens one `UnitOfWork`, loads, decides by the domain, records, and commits once. All writers of one
controller are serialised by the unit of work, so that what was loaded inside it is still true when it commits; the
update-log entries appended inside it become durable in the same transaction as the change they record, or not at all.
Messages to computers and people go out after the commit, from what was committed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from sopwith_controller.domain.entities import (
    Certificate,
    Settings,
    SopRevision,
)
from sopwith_controller.services.lasting_repositories import (
    Baselines,
    Deviations,
    Receipts,
    Recoveries,
    Repetitions,
)
from sopwith_controller.services.practice_repositories import Practice
from sopwith_controller.services.repositories import (
    AgentMessages,
    Assignments,
    Certificates,
    Computers,
    Freezes,
    Incidents,
    Measurements,
    Notifications,
    People,
    Releases,
    Requests,
    Rollouts,
    Sops,
    Tokens,
)
from sopwith_controller.services.sop_life_repositories import (
    SigningLinks,
    SopAnnouncements,
    SopComments,
    SopReceipts,
)
from sopwith_controller.services.update_log_ports import UpdateLog
from sopwith_formats.warrant import Warrant

if TYPE_CHECKING:
    from sopwith_controller.domain.kpi import Objective
    from sopwith_formats.sop_policy import SopPolicy


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present time, UTC."""
        ...


class SteadyClock(Protocol):
    """Tells how time passes; nobody can set it."""

    def seconds(self) -> float:
        """Return seconds since some moment before; they count on while the machine sleeps, where it can tell."""
        ...


class Ids(Protocol):
    """Makes new names for things."""

    def new(self, prefix: str) -> str:
        """Return a new id such as r-7k2m9qx4; unguessable, short enough to type."""
        ...

    def secret(self) -> str:
        """Return a new secret of 256 bits, URL-safe text."""
        ...


class UnitOfWork(Protocol):
    """One transaction and the repositories inside it; after the commit nothing more goes through it."""

    @property
    def computers(self) -> Computers: ...
    @property
    def certificates(self) -> Certificates: ...
    @property
    def people(self) -> People: ...
    @property
    def tokens(self) -> Tokens: ...
    @property
    def releases(self) -> Releases: ...
    @property
    def sops(self) -> Sops: ...
    @property
    def sop_comments(self) -> SopComments: ...
    @property
    def sop_announcements(self) -> SopAnnouncements: ...
    @property
    def signing_links(self) -> SigningLinks: ...
    @property
    def sop_receipts(self) -> SopReceipts: ...
    @property
    def rollouts(self) -> Rollouts: ...
    @property
    def assignments(self) -> Assignments: ...
    @property
    def measurements(self) -> Measurements: ...
    @property
    def baselines(self) -> Baselines: ...
    @property
    def repetitions(self) -> Repetitions: ...
    @property
    def freezes(self) -> Freezes: ...
    @property
    def deviations(self) -> Deviations: ...
    @property
    def practice(self) -> Practice: ...
    @property
    def incidents(self) -> Incidents: ...
    @property
    def notifications(self) -> Notifications: ...
    @property
    def update_log(self) -> UpdateLog: ...
    @property
    def agent_messages(self) -> AgentMessages: ...
    @property
    def receipts(self) -> Receipts: ...
    @property
    def recoveries(self) -> Recoveries: ...
    @property
    def requests(self) -> Requests: ...

    async def settings(self) -> Settings:
        """Return the controller's identity card; raise NotFoundError before `init`."""
        ...

    async def put_settings(self, settings: Settings) -> None:
        """Write the identity card."""
        ...

    async def commit(self) -> None:
        """Make everything durable; leaving the block without it undoes everything."""
        ...


class Database(Protocol):
    """Where units of work come from."""

    def write(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open a unit of work that may write; one at a time."""
        ...

    def read(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open a unit of work that only reads, from one consistent state."""
        ...


@dataclass(frozen=True)
class Presence:
    """What the live streams tell of one computer."""

    connected: bool
    asleep: bool
    last_seen_time: datetime | None
    """Last contact of any process; None when never."""


class AgentGateway(Protocol):
    """The live streams to computers. A computer without one learns at its next Hello."""

    def presence(self, computer_id: str) -> Presence | None:
        """Return what is known since this controller started; None when nothing."""
        ...

    def started_time(self) -> datetime:
        """Return when this controller began to listen; nobody counts as lost for a silence before it."""
        ...

    def connected_ids(self) -> frozenset[str]:
        """Return the computers with a live stream."""
        ...

    async def send_warrant(self, computer_id: str, warrant: Warrant) -> None:
        """Sign and send."""
        ...

    async def renew_lease(
        self,
        computer_id: str,
        assignment_id: str,
        start_until: datetime | None,
        reason: str = "",
        *,
        despite_freeze: str = "",
    ) -> None:
        """Say until when it may start, None says hold; and the deviation by which no freeze holds it, empty: none."""
        ...

    async def lease_reboot(
        self,
        computer_id: str,
        assignment_id: str,
        reboot_until: datetime | None,
        reason: str = "",
        *,
        despite_freeze: str = "",
    ) -> None:
        """Say until when it may reboot, None says: not now; and the deviation by which no freeze holds it."""
        ...

    async def withdraw(self, computer_id: str, assignment_id: str, reason: str) -> None:
        """Take an assignment back."""
        ...

    async def freeze(self, *, active: bool, reason: str) -> None:
        """Tell every connected computer."""
        ...

    async def measure(self, computer_ids: Sequence[str], wait: timedelta) -> frozenset[str]:
        """Ask for fresh readiness; return who answered (and was recorded) within the wait."""
        ...

    async def announce_sop(self, revision: SopRevision, listeners: frozenset[str] | None = None) -> None:
        """Tell connected computers which revision is effective: these ids, None: everybody."""
        ...

    async def designate_source(self) -> None:
        """Tell every connected computer that has no source."""
        ...

    async def tell_labels(self, computer_id: str, labels: Mapping[str, str]) -> None:
        """Tell a connected computer what people say about it now."""
        ...

    async def redial_all(self, reason: str) -> None:
        """Let every connected computer dial again, so that it learns anew what a Welcome tells: the time, above all."""
        ...

    async def cut(self, subject_id: str, reason: str) -> None:
        """Cut the live streams of a computer or person at once."""
        ...


@dataclass(frozen=True)
class SourceRole:
    """One TUF role in force: root, targets, snapshot, timestamp or bins."""

    name: str
    version: int
    expires_time: datetime
    key_ids: tuple[str, ...]


@dataclass(frozen=True)
class SourceView:
    """The source as it is served now. `metadata` maps served file names to exact bytes."""

    root_sha256: str
    metadata: dict[str, bytes]
    roles: tuple[SourceRole, ...]
    targets: int


class SourceStore(Protocol):
    """The controller's half of the signed source."""

    async def view(self) -> SourceView | None:
        """Return what is served, None before designation."""
        ...

    async def designate(self, root_json: bytes, metadata: dict[str, bytes], online_key_pem: bytes) -> SourceView:
        """Verify and install the first metadata; raise ConflictError when a source is designated already."""
        ...

    async def store_target(self, target: str, length: int, sha256: str, pieces: AsyncIterator[bytes]) -> bool:
        """Store one uploaded file under its digest; return False when it lay there already."""
        ...

    async def commit(self, metadata: dict[str, bytes]) -> SourceView:
        """Verify new metadata against the trusted root, sign snapshot and timestamp, swap; raise TrustError."""
        ...

    async def read_target(self, target: str) -> bytes | None:
        """Return a small signed target, checked against the metadata; None when not signed."""
        ...

    async def signed_targets(self, prefix: str) -> dict[str, tuple[int, str]]:
        """Return signed targets whose name begins so: name to (length, sha256)."""
        ...

    async def renew(self) -> None:
        """Sign a fresh timestamp, and snapshot when it is due."""
        ...


class SopReader(Protocol):
    """Reads SOP documents by the strict loader."""

    def read(self, document: bytes) -> "SopReading":
        """Return what the document says; raise InvalidInputError with every fault, line and mend."""
        ...


@dataclass(frozen=True)
class SopReading:
    """One linted SOP document."""

    id: str
    revision: int
    title: str
    document_sha256: str
    policy_sha256: str
    policy: "SopPolicy"
    policy_json: str
    change_description: str
    change_kind: str
    """editorial or material, as the author wrote it; the policy digest may raise it."""
    revised_by: str
    faults: tuple[str, ...]
    """Lint faults that prevent review, one line each; empty when complete."""
    objectives: "tuple[Objective, ...]" = ()


class Notifier(Protocol):
    """One channel to people."""

    channel: str
    """smtp, file, webhook or command."""

    async def deliver(self, target: str, subject: str, body: str) -> None:
        """Hand the message over; raise UnavailableError when the channel did not take it."""
        ...


class Issuer(Protocol):
    """The authority that issues certificates."""

    def issue(
        self, certificate_request: bytes, *, subject_kind: str, subject_id: str, now: datetime
    ) -> tuple[Certificate, bytes]:
        """Return the record and the PEM of a certificate for a PKCS#10 request (DER); raise InvalidInputError."""
        ...


class WarrantSigner(Protocol):
    """Holds the key that signs warrants."""

    @property
    def key_id(self) -> str:
        """Fingerprint of the key."""
        ...

    def sign(self, payload: bytes) -> bytes:
        """Return the signature over the warrant's prefix and payload."""
        ...


class Timers(Protocol):
    """Runs work later; a later timer of the same name replaces the earlier one."""

    def at(self, name: str, time: datetime, work: Callable[[], Awaitable[None]]) -> None:
        """Run it once, at a time or at once when that has passed."""
        ...

    def every(self, name: str, interval: timedelta, work: Callable[[], Awaitable[None]]) -> None:
        """Run it again and again, never twice at once."""
        ...
