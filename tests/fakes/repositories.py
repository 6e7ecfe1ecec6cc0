"""The repositories of the fake database: the answers that the ports promise, by sorting and filtering."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Any

from sopwith_controller.domain.deviation import Deviation, DeviationState
from sopwith_controller.domain.durations import Measurement
from sopwith_controller.domain.entities import (
    Certificate,
    Computer,
    ComputerState,
    Person,
    Release,
    SopRevision,
    SopState,
    Token,
)
from sopwith_controller.domain.errors import ConflictError
from sopwith_controller.domain.incident_entities import Freeze, Incident, IncidentState, Notification
from sopwith_controller.domain.lasting_entities import Baseline, Repetition
from sopwith_controller.domain.log_recovery import LogRecovery
from sopwith_controller.domain.rollout_entities import Assignment, Rollout, WaveShare
from sopwith_controller.services.lasting_repositories import ReceiptRow
from sopwith_controller.services.ports import Clock
from sopwith_controller.services.repositories import AgentMessageRow
from sopwith_formats.vocabulary import AssignmentState


def _later(first: datetime | None, second: datetime | None) -> datetime | None:
    return max((time for time in (first, second) if time is not None), default=None)


class ChangeNumbers:
    """What each change of a table touched, by the changes' numbers, as the database keeps them."""

    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    def last(self) -> int | None:
        """Return the highest; None once this unit has written."""
        return None if self._shelf.wrote() else self._shelf.count()

    def since(self, change: int) -> list[str]:
        """Return the keys that changed after a number."""
        numbers = range(change + 1, self._shelf.count() + 1)
        return list(dict.fromkeys(key for number in numbers for key in self._shelf.get(number)))

    def put(self, keys: list[str]) -> None:
        """Number a change of these."""
        if keys:
            self._shelf.put(self._shelf.count() + 1, keys)


class FakeComputers:
    def __init__(self, shelf: Any, changes: Any) -> None:
        self._shelf = shelf
        self._changes = ChangeNumbers(changes)

    async def get(self, computer_id: str) -> Computer | None:
        found: Computer | None = self._shelf.get(computer_id)
        return found

    async def find(self, name_or_id: str) -> Computer | None:
        named = [one for one in self._shelf.all() if one.name == name_or_id]
        named.sort(key=lambda one: (one.state is ComputerState.ACCEPTED, one.enrolled_time, one.id))
        return await self.get(name_or_id) or (named[-1] if named else None)

    async def named(self, name: str) -> Sequence[Computer]:
        return sorted(self._shelf.where("name", name), key=lambda one: one.id)

    async def by_key(self, key_fingerprint: str) -> Computer | None:
        found = [one for one in self._shelf.all() if one.key_fingerprint == key_fingerprint]
        return max(found, key=lambda one: (one.enrolled_time, one.id), default=None)

    async def all(self) -> Sequence[Computer]:
        return sorted(self._shelf.all(), key=lambda one: (one.name, one.id))

    async def many(self, computer_ids: Sequence[str]) -> Sequence[Computer]:
        return [one for one in map(self._shelf.get, dict.fromkeys(computer_ids)) if one is not None]

    async def last_change(self) -> int | None:
        return self._changes.last()

    async def changed_since(self, change: int) -> Sequence[Computer]:
        return await self.many(self._changes.since(change))

    async def last_seen(self, computer_ids: Sequence[str]) -> dict[str, datetime]:
        return {one.id: one.last_seen_time for one in await self.many(computer_ids) if one.last_seen_time}

    async def put(self, computer: Computer) -> None:
        await self.put_all([computer])

    async def put_all(self, many: Sequence[Computer]) -> None:
        for one in many:
            before = self._shelf.get(one.id)
            seen = _later(one.last_seen_time, before.last_seen_time if before else None)
            self._shelf.put(one.id, one if seen == one.last_seen_time else replace(one, last_seen_time=seen))
        self._changes.put([one.id for one in many])

    async def touch(self, seen: dict[str, datetime]) -> None:
        for computer_id, time in seen.items():
            before = self._shelf.get(computer_id)
            if before is not None:
                self._shelf.put(computer_id, replace(before, last_seen_time=_later(time, before.last_seen_time)))


