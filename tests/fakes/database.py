"""The controller's memory without a disk: every port of the database, in dictionaries, with real transactions.

A unit of work sees the state of its beginning plus its own changes; only a commit shows them to others. The update log
is a real one (entries, links, tree), and leaving a unit without a commit undoes everything. It passes
`tests/contracts/test_database.py` like SQLite and PostgreSQL do. Tables are copied at a commit only where somebody is
reading them, and rows are found by an index, so that a fleet of thousands stays quick in memory.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Generic, TypeVar

from sopwith_controller.domain.entities import Settings
from sopwith_controller.domain.errors import ConflictError, NotFoundError
from sopwith_controller.services.ports import Clock
from sopwith_controller.services.update_log_ports import LogSigner
from tests.fakes import repositories as fakes
from tests.fakes import sop_life as life
from tests.fakes.practice import FakePractice
from tests.fakes.update_log import FakeUpdateLog

T = TypeVar("T")
LOG_SHELVES = ("update_log", "update_log_nodes", "checkpoints")
REPOSITORIES: dict[str, tuple[type[Any], tuple[str, ...]]] = {
    "computers": (fakes.FakeComputers, ("computers", "computer_changes")),
    "people": (fakes.FakePeople, ("people",)),
    "tokens": (fakes.FakeTokens, ("tokens",)),
    "releases": (fakes.FakeReleases, ("releases", "release_rollbacks")),
    "sops": (fakes.FakeSops, ("sop_revisions",)),
    "sop_comments": (life.FakeSopComments, ("sop_comments",)),
    "sop_announcements": (life.FakeSopAnnouncements, ("sop_announcements",)),
    "signing_links": (life.FakeSigningLinks, ("signing_links",)),
    "sop_receipts": (life.FakeSopReceipts, ("sop_receipts",)),
    "rollouts": (fakes.FakeRollouts, ("rollouts",)),
    "assignments": (fakes.FakeAssignments, ("assignments", "rollouts", "assignment_changes")),
    "measurements": (fakes.FakeMeasurements, ("measurements",)),
    "baselines": (fakes.FakeBaselines, ("baselines",)),
    "repetitions": (fakes.FakeRepetitions, ("repetitions",)),
    "freezes": (fakes.FakeFreezes, ("freezes",)),
    "deviations": (fakes.FakeDeviations, ("deviations",)),
    "incidents": (fakes.FakeIncidents, ("incidents",)),
    "notifications": (fakes.FakeNotifications, ("notifications",)),
    "agent_messages": (fakes.FakeAgentMessages, ("agent_messages",)),
    "receipts": (fakes.FakeReceipts, ("receipts",)),
    "recoveries": (fakes.FakeRecoveries, ("log_recoveries",)),
    "requests": (fakes.FakeRequests, ("requests",)),
}
"""Attribute of a unit of work to the repository and the tables that it works on."""


@dataclass
class Index:
    """Keys of one table by the value of an attribute that never changes."""

    keys: dict[Any, list[Any]] = field(default_factory=dict)
    seen: int = 0
    """So many rows of the table are in it; rows are only ever added at the end."""


@dataclass
class State:
    """What was committed: tables by name; changed in place only while nobody else reads them."""

    tables: dict[str, dict[Any, Any]] = field(default_factory=dict)
    indexes: dict[tuple[str, str], Index] = field(default_factory=dict)
    readers: int = 0

    def keys_where(self, name: str, attribute: str, value: Any) -> list[Any]:
        """Return the keys of the rows whose attribute has this value."""
        table = self.tables.get(name, {})
        index = self.indexes.setdefault((name, attribute), Index())
        if len(table) > index.seen:
            for key, row in islice(table.items(), index.seen, None):
                index.keys.setdefault(getattr(row, attribute), []).append(key)
            index.seen = len(table)
        return index.keys.get(value, [])

    def after(self, changed: dict[str, dict[Any, Any]]) -> "State":
        """Return the state after a commit."""
        if not self.readers:
            for name, rows in changed.items():
                self.tables.setdefault(name, {}).update(rows)
            return self
        merged = {name: {**self.tables.get(name, {}), **rows} for name, rows in changed.items()}
        return State({**self.tables, **merged}, self.indexes)


class Shelf(Generic[T]):
    """One table: what was committed before, and what this unit of work changed."""

    __slots__ = ("_before", "_name", "_unit", "changed")

    def __init__(self, unit: "FakeUnitOfWork", name: str) -> None:
        self._unit = unit
        self._name = name
        self._before: dict[Any, T] = unit.state.tables.get(name, {})
        self.changed: dict[Any, T] = {}

    def get(self, key: Any) -> T | None:
        """Return what lies under the key."""
        self._unit.check_open()
        return self.changed[key] if key in self.changed else self._before.get(key)

    def all(self) -> list[T]:
        """Return everything, in no promised order."""
        self._unit.check_open()
        return list({**self._before, **self.changed}.values() if self.changed else self._before.values())

    def where(self, attribute: str, value: Any) -> list[T]:
        """Return the rows whose attribute, one that never changes, has this value."""
        self._unit.check_open()
        before, changed = self._before, self.changed
        keys = self._unit.state.keys_where(self._name, attribute, value)
        rows = [changed[key] if key in changed else before[key] for key in keys if key in before]
        if changed:
            rows += [row for key, row in changed.items() if key not in before and getattr(row, attribute) == value]
        return rows

    def wrote(self) -> bool:
        """Tell whether anything was written in this unit of work, here or elsewhere."""
        return self._unit.wrote()

    def items(self) -> list[tuple[Any, T]]:
        """Return everything with its key."""
        self._unit.check_open()
        return list({**self._before, **self.changed}.items())

    def count(self) -> int:
        """Return how many there are."""
        self._unit.check_open()
        return len(self._before) + sum(key not in self._before for key in self.changed)

    def put(self, key: Any, value: T) -> None:
        """Insert or replace."""
        self._unit.check_writable()
        self.changed[key] = value


class FakeUnitOfWork:
    """One transaction over the fake's state."""

    computers: fakes.FakeComputers
    certificates: fakes.FakeCertificates
    people: fakes.FakePeople
    tokens: fakes.FakeTokens
    releases: fakes.FakeReleases
    sops: fakes.FakeSops
    sop_comments: life.FakeSopComments
    sop_announcements: life.FakeSopAnnouncements
    signing_links: life.FakeSigningLinks
    sop_receipts: life.FakeSopReceipts
    rollouts: fakes.FakeRollouts
    assignments: fakes.FakeAssignments
    measurements: fakes.FakeMeasurements
    baselines: fakes.FakeBaselines
    repetitions: fakes.FakeRepetitions
    freezes: fakes.FakeFreezes
    deviations: fakes.FakeDeviations
    practice: FakePractice
    incidents: fakes.FakeIncidents
    notifications: fakes.FakeNotifications
    agent_messages: fakes.FakeAgentMessages
    receipts: fakes.FakeReceipts
    recoveries: fakes.FakeRecoveries
    requests: fakes.FakeRequests
    update_log: FakeUpdateLog

    def __init__(self, state: State, clock: Clock, signer: LogSigner | None, *, writable: bool) -> None:
        self.state = state
        self._clock = clock
        self._signer = signer
        self._writable = writable
        self._open = True
        self._shelves: dict[str, Shelf[Any]] = {}
        self.committed: State | None = None

    def __getattr__(self, name: str) -> Any:
        """Make a repository when it is asked for the first time: most units of work touch two or three."""
        if name == "update_log":
            entries, nodes, checkpoints = map(self.shelf, LOG_SHELVES)
            made: Any = FakeUpdateLog(
                entries, nodes, checkpoints, self._clock, self._signer, settings=self.shelf("settings")
            )
        elif name == "certificates":
            made = fakes.FakeCertificates(self.shelf(name), self._clock)
        elif name == "practice":
            made = FakePractice(self.shelf)
        elif name in REPOSITORIES:
            kind, shelves = REPOSITORIES[name]
            made = kind(*map(self.shelf, shelves))
        else:
            raise AttributeError(name)
        setattr(self, name, made)
        return made

    def shelf(self, name: str) -> Shelf[Any]:
        """Return the one shelf of this name."""
        shelf = self._shelves.get(name)
        if shelf is None:
            shelf = self._shelves[name] = Shelf(self, name)
        return shelf

    def changes(self) -> Iterator[tuple[str, Any, Any, Any]]:
        """Yield table, key, value before and value of each change of this unit; to be asked before its commit."""
        for name, shelf in self._shelves.items():
            before = self.state.tables.get(name, {})
            for key, value in shelf.changed.items():
                yield name, key, before.get(key), value

    def check_open(self) -> None:
        """Refuse what comes after the end."""
        if not self._open:
            raise RuntimeError("this unit of work has ended")

    def check_writable(self) -> None:
        """Refuse writing where it is not allowed."""
        self.check_open()
        if not self._writable:
            raise RuntimeError("this unit of work only reads")

    def wrote(self) -> bool:
        """Tell whether anything was written."""
        return any(shelf.changed for shelf in self._shelves.values())

    async def settings(self) -> Settings:
        """Return the identity card."""
        settings: Settings | None = self.shelf("settings").get(1)
        if settings is None:
            raise NotFoundError("this controller has no settings", remedy="run `sopwith-controller init`")
        return settings

    async def put_settings(self, settings: Settings) -> None:
        """Write the identity card."""
        self.shelf("settings").put(1, settings)

    async def commit(self) -> None:
        """Keep what was changed."""
        self.check_writable()
        if "update_log" in self.__dict__:
            self.update_log.sign()
        _check_references(self, self.shelf("assignments").changed.values())
        self.committed = self.state.after({name: one.changed for name, one in self._shelves.items() if one.changed})
        self._open = False

    def end(self) -> None:
        """Let nothing more through."""
        self._open = False


