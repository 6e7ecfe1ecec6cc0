"""Real SQLite under a controller that dies: each life opens what the one before had left on the disk, and nothing more.

Decides what a killed process leaves: the database file and its journal as they lie there at that moment, copied into a
folder of the next life; whatever connections, locks and caches the dead one had are gone. Statements run at once on
the simulation's loop instead of in aiosqlite's threads, because virtual time would run on meanwhile; everything else
(SQLAlchemy, transactions, the journal, fsync) is the controller's own. The journal is never folded into the file while
it is copied, so that a copy is what a kill would have left. `tables` is what the promises are judged by: read back from
the file after each commit.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from aiosqlite.core import Connection
from sqlalchemy import Engine, NullPool, Select, create_engine, select

from sopwith_controller.adapters.database import tables as sql
from sopwith_controller.adapters.database.engine import SqlDatabase, open_database
from sopwith_controller.adapters.database.log_tables import update_log, update_log_nodes
from sopwith_controller.adapters.database.transaction import columns_for
from sopwith_controller.adapters.database.unit_of_work import SqlUnitOfWork
from sopwith_controller.domain.deviation import Deviation
from sopwith_controller.domain.entities import Computer
from sopwith_controller.domain.incident_entities import Freeze, Incident, Notification
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_controller.services.ports import Clock
from sopwith_controller.services.repositories import AgentMessageRow
from sopwith_formats.log_entry import LogRow
from sopwith_formats.merkle import TreeNode
from tests.simulation.database import Changes, CommitFaults, ControllerDied, Tables

FILE = "house.db"
_COMPUTERS = [
    sql.computer_presence.c.last_seen_time if item.name == "last_seen_time" else sql.computers.c[item.name]
    for item in fields(Computer)
]
_LOG = [update_log.c["entry_index" if item.name == "index" else item.name] for item in fields(LogRow)]
_NODES = [update_log_nodes.c["node_index" if item.name == "index" else item.name] for item in fields(TreeNode)]
READ_BACK: dict[str, tuple[Select[Any], type[Any], Callable[[Any], Any]]] = {
    "computers": (
        select(*_COMPUTERS).select_from(sql.computers.outerjoin(sql.computer_presence)),
        Computer,
        lambda one: one.id,
    ),
    "rollouts": (select(*columns_for(Rollout, sql.rollouts)), Rollout, lambda one: one.id),
    "assignments": (select(*columns_for(Assignment, sql.assignments)), Assignment, lambda one: one.id),
    "freezes": (select(*columns_for(Freeze, sql.freezes)), Freeze, lambda one: one.id),
    "deviations": (select(*columns_for(Deviation, sql.deviations)), Deviation, lambda one: one.id),
    "incidents": (select(*columns_for(Incident, sql.incidents)), Incident, lambda one: one.id),
    "notifications": (select(*columns_for(Notification, sql.notifications)), Notification, lambda one: one.id),
    "agent_messages": (
        select(*columns_for(AgentMessageRow, sql.agent_messages)),
        AgentMessageRow,
        lambda one: (one.computer_id, one.sequence),
    ),
    "update_log": (select(*_LOG).order_by(update_log.c.entry_index), LogRow, lambda one: one.index),
    "update_log_nodes": (select(*_NODES), TreeNode, lambda one: (one.level, one.index)),
}
"""Table, as the simulation names it: what reads it, what a row becomes, and its key."""


class _AtOnce:
    """Stands in for the queue of aiosqlite's thread: carries out what is put into it."""

    def put_nowait(self, item: tuple[Any, Callable[[], Any]]) -> None:
        future, function = item
        try:
            result = function()
        except BaseException as error:
            if future is None:
                raise
            future.set_exception(error)
        else:
            if future is not None and not future.done():
                future.set_result(result)


class _NoThread:
    """Stands in for the thread itself."""

    daemon = False

    def __init__(self, **_: Any) -> None:
        pass

    def start(self) -> None:
        pass