class FakeCertificates:
    def __init__(self, shelf: Any, clock: Clock) -> None:
        self._shelf = shelf
        self._clock = clock

    async def get(self, serial: str) -> Certificate | None:
        found: Certificate | None = self._shelf.get(serial)
        return found

    async def of_subject(self, subject_id: str) -> Sequence[Certificate]:
        found = [one for one in self._shelf.all() if one.subject_id == subject_id]
        return sorted(found, key=lambda one: (one.issued_time, one.serial), reverse=True)

    async def revoked_serials(self) -> Sequence[str]:
        now = self._clock.now()
        return sorted(one.serial for one in self._shelf.all() if one.revoked_time and one.expires_time > now)

    async def put(self, certificate: Certificate) -> None:
        self._shelf.put(certificate.serial, certificate)


class FakePeople:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def get(self, person_id: str) -> Person | None:
        found: Person | None = self._shelf.get(person_id)
        return found

    async def find(self, name_or_id: str) -> Person | None:
        named = [one for one in await self.all() if one.name == name_or_id]
        return await self.get(name_or_id) or (named[0] if named else None)

    async def all(self) -> Sequence[Person]:
        return sorted(self._shelf.all(), key=lambda one: (one.name, one.id))

    async def put(self, person: Person) -> None:
        self._shelf.put(person.id, person)


class FakeTokens:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def get(self, token_id: str) -> Token | None:
        found: Token | None = self._shelf.get(token_id)
        return found

    async def by_secret(self, secret_sha256: str) -> Token | None:
        return next((one for one in self._shelf.all() if one.secret_sha256 == secret_sha256), None)

    async def all(self) -> Sequence[Token]:
        return sorted(self._shelf.all(), key=lambda one: (one.created_time, one.id), reverse=True)

    async def put(self, token: Token) -> None:
        self._shelf.put(token.id, token)


class FakeReleases:
    def __init__(self, shelf: Any, rollbacks: Any) -> None:
        self._shelf = shelf
        self._rollbacks = rollbacks

    async def get(self, name: str, version: str) -> Release | None:
        found: Release | None = self._shelf.get((name, version))
        return found

    async def all(self) -> Sequence[Release]:
        return sorted(self._shelf.all(), key=lambda one: (one.name, one.published_time, one.version))

    async def put(self, release: Release) -> None:
        self._shelf.put((release.name, release.version), release)

    async def rolled_back_on(self, name: str, version: str) -> Sequence[str]:
        return sorted(
            key[2] for key, permitted in self._rollbacks.all() if key[:2] == (name, version) and not permitted
        )

    async def note_rolled_back(self, name: str, version: str, computer_id: str) -> None:
        key = (name, version, computer_id)
        self._rollbacks.put(key, (key, ""))

    async def permit(self, name: str, version: str, computer_ids: Sequence[str], person: str) -> None:
        for key in ((name, version, computer_id) for computer_id in computer_ids):
            if self._rollbacks.get(key) is not None:
                self._rollbacks.put(key, (key, person))


class FakeSops:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def get(self, sop_id: str, revision: int) -> SopRevision | None:
        found: SopRevision | None = self._shelf.get((sop_id, revision))
        return found

    async def effective(self, sop_id: str) -> SopRevision | None:
        found = [one for one in await self.revisions(sop_id) if one.state is SopState.EFFECTIVE]
        return found[-1] if found else None

    async def newest(self, sop_id: str) -> SopRevision | None:
        found = await self.revisions(sop_id)
        return found[-1] if found else None

    async def revisions(self, sop_id: str) -> Sequence[SopRevision]:
        return sorted((one for one in self._shelf.all() if one.id == sop_id), key=lambda one: one.revision)

    async def ids(self) -> Sequence[str]:
        return sorted({one.id for one in self._shelf.all()})

    async def put(self, revision: SopRevision) -> None:
        self._shelf.put((revision.id, revision.revision), revision)


class FakeRollouts:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def get(self, rollout_id: str) -> Rollout | None:
        found: Rollout | None = self._shelf.get(rollout_id)
        return found

    async def find(self, id_or_name: str) -> Rollout | None:
        named = [one for one in await self.all() if one.name == id_or_name]
        return await self.get(id_or_name) or (named[0] if named else None)

    async def all(self) -> Sequence[Rollout]:
        return sorted(self._shelf.all(), key=lambda one: (one.created_time, one.id), reverse=True)

    async def in_states(self, states: Sequence[str]) -> Sequence[Rollout]:
        return [one for one in (await self.all())[::-1] if one.state in set(states)]

    async def put(self, rollout: Rollout) -> None:
        self._shelf.put(rollout.id, rollout)


