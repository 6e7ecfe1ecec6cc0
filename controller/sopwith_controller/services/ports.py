"""What use cases need from outside, each port small and named for its role.

A use case opens one `UnitOfWork`, loads, decides by the domain, records, and commits once. All writers of one
controller are serialised by the unit of work, so that what was loaded inside it is still true when it commits; the
update-log entries appended inside it become durable in the same transaction as the change they record, or not at all.
Messages to computers and people go out after the commit, from what was committed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from sopwith_controller.domain.entities import (
    Assignment,
    Certificate,
    Computer,
    Freeze,
    Incident,
    LogDraft,
    Notification,
    Person,
    Release,
    Rollout,
    Settings,
    SopRevision,
    Token,
)
from sopwith_formats.log_entry import LogRow
from sopwith_formats.merkle import TreeNode
from sopwith_formats.warrant import Warrant

if TYPE_CHECKING:
    from sopwith_formats.sop_policy import SopPolicy


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present time, UTC."""
        ...


class Ids(Protocol):
    """Makes new names for things."""

    def new(self, prefix: str) -> str:
        """Return a new id such as r-7k2m9qx4; unguessable, short enough to type."""
        ...

    def secret(self) -> str:
        """Return a new secret of 256 bits, URL-safe text."""
        ...


class Computers(Protocol):
    """Computers of the fleet."""

    async def get(self, computer_id: str) -> Computer | None:
        """Return the computer with this id."""
        ...

    async def find(self, name_or_id: str) -> Computer | None:
        """Return the computer with this id or name; of several with one name the ACCEPTED one, then the newest."""
        ...

    async def by_key(self, key_fingerprint: str) -> Computer | None:
        """Return the computer enrolled with this key, the newest if several."""
        ...

    async def all(self) -> Sequence[Computer]:
        """Return all computers by name."""
        ...

    async def many(self, computer_ids: Sequence[str]) -> Sequence[Computer]:
        """Return the computers with these ids, in no order."""
        ...

    async def put(self, computer: Computer) -> None:
        """Insert or replace; the last contact never goes back."""
        ...

    async def put_all(self, many: Sequence[Computer]) -> None:
        """Insert or replace many."""
        ...

    async def touch(self, seen: dict[str, datetime]) -> None:
        """Write last contacts of many computers at once, id to time; unknown ids are passed over, no time goes back."""
        ...


class Certificates(Protocol):
    """Certificates that were issued."""

    async def get(self, serial: str) -> Certificate | None:
        """Return the certificate with this serial, lower-case hexadecimal."""
        ...

    async def of_subject(self, subject_id: str) -> Sequence[Certificate]:
        """Return a subject's certificates, newest first."""
        ...

    async def revoked_serials(self) -> Sequence[str]:
        """Return serials that are revoked and not yet expired."""
        ...

    async def put(self, certificate: Certificate) -> None:
        """Insert or replace."""
        ...


class People(Protocol):
    """The roster."""

    async def get(self, person_id: str) -> Person | None:
        """Return the person with this id."""
        ...

    async def find(self, name_or_id: str) -> Person | None:
        """Return the person with this name or id."""
        ...

    async def all(self) -> Sequence[Person]:
        """Return all people by name."""
        ...

    async def put(self, person: Person) -> None:
        """Insert or replace."""
        ...


class Tokens(Protocol):
    """Permissions to enrol."""

    async def get(self, token_id: str) -> Token | None:
        """Return the token with this id."""
        ...

    async def by_secret(self, secret_sha256: str) -> Token | None:
        """Return the token whose secret has this digest."""
        ...

    async def all(self) -> Sequence[Token]:
        """Return all tokens, newest first."""
        ...

    async def put(self, token: Token) -> None:
        """Insert or replace."""
        ...