class FakeDatabase:
    """Implements the `Database` port in memory."""

    def __init__(self, clock: Clock, signer: LogSigner | None = None) -> None:
        self._clock = clock
        self._signer = signer
        self._state = State()
        self._writer = asyncio.Lock()
        self._owner: asyncio.Task[Any] | None = None
        self._growth = asyncio.Event()

    def write(self) -> "_Writing":
        """Open a unit of work that may write."""
        return _Writing(self)

    def read(self) -> "_Reading":
        """Open a unit of work that only reads."""
        return _Reading(self)

    async def begin(self) -> FakeUnitOfWork:
        """Wait for the turn to write, and begin."""
        task = asyncio.current_task()
        if self._owner is not None and self._owner is task:
            raise RuntimeError("a unit of work that writes is open in this task already")
        await self._writer.acquire()
        self._owner = task
        return FakeUnitOfWork(self._state, self._clock, self._signer, writable=True)

    def finish(self, unit: FakeUnitOfWork) -> None:
        """Show others what was committed, and let the next one write."""
        unit.end()
        self._owner = None
        if unit.committed is not None:
            self._state = unit.committed
            grown, self._growth = self._growth, asyncio.Event()
            grown.set()
        self._writer.release()

    def look(self) -> FakeUnitOfWork:
        """Begin to read what is committed."""
        self._state.readers += 1
        return FakeUnitOfWork(self._state, self._clock, None, writable=False)

    async def wait_for_growth(self, timeout_seconds: float) -> None:
        """Return when something was committed, or after the timeout."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._growth.wait(), timeout_seconds)

    async def close(self) -> None:
        """Do nothing: memory needs no closing."""


class _Writing:
    """The bounds of one unit of work that may write."""

    __slots__ = ("_database", "_unit")

    def __init__(self, database: FakeDatabase) -> None:
        self._database = database

    async def __aenter__(self) -> FakeUnitOfWork:
        self._unit = await self._database.begin()
        return self._unit

    async def __aexit__(self, *_: object) -> None:
        self._database.finish(self._unit)


class _Reading:
    """The bounds of one unit of work that only reads."""

    __slots__ = ("_database", "_unit")

    def __init__(self, database: FakeDatabase) -> None:
        self._database = database

    async def __aenter__(self) -> FakeUnitOfWork:
        self._unit = self._database.look()
        return self._unit

    async def __aexit__(self, *_: object) -> None:
        self._unit.state.readers -= 1
        self._unit.end()


def _check_references(unit: FakeUnitOfWork, assignments: Iterable[Any]) -> None:
    rollouts, computers = unit.shelf("rollouts"), unit.shelf("computers")
    for one in assignments:
        if rollouts.get(one.rollout_id) is None or computers.get(one.computer_id) is None:
            raise ConflictError(f"assignment {one.id} names a rollout or a computer that is not there")