class FakeAssignments:
    def __init__(self, shelf: Any, rollouts: Any, changes: Any) -> None:
        self._shelf = shelf
        self._rollouts = rollouts
        self._changes = ChangeNumbers(changes)

    async def get(self, assignment_id: str) -> Assignment | None:
        found: Assignment | None = self._shelf.get(assignment_id)
        return found

    async def many(self, assignment_ids: Sequence[str]) -> Sequence[Assignment]:
        return [one for one in map(self._shelf.get, dict.fromkeys(assignment_ids)) if one is not None]

    async def of_rollout(self, rollout_id: str) -> Sequence[Assignment]:
        found = [one for one in self._shelf.where("rollout_id", rollout_id) if not one.replaced]
        return sorted(found, key=attrgetter("position", "id"))

    async def of_computer(self, computer_id: str, *, unended_only: bool = False) -> Sequence[Assignment]:
        found = self._shelf.where("computer_id", computer_id)
        wanted = [one for one in found if not (unended_only and one.ended)]
        return sorted(wanted, key=lambda one: (self._created(one.rollout_id), one.id), reverse=True)

    def _created(self, rollout_id: str) -> float:
        rollout = self._rollouts.get(rollout_id)
        return rollout.created_time.timestamp() if rollout else 0.0

    async def last_change(self) -> int | None:
        return self._changes.last()

    async def changed_since(self, rollout_id: str, change: int) -> Sequence[Assignment]:
        changed = map(self._shelf.get, self._changes.since(change))
        return [one for one in changed if one is not None and one.rollout_id == rollout_id]

    async def at_work(self, states: Sequence[str], *, other_than: str) -> Sequence[tuple[Assignment, str]]:
        names = {one.id: one.name for one in self._rollouts.all() if one.state in states and one.id != other_than}
        waiting = (AssignmentState.PENDING, AssignmentState.ENDED)
        theirs = [one for rollout_id in names for one in self._shelf.where("rollout_id", rollout_id)]
        return [(one, names[one.rollout_id]) for one in theirs if one.state not in waiting]

    async def stalled(self, rollout_id: str) -> Sequence[str]:
        return [one.computer for one in await self.of_rollout(rollout_id) if one.stalled_time]

    async def shares(self, rollout_id: str) -> Sequence[WaveShare]:
        mine = [one for one in self._shelf.all() if one.rollout_id == rollout_id and not one.replaced]
        numbers = Counter((one.wave, one.state, one.outcome) for one in mine)
        return [WaveShare(*alike, number) for alike, number in numbers.items()]

    async def put_all(self, assignments: Sequence[Assignment]) -> None:
        for one in assignments:
            self._shelf.put(one.id, one)
        self._changes.put([one.id for one in assignments])


class FakeMeasurements:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def newest(self, release_name: str, limit: int) -> Sequence[Measurement]:
        found = [one for one in self._shelf.all() if one.release_name == release_name]
        return sorted(found, key=lambda one: (one.ended_time, one.assignment_id), reverse=True)[:limit]

    async def put_all(self, measurements: Sequence[Measurement]) -> None:
        for one in measurements:
            self._shelf.put(one.assignment_id, one)


class FakeBaselines:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def get(self, rollout_id: str) -> Baseline | None:
        found: Baseline | None = self._shelf.get(rollout_id)
        return found

    async def in_force(self) -> Sequence[Baseline]:
        found = [one for one in self._shelf.all() if one.ended_time is None]
        return sorted(found, key=lambda one: (one.since_time, one.rollout_id))

    async def put(self, baseline: Baseline) -> None:
        self._shelf.put(baseline.rollout_id, baseline)


class FakeRepetitions:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def get(self, repetition_id: str) -> Repetition | None:
        found: Repetition | None = self._shelf.get(repetition_id)
        return found

    async def in_force(self) -> Sequence[Repetition]:
        return sorted((one for one in self._shelf.all() if one.ended_time is None), key=lambda one: one.id)

    async def put(self, repetition: Repetition) -> None:
        self._shelf.put(repetition.id, repetition)