@contextmanager
def statements_at_once() -> Iterator[None]:
    """Let no statement wait for a thread; close at the end what the dead left open."""
    made: list[Connection] = []
    make = Connection.__init__

    def noted(connection: Connection, *arguments: Any, **more: Any) -> None:
        made.append(connection)
        make(connection, *arguments, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aiosqlite.core.SimpleQueue", _AtOnce)
        patch.setattr("aiosqlite.core.Thread", _NoThread)
        patch.setattr(Connection, "__init__", noted)
        try:
            yield
        finally:
            for connection in made:
                if connection._connection is not None:
                    connection._connection.close()
                    connection._connection = None


def new_file(folder: Path, clock: Clock) -> Path:
    """Return a database file with every table and no row; made once, worlds copy it."""

    async def make() -> None:
        await (await open_database(folder / FILE, clock=clock)).close()

    asyncio.run(make())
    return folder / FILE


class DiskOfLives:
    """What outlives every controller: one folder per life. Implements what the simulation asks of its database."""

    def __init__(self, folder: Path, empty: Path, clock: Clock, watch: Callable[[Tables, Changes], None]) -> None:
        self._folder = folder
        self._clock = clock
        self.watch = watch
        self.tables: Tables = {}
        self.end_of_life: Callable[[], None] = lambda: None
        """Ends the present life at this moment."""
        self._lives = 0
        self._left = folder / "life-0"
        self._left.mkdir(parents=True)
        shutil.copy(empty, self._left / FILE)
        self._furnishing = LifeOnDisk(self, lambda: True, lambda _: "")
        self._current = self._furnishing
        self._all = [self._furnishing]

    def write(self) -> Any:
        """Open a unit of work of nobody's life: the house is furnished by it."""
        return self._furnishing.write()

    def one_life(self, alive: Callable[[], bool], fault: CommitFaults, _slowness: Callable[[], float]) -> "LifeOnDisk":
        """Return the database as the next controller finds it."""
        if self._current is self._furnishing:
            self.leave()
        self._current = LifeOnDisk(self, alive, fault)
        self._all.append(self._current)
        return self._current

    def found(self) -> Path:
        """Return the file that the present life opens."""
        return self._left / FILE

    @property
    def clock(self) -> Clock:
        return self._clock

    def leave(self) -> None:
        """Keep what lies on the disk at this moment for the next life."""
        self._lives += 1
        left = self._folder / f"life-{self._lives}"
        left.mkdir()
        for name in (FILE, f"{FILE}-wal"):
            if (self._left / name).exists():
                shutil.copy(self._left / name, left / name)
        self._left = left

    def read_back(self, engine: Engine) -> None:
        """Read what was committed, and tell those who watch what changed."""
        with engine.connect() as connection:
            now: Tables = {
                name: {key(one): one for one in (make(*row) for row in connection.execute(statement))}
                for name, (statement, make, key) in READ_BACK.items()
            }
        changes: Changes = {}
        for name, rows in now.items():
            before = self.tables.get(name, {})
            changed = [(before.get(key), row) for key, row in rows.items() if before.get(key) != row]
            if changed:
                changes[name] = changed
        self.tables = now
        self.watch(now, changes)

    def end(self) -> None:
        """Let go of the dead ones' lock files, and forget the folders."""
        for life in self._all:
            life.let_go()
        shutil.rmtree(self._folder)


class LifeOnDisk:
    """Implements the `Database` port for one life of a controller."""

    def __init__(self, disk: DiskOfLives, alive: Callable[[], bool], fault: CommitFaults) -> None:
        self._disk = disk
        self._alive = alive
        self._fault = fault
        self._opening = asyncio.Lock()
        self._database: SqlDatabase | None = None
        self._reader: Engine | None = None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[SqlUnitOfWork]:
        """Open a unit of work that may write."""
        async with (await self._open()).write() as unit:
            self._spoil(unit)
            yield unit

    @asynccontextmanager
    async def read(self) -> AsyncIterator[SqlUnitOfWork]:
        """Open a unit of work that only reads."""
        async with (await self._open()).read() as unit:
            yield unit

    def let_go(self) -> None:
        """Release the lock file, as the kernel does for a process that ends."""
        if self._database is not None and self._database._lock is not None:
            self._database._lock.release()

    async def _open(self) -> SqlDatabase:
        async with self._opening:
            if not self._alive():
                raise ControllerDied
            if self._database is None:
                file = self._disk.found()
                self._database = await open_database(file, clock=self._disk.clock)
                self._reader = create_engine(f"sqlite:///{file}", poolclass=NullPool)
                async with self._database.write() as unit:
                    await unit._transaction.connection.exec_driver_sql("PRAGMA wal_autocheckpoint=0")
            return self._database

    def _spoil(self, unit: SqlUnitOfWork) -> None:
        """Let this unit's commit meet its fault."""
        commit = unit.commit

        async def commit_or_not() -> None:
            fault = self._fault(())
            if fault == "before" and self._alive():
                self._disk.end_of_life()
            if not self._alive():
                raise ControllerDied
            await commit()
            if not self._alive():
                raise ControllerDied
            assert self._reader is not None
            self._disk.read_back(self._reader)
            if fault == "after":
                self._disk.end_of_life()
                raise ControllerDied

        unit.commit = commit_or_not  # type: ignore[method-assign]
