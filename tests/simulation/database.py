"""The fake database with an eye on every commit, and with disks that refuse and controllers that die at it.

Decides nothing; `watch` sees the tables before and after each commit, `fault` says what happens to one. A controller
that died writes no more, whatever its unfinished calls still try.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

from sopwith_controller.services.ports import Clock
from tests.fakes.database import FakeDatabase, FakeUnitOfWork

CommitFault = Literal["", "before", "after", "refused"]
Tables = dict[str, dict[Any, Any]]


class ControllerDied(BaseException):
    """The controller's process ended here."""


class DiskRefusedError(Exception):
    """The database could not write."""


class WatchedDatabase(FakeDatabase):
    """The tables that outlive every controller."""

    def __init__(self, clock: Clock, watch: Callable[[Tables, Tables], None]) -> None:
        super().__init__(clock)
        self.watch = watch

    @property
    def tables(self) -> Tables:
        """Return what was committed."""
        return self._state.tables


class DatabaseOfOneLife:
    """Implements the `Database` port for one life of a controller."""

    def __init__(self, database: WatchedDatabase, alive: Callable[[], bool], fault: Callable[[], CommitFault]) -> None:
        self._database = database
        self._alive = alive
        self._fault = fault

    @asynccontextmanager
    async def write(self) -> AsyncIterator[FakeUnitOfWork]:
        """Open a unit of work that may write."""
        database = self._database
        unit: FakeUnitOfWork | None = None
        try:
            async with database.write() as unit:
                self._spoil(unit)
                yield unit
        finally:
            if unit is not None and unit.committed is not None:
                database.watch(unit.state.tables, unit.committed.tables)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[FakeUnitOfWork]:
        """Open a unit of work that only reads."""
        async with self._database.read() as unit:
            yield unit

    def _spoil(self, unit: FakeUnitOfWork) -> None:
        """Let this unit's commit meet its fault."""
        commit = unit.commit

        async def commit_or_not() -> None:
            fault = self._fault()
            if not self._alive() or fault == "before":
                raise ControllerDied
            if fault == "refused":
                raise DiskRefusedError("no space left for the database")
            await commit()
            if fault == "after":
                raise ControllerDied

        unit.commit = commit_or_not  # type: ignore[method-assign]