class FakeFreezes:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def all(self) -> Sequence[Freeze]:
        return sorted(self._shelf.all(), key=lambda one: (one.start_time, one.id), reverse=True)

    async def active(self, now: datetime) -> Sequence[Freeze]:
        return [one for one in await self.all() if one.start_time <= now and not (one.end_time and one.end_time <= now)]

    async def next_start(self, now: datetime) -> datetime | None:
        coming = [one for one in await self.all() if one.start_time > now]
        return min(
            (one.start_time for one in coming if not (one.end_time and one.end_time <= one.start_time)), default=None
        )

    async def put(self, freeze: Freeze) -> None:
        self._shelf.put(freeze.id, freeze)


class FakeDeviations:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def get(self, deviation_id: str) -> Deviation | None:
        found: Deviation | None = self._shelf.get(deviation_id)
        return found

    async def all(self) -> Sequence[Deviation]:
        return sorted(self._shelf.all(), key=lambda one: (one.created_time, one.id), reverse=True)

    async def unended(self) -> Sequence[Deviation]:
        living = (DeviationState.OPEN, DeviationState.APPROVED)
        return [one for one in await self.all() if one.state in living]

    async def put(self, deviation: Deviation) -> None:
        self._shelf.put(deviation.id, deviation)


class FakeIncidents:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def get(self, incident_id: str) -> Incident | None:
        found: Incident | None = self._shelf.get(incident_id)
        return found

    async def all(self) -> Sequence[Incident]:
        return sorted(self._shelf.all(), key=lambda one: (one.detected_time, one.id), reverse=True)

    async def unresolved(self) -> Sequence[Incident]:
        return [one for one in await self.all() if one.state is not IncidentState.RESOLVED]

    async def put(self, incident: Incident) -> None:
        self._shelf.put(incident.id, incident)


class FakeNotifications:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    def _oldest_first(self) -> list[Notification]:
        return sorted(self._shelf.all(), key=lambda one: (one.created_time, one.id))

    async def of_incident(self, incident_id: str) -> Sequence[Notification]:
        return [one for one in self._oldest_first() if one.incident_id == incident_id]

    async def due(self, now: datetime, limit: int) -> Sequence[Notification]:
        waiting = [one for one in self._oldest_first() if not one.delivered]
        return [one for one in waiting if one.next_try_time is None or one.next_try_time <= now][:limit]

    async def undelivered(self) -> Sequence[Notification]:
        return [one for one in self._oldest_first() if one.attempts and not one.delivered]

    async def put(self, notification: Notification) -> None:
        self._shelf.put(notification.id, notification)


class FakeAgentMessages:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def digests(self, computer_id: str, first: int, last: int) -> dict[int, str]:
        mine = self._shelf.where("computer_id", computer_id)
        return {one.sequence: one.sha256 for one in mine if first <= one.sequence <= last}

    async def add_all(self, rows: Sequence[AgentMessageRow]) -> None:
        for row in rows:
            key = (row.computer_id, row.sequence)
            if self._shelf.get(key) is not None:
                raise ConflictError(f"message {row.sequence} of computer {row.computer_id} is recorded already")
            self._shelf.put(key, row)


class FakeReceipts:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def digests(self, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], str]:
        found = {place: self._shelf.get(place) for place in places}
        return {place: row.sha256 for place, row in found.items() if row is not None}

    async def add_all(self, rows: Sequence[ReceiptRow]) -> None:
        for row in rows:
            if self._shelf.get((row.computer_id, row.number)) is not None:
                raise ConflictError(f"record {row.number} of computer {row.computer_id} is recorded already")
            self._shelf.put((row.computer_id, row.number), row)

    async def after(self, place: tuple[str, int], limit: int) -> Sequence[ReceiptRow]:
        rows = sorted(self._shelf.all(), key=lambda row: (row.computer_id, row.number))
        return [row for row in rows if (row.computer_id, row.number) > place][:limit]


class FakeRecoveries:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def all(self) -> Sequence[LogRecovery]:
        return sorted(self._shelf.all(), key=lambda one: one.size)

    async def put(self, recovery: LogRecovery) -> None:
        self._shelf.put(recovery.size, recovery)


class FakeRequests:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def result_of(self, request_id: str) -> str | None:
        found: str | None = self._shelf.get(request_id)
        return found

    async def remember(self, request_id: str, result: str, now: datetime) -> None:
        self._shelf.put(request_id, result)
