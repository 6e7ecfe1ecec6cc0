"""The fake database with an eye on every commit, and with disks that are slow, that refuse, and controllers that die.

Decides nothing; `watch` sees each commit's changes, `fault` says what happens to one, `slowness` how long a unit of
work that writes holds everybody else up. A controller that died writes no more, whatever its unfinished calls still
try.
"""

import asyncio
from collections.abc import Callable, Collection
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Literal

from sopwith_controller.services.ports import Clock
from tests.fakes.database import FakeDatabase, FakeUnitOfWork

CommitFault = Literal["", "before", "after", "refused"]
CommitFaults = Callable[[Collection[str]], CommitFault]
"""Says what happens to a commit that changes these tables."""
Tables = dict[str, dict[Any, Any]]
Changes = dict[str, list[tuple[Any, Any]]]
"""Table to (row before, row after); None before: it is new."""


class ControllerDied(BaseException):
    """The controller's process ended here."""


class DiskRefusedError(Exception):
    """The database could not write."""


class WatchedDatabase(FakeDatabase):
    """The tables that outlive every controller."""

    def __init__(self, clock: Clock, watch: Callable[[Tables, Changes], None]) -> None:
        super().__init__(clock)
        self.watch = watch

    @property
    def tables(self) -> Tables:
        """Return what was committed."""
        return self._state.tables

    def one_life(
        self, alive: Callable[[], bool], fault: CommitFaults, slowness: Callable[[], float]
    ) -> "DatabaseOfOneLife":
        """Return the database as one controller has it."""
        return DatabaseOfOneLife(self, alive, fault, slowness)


class DatabaseOfOneLife:
    """Implements the `Database` port for one life of a controller."""

    def __init__(
        self,
        database: WatchedDatabase,
        alive: Callable[[], bool],
        fault: CommitFaults,
        slowness: Callable[[], float],
    ) -> None:
        self._database = database
        self._alive = alive
        self._fault = fault
        self._slowness = slowness

    def write(self) -> "_SlowUnit":
        """Open a unit of work that may write; it takes a while, in which others wait for it or read."""
        return _SlowUnit(self._database.write(), self._spoil, self._slowness)

    def read(self) -> AbstractAsyncContextManager[FakeUnitOfWork]:
        """Open a unit of work that only reads."""
        return self._database.read()

    def _spoil(self, unit: FakeUnitOfWork) -> None:
        """Let this unit's commit meet its fault."""
        commit = unit.commit

        async def commit_or_not() -> None:
            changes: Changes = {}
            for name, _, old, new in unit.changes():
                if old is not new:
                    changes.setdefault(name, []).append((old, new))
            fault = self._fault(changes.keys())
            if not self._alive() or fault == "before":
                raise ControllerDied
            if fault == "refused":
                raise DiskRefusedError("no space left for the database")
            await commit()
            self._database.watch(unit.committed.tables if unit.committed else {}, changes)
            if fault == "after":
                raise ControllerDied

        unit.commit = commit_or_not  # type: ignore[method-assign]


class _SlowUnit:
    """A unit of work that may write, in a life that may end and on a disk that is slow."""

    __slots__ = ("_slowness", "_spoil", "_unit")

    def __init__(
        self,
        unit: AbstractAsyncContextManager[FakeUnitOfWork],
        spoil: Callable[[FakeUnitOfWork], None],
        slowness: Callable[[], float],
    ) -> None:
        self._unit, self._spoil, self._slowness = unit, spoil, slowness

    async def __aenter__(self) -> FakeUnitOfWork:
        unit = await self._unit.__aenter__()
        self._spoil(unit)
        slow = self._slowness()
        if slow:
            try:
                await asyncio.sleep(slow)
            except BaseException as error:
                await self._unit.__aexit__(type(error), error, error.__traceback__)
                raise
        return unit

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._unit.__aexit__(kind, error, trace)
