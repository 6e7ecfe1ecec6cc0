"""The controller's memory without a disk: every port of the database, in dictionaries, with real transactions.

A unit of work sees the state of its beginning plus its own changes; only a commit shows them to others. The update log
is a real one (entries, links, tree), and leaving a unit without a commit undoes everything. It passes
`tests/contracts/test_database.py` like SQLite and PostgreSQL do.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from sopwith_controller.domain.entities import Settings
from sopwith_controller.domain.errors import ConflictError, NotFoundError
from sopwith_controller.services.ports import Clock
from sopwith_controller.services.update_log_ports import LogSigner
from tests.fakes import repositories as fakes
from tests.fakes.update_log import FakeUpdateLog

T = TypeVar("T")


class Shelf(Generic[T]):
    """One table: what was committed before, and what this unit of work changed."""

    def __init__(self, unit: "FakeUnitOfWork", name: str) -> None:
        self._unit = unit
        self._before: dict[Any, T] = unit.state.tables.get(name, {})
        self.changed: dict[Any, T] = {}

    def get(self, key: Any) -> T | None:
        """Return what lies under the key."""
        self._unit.check_open()
        return self.changed[key] if key in self.changed else self._before.get(key)

    def all(self) -> list[T]:
        """Return everything, in no promised order."""
        self._unit.check_open()
        return list({**self._before, **self.changed}.values())

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

    def merged(self) -> dict[Any, T]:
        """Return the table as it is after a commit."""
        return {**self._before, **self.changed} if self.changed else self._before


@dataclass
class State:
    """What was committed: tables by name; never changed in place, so that readers keep what they began with."""

    tables: dict[str, dict[Any, Any]] = field(default_factory=dict)


class FakeUnitOfWork:
    """One transaction over the fake's state."""

    def __init__(self, state: State, clock: Clock, signer: LogSigner | None, *, writable: bool) -> None:
        self.state = state
        self._writable = writable
        self._open = True
        self._shelves: dict[str, Shelf[Any]] = {}
        self.committed: State | None = None
        self.computers = fakes.FakeComputers(self.shelf("computers"), self.shelf("computer_changes"))
        self.certificates = fakes.FakeCertificates(self.shelf("certificates"), clock)
        self.people = fakes.FakePeople(self.shelf("people"))
        self.tokens = fakes.FakeTokens(self.shelf("tokens"))
        self.releases = fakes.FakeReleases(self.shelf("releases"), self.shelf("release_rollbacks"))
        self.sops = fakes.FakeSops(self.shelf("sop_revisions"))
        self.rollouts = fakes.FakeRollouts(self.shelf("rollouts"))
        self.assignments = fakes.FakeAssignments(
            self.shelf("assignments"), self.shelf("rollouts"), self.shelf("assignment_changes")
        )
        self.measurements = fakes.FakeMeasurements(self.shelf("measurements"))
        self.baselines = fakes.FakeBaselines(self.shelf("baselines"))
        self.repetitions = fakes.FakeRepetitions(self.shelf("repetitions"))
        self.freezes = fakes.FakeFreezes(self.shelf("freezes"))
        self.incidents = fakes.FakeIncidents(self.shelf("incidents"))
        self.notifications = fakes.FakeNotifications(self.shelf("notifications"))
        self.agent_messages = fakes.FakeAgentMessages(self.shelf("agent_messages"))
        self.requests = fakes.FakeRequests(self.shelf("requests"))
        self.update_log = FakeUpdateLog(
            self.shelf("update_log"), self.shelf("update_log_nodes"), self.shelf("checkpoints"), clock, signer
        )

    def shelf(self, name: str) -> Shelf[Any]:
        """Return the one shelf of this name."""
        return self._shelves.setdefault(name, Shelf(self, name))

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
        self.update_log.sign()
        tables = {**self.state.tables, **{name: shelf.merged() for name, shelf in self._shelves.items()}}
        _check_references(tables, self.shelf("assignments").changed.values())
        self.committed = State(tables)
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

    @asynccontextmanager
    async def write(self) -> AsyncIterator[FakeUnitOfWork]:
        """Open a unit of work that may write."""
        task = asyncio.current_task()
        if self._owner is not None and self._owner is task:
            raise RuntimeError("a unit of work that writes is open in this task already")
        async with self._writer:
            self._owner = task
            unit = FakeUnitOfWork(self._state, self._clock, self._signer, writable=True)
            try:
                yield unit
            finally:
                unit.end()
                self._owner = None
                if unit.committed is not None:
                    self._state = unit.committed
                    grown, self._growth = self._growth, asyncio.Event()
                    grown.set()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[FakeUnitOfWork]:
        """Open a unit of work that only reads."""
        unit = FakeUnitOfWork(self._state, self._clock, None, writable=False)
        try:
            yield unit
        finally:
            unit.end()

    async def wait_for_growth(self, timeout_seconds: float) -> None:
        """Return when something was committed, or after the timeout."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._growth.wait(), timeout_seconds)

    async def close(self) -> None:
        """Do nothing: memory needs no closing."""


def _check_references(tables: dict[str, dict[Any, Any]], assignments: Iterable[Any]) -> None:
    for one in assignments:
        if one.rollout_id not in tables["rollouts"] or one.computer_id not in tables["computers"]:
            raise ConflictError(f"assignment {one.id} names a rollout or a computer that is not there")
