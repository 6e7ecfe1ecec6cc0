"""The repositories inside a unit of work: what is kept, and by what it is found again.

Each is small and owned by the use cases; what is written through them becomes durable with the commit of the unit of
work, or not at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from sopwith_controller.domain.durations import Measurement
from sopwith_controller.domain.entities import Certificate, Computer, Person, Release, SopRevision, Token
from sopwith_controller.domain.incident_entities import Freeze, Incident, Notification
from sopwith_controller.domain.rollout_entities import Assignment, Rollout, WaveShare

if TYPE_CHECKING:
    pass


class Computers(Protocol):
    """Computers of the fleet."""

    async def get(self, computer_id: str) -> Computer | None:
        """Return the computer with this id."""
        ...

    async def find(self, name_or_id: str) -> Computer | None:
        """Return the computer with this id or name; of several with one name the ACCEPTED one, then the newest."""
        ...

    async def named(self, name: str) -> Sequence[Computer]:
        """Return every computer that has or had this name, by id."""
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

    async def last_change(self) -> int | None:
        """Return the number of the last change of any computer; None once this unit of work has written.

        Last contacts are no changes: they come by the minute from everybody.
        """
        ...

    async def changed_since(self, change: int) -> Sequence[Computer]:
        """Return the computers that changed after this number, in no order."""
        ...

    async def last_seen(self, computer_ids: Sequence[str]) -> dict[str, datetime]:
        """Return the last contacts of those of these computers that were ever heard of."""
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
        """Return a rollout's assignments in plan order, of each computer the newest generation."""
        ...

    async def of_computer(self, computer_id: str, *, unended_only: bool = False) -> Sequence[Assignment]:
        """Return a computer's assignments, newest first."""
        ...

    async def last_change(self) -> int | None:
        """Return the number of the last change of any assignment; None once this unit of work has written.

        What it wrote may yet be undone, and must not be taken for what is.
        """
        ...

    async def changed_since(self, rollout_id: str, change: int) -> Sequence[Assignment]:
        """Return a rollout's assignments that changed after this number, in no order."""
        ...

    async def at_work(self, states: Sequence[str], *, other_than: str) -> Sequence[tuple[Assignment, str]]:
        """Return what is offered and not ended in rollouts in these states but one, each with its rollout's name."""
        ...

    async def stalled(self, rollout_id: str) -> Sequence[str]:
        """Return the names of computers whose assignments in a rollout are stalled, in plan order."""
        ...

    async def shares(self, rollout_id: str) -> Sequence[WaveShare]:
        """Return how many of a rollout's assignments stand alike, by wave, state and outcome."""
        ...

    async def put_all(self, assignments: Sequence[Assignment]) -> None:
        """Insert or replace many."""
        ...


class Measurements(Protocol):
    """What updates took on computers that finished them."""

    async def newest(self, release_name: str, limit: int) -> Sequence[Measurement]:
        """Return those of any version of a release name, newest end first."""
        ...

    async def put_all(self, measurements: Sequence[Measurement]) -> None:
        """Insert or replace; an assignment has one."""
        ...


class Freezes(Protocol):
    """Freezes of the fleet."""

    async def all(self) -> Sequence[Freeze]:
        """Return all, newest first."""
        ...

    async def active(self, now: datetime) -> Sequence[Freeze]:
        """Return those in force at a time."""
        ...

    async def next_start(self, now: datetime) -> datetime | None:
        """Return when the next one begins that is still to come and was not called off."""
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