class Releases(Protocol):
    """Published releases."""

    async def get(self, name: str, version: str) -> Release | None:
        """Return one release."""
        ...

    async def all(self) -> Sequence[Release]:
        """Return all by name and time of publishing."""
        ...

    async def put(self, release: Release) -> None:
        """Insert or replace."""
        ...

    async def rolled_back_on(self, name: str, version: str) -> Sequence[str]:
        """Return ids of computers that rolled it back and have no permission since."""
        ...

    async def note_rolled_back(self, name: str, version: str, computer_id: str) -> None:
        """Remember that a computer rolled it back."""
        ...

    async def permit(self, name: str, version: str, computer_ids: Sequence[str], person: str) -> None:
        """Let it be offered again to these computers."""
        ...


class Sops(Protocol):
    """SOP revisions."""

    async def get(self, sop_id: str, revision: int) -> SopRevision | None:
        """Return one revision."""
        ...

    async def effective(self, sop_id: str) -> SopRevision | None:
        """Return the one EFFECTIVE revision."""
        ...

    async def newest(self, sop_id: str) -> SopRevision | None:
        """Return the revision with the highest number."""
        ...

    async def revisions(self, sop_id: str) -> Sequence[SopRevision]:
        """Return all revisions, oldest first."""
        ...

    async def ids(self) -> Sequence[str]:
        """Return the ids of all SOPs."""
        ...

    async def put(self, revision: SopRevision) -> None:
        """Insert or replace."""
        ...


class Rollouts(Protocol):
    """Rollouts."""

    async def get(self, rollout_id: str) -> Rollout | None:
        """Return the rollout with this id."""
        ...

    async def find(self, id_or_name: str) -> Rollout | None:
        """Return the rollout with this id, or the newest one with this name."""
        ...

    async def all(self) -> Sequence[Rollout]:
        """Return all, newest first."""
        ...

    async def in_states(self, states: Sequence[str]) -> Sequence[Rollout]:
        """Return those in one of these states, oldest first."""
        ...

    async def put(self, rollout: Rollout) -> None:
        """Insert or replace."""
        ...


class Assignments(Protocol):
    """Assignments of rollouts."""

    async def get(self, assignment_id: str) -> Assignment | None:
        """Return one."""
        ...

    async def many(self, assignment_ids: Sequence[str]) -> Sequence[Assignment]:
        """Return these, in no order."""
        ...

    async def of_rollout(self, rollout_id: str) -> Sequence[Assignment]:
        """Return a rollout's assignments in plan order."""
        ...

    async def of_computer(self, computer_id: str, *, unended_only: bool = False) -> Sequence[Assignment]:
        """Return a computer's assignments, newest first."""
        ...

    async def put_all(self, assignments: Sequence[Assignment]) -> None:
        """Insert or replace many."""
        ...


class Freezes(Protocol):
    """Freezes of the fleet."""

    async def all(self) -> Sequence[Freeze]:
        """Return all, newest first."""
        ...

    async def active(self, now: datetime) -> Sequence[Freeze]:
        """Return those in force at a time."""
        ...

    async def put(self, freeze: Freeze) -> None:
        """Insert or replace."""
        ...


class Incidents(Protocol):
    """Incidents."""

    async def get(self, incident_id: str) -> Incident | None:
        """Return one."""
        ...

    async def all(self) -> Sequence[Incident]:
        """Return all, newest first."""
        ...

    async def unresolved(self) -> Sequence[Incident]:
        """Return OPEN and ACKNOWLEDGED ones, newest first."""
        ...

    async def put(self, incident: Incident) -> None:
        """Insert or replace."""
        ...


class Notifications(Protocol):
    """The durable outbox of messages to people."""

    async def of_incident(self, incident_id: str) -> Sequence[Notification]:
        """Return an incident's messages, oldest first."""
        ...

    async def due(self, now: datetime, limit: int) -> Sequence[Notification]:
        """Return undelivered messages whose next try is due, oldest first."""
        ...

    async def undelivered(self) -> Sequence[Notification]:
        """Return every message that was tried and is not delivered."""
        ...

    async def put(self, notification: Notification) -> None:
        """Insert or replace."""
        ...


