"""Computers' reports through the real service into SQLite, beside the bare tables and bare SQLite, on the same disk.

Three ways for as many rows, all in groups of 1,000 with a commit that reaches the disk: `services.progress` (what a
report changes, the message and the computer), the message rows alone through the repository, and `executemany` of
Python's own sqlite3. The second is the path that the limit means; the first shows what recording costs beyond it.
"""

import asyncio
import hashlib
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

from bench.measure import Line

from sopwith_controller.adapters.clock import SystemClock
from sopwith_controller.adapters.database.engine import SqlDatabase, open_database
from sopwith_controller.adapters.ids import RandomIds
from sopwith_controller.domain.entities import Readiness
from sopwith_controller.services.agent_reports import ReadinessReported, Report
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.progress import Progress
from sopwith_controller.services.repositories import AgentMessageRow
from sopwith_controller.services.rollout_records import RolloutRecords
from tests import builders

GROUP = 1000
GROUPS = 20
COMPUTERS = 500
LIMIT_ROWS = 100_000
"""Rows a second through the store path, SQLite with synchronous=FULL."""


def lines() -> list[Line]:
    """Measure the three ways."""
    with tempfile.TemporaryDirectory() as folder:
        bare = _bare(Path(folder) / "bare.db")
        service, store = asyncio.run(_through_the_house(Path(folder) / "house.db"))
    return [
        Line(
            "event store path, SQLite",
            f"{store:,.0f} rows/s",
            f"{LIMIT_ROWS:,} rows/s",
            LIMIT_ROWS / store,
            f"bare sqlite3 executemany: {bare:,.0f} rows/s ({bare / store:.1f} x)",
        ),
        Line(
            "reports through the progress service",
            f"{service:,.0f} reports/s",
            "6,000 reports/s over mTLS",
            6000 / service,
            f"{store / service:.1f} x the store path alone",
        ),
    ]


def _bare(path: Path) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE m (c TEXT, s INTEGER, k TEXT, d TEXT, t TEXT, PRIMARY KEY (c, s)) WITHOUT ROWID")
    groups = [[_row(number, group) for number in range(GROUP)] for group in range(GROUPS)]
    begun = time.perf_counter()
    for group in groups:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT INTO m VALUES (?, ?, ?, ?, ?)",
            [(row.computer_id, row.sequence, row.kind, row.sha256, row.received_time.isoformat()) for row in group],
        )
        connection.execute("COMMIT")
    took = time.perf_counter() - begun
    connection.close()
    return GROUP * GROUPS / took


async def _through_the_house(path: Path) -> tuple[float, float]:
    clock = SystemClock()
    database = await open_database(path, clock=clock, signer=None, checkpoints=None)
    try:
        async with database.write() as unit:
            await unit.put_settings(builders.settings())
            for number in range(COMPUTERS):
                await unit.computers.put(builders.computer(f"pc{number}"))
            await unit.commit()
        store = await _timed(lambda group: _store(database, group))
        records = RolloutRecords()
        incidents = Incidents(database, clock, RandomIds(), records, timers=_NoTimers(), wake=lambda: None)
        progress = Progress(database, clock, incidents, records, lambda *_: True)
        service = await _timed(lambda group: _record(progress, group))
    finally:
        await database.close()
    return service, store


async def _timed(write: Callable[[int], Awaitable[None]]) -> float:
    begun = time.perf_counter()
    for group in range(GROUPS):
        await write(group)
    return GROUP * GROUPS / (time.perf_counter() - begun)


async def _store(database: SqlDatabase, group: int) -> None:
    async with database.write() as unit:
        await unit.agent_messages.add_all([_row(number, group) for number in range(GROUP)])
        await unit.commit()


async def _record(progress: Progress, group: int) -> None:
    """Record messages that follow those of the store path."""
    content = ReadinessReported(Readiness("READY"))
    rows = (_row(number, GROUPS + group) for number in range(GROUP))
    await progress.record([Report(row.computer_id, row.sequence, row.sha256, content) for row in rows])


def _row(number: int, group: int) -> AgentMessageRow:
    """Return a message: every computer sends two in each group."""
    computer, second = number % COMPUTERS, number // COMPUTERS
    sequence = group * (GROUP // COMPUTERS) + second + 1
    digest = hashlib.sha256(f"{computer} {sequence}".encode()).hexdigest()
    return AgentMessageRow(f"c-pc{computer}", sequence, "readiness", digest, builders.NOON)


class _NoTimers:
    """Nothing is due while measuring."""

    def at(self, name: str, time: datetime, work: Callable[[], Awaitable[None]]) -> None:
        """Forget it."""

    def every(self, name: str, interval: timedelta, work: Callable[[], Awaitable[None]]) -> None:
        """Forget it."""
