"""Opening the controller's database, and handing out units of work over it.

This module decides how SQLite and PostgreSQL are opened so that both keep the same promises: a commit is on the disk
(synchronous=FULL; PostgreSQL's default), writers come one at a time (one writing connection and BEGIN IMMEDIATE; an
advisory lock for the transaction, also across replicas), readers see one consistent state and cannot write.

`open_database` takes `sqlite:///PATH`, `postgresql://...` or a path of a SQLite file.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from sopwith_controller.adapters.database import migrating
from sopwith_controller.adapters.database.checkpoint_files import CheckpointFiles
from sopwith_controller.adapters.database.lock_file import LockFile
from sopwith_controller.adapters.database.to_the_end import to_the_end
from sopwith_controller.adapters.database.transaction import Transaction, translated_errors
from sopwith_controller.adapters.database.unit_of_work import SqlUnitOfWork
from sopwith_controller.adapters.database.update_log_store import Edge, SqlUpdateLog
from sopwith_controller.domain.errors import InvalidInputError
from sopwith_controller.services.ports import Clock
from sopwith_controller.services.update_log_ports import LogSigner
from sopwith_formats.checkpoint import Checkpoint

BUSY_TIMEOUT_SECONDS = 10
READERS_MAX = 8
WRITER_LOCK = 0x536F7077697468
"""Number of the advisory lock that writers take on PostgreSQL."""
_log = structlog.get_logger()


class SqlDatabase:
    """Implements the `Database` port; made by `open_database`, ended by `close`."""

    def __init__(
        self,
        writing: AsyncEngine | None,
        reading: AsyncEngine,
        *,
        clock: Clock,
        signer: LogSigner | None,
        files: CheckpointFiles | None,
        lock: LockFile | None,
    ) -> None:
        self._writing = writing
        self._reading = reading
        self._clock = clock
        self._signer = signer
        self._files = files
        self._lock = lock
        self._published: Checkpoint | None = files.newest() if files else None
        self._edge: Edge | None = None
        self._to_publish = ""
        self._publishing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._growth = asyncio.Event()
        self._owner: asyncio.Task[Any] | None = None

    @asynccontextmanager
    async def write(self) -> AsyncIterator[SqlUnitOfWork]:
        """Open a unit of work that may write; one at a time."""
        if self._writing is None:
            raise RuntimeError("this database was opened for reading only")
        if self._owner is not None and self._owner is asyncio.current_task():
            raise RuntimeError("a unit of work that writes is open in this task already")
        async with self._turn:
            self._owner = asyncio.current_task()
            try:
                async with self._unit(self._writing, writable=True) as unit:
                    try:
                        yield unit
                    finally:
                        self._tell_of(unit)
            finally:
                self._owner = None

    def _tell_of(self, unit: SqlUnitOfWork) -> None:
        """Keep and publish what a unit appended, if it was committed; whatever its user did after the commit."""
        if unit.committed and unit.update_log.appended:
            self._edge = unit.update_log.edge()
            grown, self._growth = self._growth, asyncio.Event()
            grown.set()
            self._publish(unit.update_log.signed)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[SqlUnitOfWork]:
        """Open a unit of work that only reads."""
        async with self._unit(self._reading, writable=False) as unit:
            yield unit

    async def wait_for_growth(self, timeout_seconds: float) -> None:
        """Return when this process committed entries, or after the timeout; other replicas show by the timeout."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._growth.wait(), timeout_seconds)

    async def published(self) -> None:
        """Return when every committed checkpoint lies in its file, or could not be written."""
        if self._publishing is not None:
            await self._publishing

    async def close(self) -> None:
        """Publish what waits and end every connection."""
        await self.published()
        for engine in (self._writing, self._reading):
            if engine is not None:
                await engine.dispose()
        if self._lock is not None:
            self._lock.release()

    @asynccontextmanager
    async def _unit(self, engine: AsyncEngine, *, writable: bool) -> AsyncIterator[SqlUnitOfWork]:
        with translated_errors():
            connection = await _connected(engine)
        try:
            if writable and engine.dialect.name == "postgresql":
                with translated_errors():
                    await to_the_end(connection.execute(text(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")))
            transaction = Transaction(connection, writable=writable)
            log = SqlUpdateLog(
                transaction, self._clock, self._signer, published=self._published, edge=self._edge if writable else None
            )
            try:
                yield SqlUnitOfWork(transaction, self._clock, log)
            finally:
                transaction.end()
        finally:
            await to_the_end(_given_back(connection))

    def _publish(self, note: str) -> None:
        """Write the newest checkpoint file off the loop; what comes meanwhile is written once, the newest."""
        self._to_publish = note
        if note and self._files is not None and (self._publishing is None or self._publishing.done()):
            self._publishing = asyncio.create_task(self._publish_files(self._files))

    async def _publish_files(self, files: CheckpointFiles) -> None:
        while self._to_publish:
            note, self._to_publish = self._to_publish, ""
            try:
                await asyncio.to_thread(files.publish, note)
            except OSError as error:
                _log.exception("checkpoint_publish_failed", error=str(error))
            # Inside the loop: what is committed while the file is read must not wait for the next commit.
            self._published = await asyncio.to_thread(files.newest)


async def _connected(engine: AsyncEngine) -> AsyncConnection:
    """Return a connection; one that came after its asker was cancelled goes back at once."""
    connection = AsyncConnection(engine)
    try:
        await to_the_end(_started(connection))
    except asyncio.CancelledError:
        await to_the_end(_given_back(connection))
        raise
    return connection


async def _started(connection: AsyncConnection) -> None:
    await connection.start()


async def _given_back(connection: AsyncConnection) -> None:
    """Undo what was not committed and let the connection go."""
    with contextlib.suppress(Exception):
        await connection.rollback()
    with contextlib.suppress(Exception):
        await connection.close()


async def open_database(
    address: str | Path,
    *,
    clock: Clock,
    signer: LogSigner | None = None,
    checkpoints: Path | None = None,
    read_only: bool = False,
) -> SqlDatabase:
    """Open, and bring an empty or older database up to date.

    `signer` and `checkpoints` (the folder `log/checkpoints`) belong to the controller itself; others leave them out.
    With `read_only` the database may be in use by a controller. Raise InvalidInputError for an address that is none,
    UnavailableError for a database that does not answer or is in use, ConflictError for one made by a newer program.
    """
    url = database_url(address)
    files = CheckpointFiles(checkpoints) if checkpoints else None
    lock = None
    if url.get_backend_name() == "sqlite" and not read_only:
        with translated_errors():
            lock = LockFile(Path(f"{url.database}.lock"))
            # SQLite gives its other files the mode of this one: what the controller remembers is for its user only.
            os.close(os.open(str(url.database), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    writing = None if read_only else _engine(url, writable=True)
    reading = _engine(url, writable=False)
    database = SqlDatabase(writing, reading, clock=clock, signer=signer, files=files, lock=lock)
    try:
        with translated_errors():
            await migrating.bring_up_to_date(writing) if writing else await migrating.require_current(reading)
    except BaseException:
        await database.close()
        raise
    return database


def database_url(address: str | Path) -> URL:
    """Return the address for SQLAlchemy; raise InvalidInputError for one that Sopwith does not know."""
    remedy = "write sqlite:///PATH or postgresql://USER@HOST/NAME"
    if isinstance(address, Path):
        return URL.create("sqlite+aiosqlite", database=str(address))
    try:
        url = make_url(address)
    except ArgumentError as error:
        raise InvalidInputError("the database address cannot be read", remedy=remedy) from error
    match url.get_backend_name():
        case "sqlite" if url.database and url.database != ":memory:":
            return url.set(drivername="sqlite+aiosqlite")
        case "postgresql" | "postgres":
            return url.set(drivername="postgresql+psycopg")
        case other:
            raise InvalidInputError(f"Sopwith keeps no database at {other!r}", remedy=remedy)


def _engine(url: URL, *, writable: bool) -> AsyncEngine:
    if url.get_backend_name() == "postgresql":
        options = {} if writable else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        return create_async_engine(
            url,
            pool_size=1 if writable else READERS_MAX,
            max_overflow=0,
            pool_pre_ping=True,
            execution_options=options,
        )
    engine = create_async_engine(
        url,
        pool_size=1 if writable else READERS_MAX,
        max_overflow=0,
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS},
    )
    event.listen(engine.sync_engine, "connect", _prepare_writer if writable else _prepare_reader)
    begin = "BEGIN IMMEDIATE" if writable else "BEGIN"
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _prepare_writer(connection: Any, _: Any) -> None:
    _set(connection, "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")


def _prepare_reader(connection: Any, _: Any) -> None:
    _set(connection, "query_only=ON")


def _set(connection: Any, *pragmas: str) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