class UpdateLog(Protocol):
    """The append-only, verifiable record. What is read is as it lies in the store, nothing is cached."""

    async def append(self, draft: LogDraft) -> int:
        """Append one entry in this transaction; return its index. It is recorded with the database's clock."""
        ...

    async def size(self) -> int:
        """Return the number of entries."""
        ...

    async def entries(self, start: int, limit: int, *, rollout: str = "", computer: str = "") -> Sequence[LogRow]:
        """Return entries from an index on, in order; only those of a rollout id or a computer's name where given."""
        ...

    async def nodes(self, after: tuple[int, int] | None, limit: int) -> Sequence[TreeNode]:
        """Return stored tree nodes after (level, index), None for the beginning, in that order."""
        ...

    async def checkpoints(self) -> Sequence[str]:
        """Return the stored signed checkpoints, smallest first."""
        ...

    async def newest_checkpoint(self) -> str:
        """Return the signed checkpoint of the largest size; empty before the first, or where no log key is set."""
        ...

    async def consistency_proof(self, old: int, new: int) -> Sequence[bytes]:
        """Return the hashes that prove that the log of `new` entries begins with that of `old` (RFC 6962)."""
        ...

    async def inclusion_proof(self, index: int, size: int) -> Sequence[bytes]:
        """Return the hashes that prove that an entry is in the log of `size` entries (RFC 6962)."""
        ...


class LogGrowth(Protocol):
    """Tells when the update log may have grown."""

    async def wait_for_growth(self, timeout_seconds: float) -> None:
        """Return when entries were committed, or after the timeout."""
        ...


class PublishedCheckpoints(Protocol):
    """Checkpoints that were published outside the database."""

    def all(self) -> Sequence[str]:
        """Return the notes as they lie there, also what is no note."""
        ...


class LogSigner(Protocol):
    """Signs what the update log is at a size, with the log key."""

    def sign(self, size: int, root: bytes) -> str:
        """Return the signed checkpoint, C2SP form."""
        ...


@dataclass(frozen=True)
class AgentMessageRow:
    """One reliable message of a computer as it was recorded; `sha256` is over its content without the sequence."""

    computer_id: str
    sequence: int
    kind: str
    """progress, receipt, readiness, facts or source."""
    sha256: str
    received_time: datetime


class AgentMessages(Protocol):
    """Reliable messages of computers, each recorded once; append only."""

    async def digests(self, computer_id: str, first: int, last: int) -> dict[int, str]:
        """Return sequence to digest of the recorded messages in this closed range."""
        ...

    async def add_all(self, rows: Sequence[AgentMessageRow]) -> None:
        """Insert many; a computer and sequence that is there already is an error."""
        ...


class Requests(Protocol):
    """Request ids that were carried out, so that a repetition has no further effect."""

    async def result_of(self, request_id: str) -> str | None:
        """Return what the request led to, None when it is new."""
        ...

    async def remember(self, request_id: str, result: str, now: datetime) -> None:
        """Keep what it led to."""
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
    def rollouts(self) -> Rollouts: ...
    @property
    def assignments(self) -> Assignments: ...
    @property
    def freezes(self) -> Freezes: ...
    @property
    def incidents(self) -> Incidents: ...
    @property
    def notifications(self) -> Notifications: ...
    @property
    def update_log(self) -> UpdateLog: ...
    @property
    def agent_messages(self) -> AgentMessages: ...
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
        self, computer_id: str, assignment_id: str, start_until: datetime | None, reason: str = ""
    ) -> None:
        """Say until when it may start; None says hold."""
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

    async def announce_sop(self, revision: SopRevision) -> None:
        """Tell every connected computer which revision is effective."""
        ...

    async def designate_source(self) -> None:
        """Tell every connected computer that has no source."""
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
