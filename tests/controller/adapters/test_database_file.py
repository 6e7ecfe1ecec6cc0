"""The SQLite file: one controller, readers beside it, tables that equal the program's, no half of a change."""

import asyncio
import sqlite3
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from sopwith_certs.log_key import make_log_key, verify
from sopwith_controller.adapters.database import log_tables, practice_tables, tables
from sopwith_controller.adapters.database.checkpoint_files import BLOCK, CheckpointFiles
from sopwith_controller.adapters.database.engine import SqlDatabase, database_url, open_database
from sopwith_controller.domain import deviation, entities, incident_entities, practice_entities, rollout_entities
from sopwith_controller.domain.errors import ConflictError, InvalidInputError, UnavailableError
from sopwith_controller.domain.log_recovery import LogRecovery
from sopwith_controller.services.lasting_repositories import ReceiptRow
from sopwith_controller.services.repositories import AgentMessageRow
from sopwith_controller.services.update_log import UpdateLogs
from sopwith_formats.checkpoint import read_checkpoint
from sopwith_formats.log_entry import ROW_FIELDS
from tests import builders as make
from tests.builders import FixedClock

KEY = make_log_key("log.example.test")


async def opened(folder: Path, **options) -> SqlDatabase:
    return await open_database(folder / "sopwith.db", clock=FixedClock(), **options)


async def test_a_second_controller_is_refused_and_the_first_is_named(tmp_path):
    first = await opened(tmp_path)

    with pytest.raises(UnavailableError, match=r"in use by process \d+") as caught:
        await opened(tmp_path)

    await first.close()
    assert caught.value.remedy
    await (await opened(tmp_path)).close()


async def test_another_process_reads_beside_the_running_controller(tmp_path):
    controller = await opened(tmp_path)
    beside = await opened(tmp_path, read_only=True)
    async with controller.write() as unit:
        await unit.people.put(make.person())
        await unit.commit()

    async with beside.read() as unit:
        assert len(await unit.people.all()) == 1
    with pytest.raises(RuntimeError, match="reading only"):
        async with beside.write():
            pass
    rows = sqlite3.connect(tmp_path / "sopwith.db").execute("SELECT name FROM people").fetchall()
    assert rows == [("owner",)]
    await beside.close()
    await controller.close()


async def test_the_file_keeps_what_was_committed_as_sqlite_can(tmp_path):
    database = await opened(tmp_path)
    async with database.write() as unit:
        connection = unit.update_log._transaction.connection
        found = {}
        for name in ("journal_mode", "synchronous", "foreign_keys"):
            found[name] = (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
    await database.close()

    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_a_file_held_by_somebody_else_is_an_error_and_no_hang(tmp_path, monkeypatch):
    monkeypatch.setattr("sopwith_controller.adapters.database.engine.BUSY_TIMEOUT_SECONDS", 0.1)
    database = await opened(tmp_path)
    holder = sqlite3.connect(tmp_path / "sopwith.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    async def write() -> None:
        async with database.write() as unit:
            await unit.people.put(make.person())
            await unit.commit()

    with pytest.raises(UnavailableError, match="locked"):
        await write()
    holder.execute("ROLLBACK")
    await write()
    holder.close()
    await database.close()


@pytest.mark.parametrize("address", ["mysql://a/b", "nonsense", "sqlite://", "sqlite:///:memory:"])
def test_an_address_that_is_none_is_refused_with_its_mend(address):
    with pytest.raises(InvalidInputError) as caught:
        database_url(address)

    assert "postgresql://" in caught.value.remedy


async def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(UnavailableError):
        await open_database(tmp_path / "none" / "sopwith.db", clock=FixedClock())


async def test_a_file_that_is_no_database_is_an_error(tmp_path):
    (tmp_path / "sopwith.db").write_bytes(b"no database at all, but long enough to be read as one" * 50)

    with pytest.raises(UnavailableError, match="not a database"):
        await opened(tmp_path)


async def test_a_database_of_a_newer_program_is_refused_and_unchanged(tmp_path):
    await (await opened(tmp_path)).close()
    with sqlite3.connect(tmp_path / "sopwith.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(ConflictError, match="newer Sopwith"):
        await opened(tmp_path)
    with pytest.raises(ConflictError, match="another form"):
        await opened(tmp_path, read_only=True)


async def test_a_step_that_fails_leaves_the_database_as_it_was(tmp_path, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("alembic.op.create_index", fail)
    with pytest.raises(ZeroDivisionError):
        await opened(tmp_path)

    connection = sqlite3.connect(tmp_path / "sopwith.db")
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()


@pytest.mark.parametrize(
    ("entity", "table", "elsewhere"),
    [
        (entities.Computer, tables.computers, {"last_seen_time", "change_number"}),
        (entities.Certificate, tables.certificates, set()),
        (entities.Person, tables.people, set()),
        (entities.Token, tables.tokens, set()),
        (entities.Release, tables.releases, set()),
        (entities.SopRevision, tables.sop_revisions, set()),
        (rollout_entities.Rollout, tables.rollouts, set()),
        (rollout_entities.Assignment, tables.assignments, {"change_number"}),
        (incident_entities.Freeze, tables.freezes, set()),
        (deviation.Deviation, tables.deviations, set()),
        (incident_entities.Incident, tables.incidents, set()),
        (incident_entities.Notification, tables.notifications, set()),
        (entities.Settings, tables.settings, {"row"}),
        (AgentMessageRow, tables.agent_messages, set()),
        (ReceiptRow, tables.receipts, set()),
        (practice_entities.KnownComputer, practice_tables.known_computers, set()),
        (practice_entities.TrainingRecord, practice_tables.training_records, set()),
        (practice_entities.SopReview, practice_tables.sop_reviews, set()),
        (practice_entities.ReviewMark, practice_tables.review_marks, set()),
        (practice_entities.Feedback, practice_tables.sop_feedback, set()),
        (LogRecovery, tables.log_recoveries, set()),
    ],
)
def test_each_table_has_the_fields_of_its_entity(entity, table, elsewhere):
    assert {item.name for item in fields(entity)} ^ set(table.columns.keys()) == elsewhere


def test_each_column_of_an_entry_is_one_that_its_digest_covers():
    columns = {name.replace("entry_index", "index") for name in log_tables.update_log.columns.keys()}  # noqa: SIM118

    assert columns == set(ROW_FIELDS)


async def test_old_checkpoints_are_thinned_and_the_newest_of_each_block_stays(tmp_path):
    database = await opened(tmp_path, signer=KEY, checkpoints=tmp_path / "checkpoints")
    for _ in range(6):
        async with database.write() as unit:
            for _ in range(100):
                await unit.update_log.append(make.log_draft())
            await unit.commit()

    async with database.read() as unit:
        sizes = [read_checkpoint(note).size for note in await unit.update_log.checkpoints()]
    await database.close()

    assert sizes == [200, 500, 600]
    assert sorted({size // BLOCK for size in sizes}) == [0, 1, 2]
    assert CheckpointFiles(tmp_path / "checkpoints").newest().size == 600


async def test_a_checkpoint_is_published_only_after_its_entries_are_durable(tmp_path, monkeypatch):
    database = await opened(tmp_path, signer=KEY, checkpoints=tmp_path / "checkpoints")
    published = []

    def publish(_: CheckpointFiles, note: str) -> None:
        with sqlite3.connect(tmp_path / "sopwith.db") as connection:
            stored = connection.execute("SELECT count(*) FROM update_log").fetchone()[0]
        connection.close()
        published.append((read_checkpoint(note).size, stored))

    monkeypatch.setattr(CheckpointFiles, "publish", publish)
    for _ in range(20):
        async with database.write() as unit:
            await unit.update_log.append(make.log_draft())
            await unit.commit()
    await database.close()

    assert published[-1] == (20, 20)
    assert all(size <= stored for size, stored in published)


async def test_a_commit_counts_whatever_its_user_does_afterwards(tmp_path):
    database = await opened(tmp_path, signer=KEY, checkpoints=tmp_path / "checkpoints")

    async def fail_late() -> None:
        async with database.write() as unit:
            await unit.update_log.append(make.log_draft())
            await unit.commit()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_late()
    await database.close()

    assert CheckpointFiles(tmp_path / "checkpoints").newest().size == 1


async def test_a_checkpoint_folder_that_cannot_be_written_stops_no_update(tmp_path):
    (tmp_path / "checkpoints").write_text("no folder")
    database = await opened(tmp_path, signer=KEY, checkpoints=tmp_path / "checkpoints")
    async with database.write() as unit:
        await unit.update_log.append(make.log_draft())
        await unit.commit()
    await database.close()

    reopened = await opened(tmp_path)
    async with reopened.read() as unit:
        assert await unit.update_log.size() == 1
    await reopened.close()


_WRITER = """
import asyncio, itertools, sys
from pathlib import Path
from sopwith_certs.log_key import load_log_key
from sopwith_controller.adapters.clock import SystemClock
from sopwith_controller.adapters.database.engine import open_database
from tests import builders as make

async def main(folder):
    database = await open_database(
        folder / "sopwith.db", clock=SystemClock(), signer=load_log_key(folder / "log_key"),
        checkpoints=folder / "checkpoints",
    )
    async with database.read() as unit:
        start = len(await unit.computers.all())
    for number in itertools.count(start):
        async with database.write() as unit:
            await unit.computers.put(make.computer(f"pc{number}"))
            await unit.update_log.append(make.log_draft(computer=f"pc{number}"))
            await unit.commit()
        print(number, flush=True)

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("acknowledged", [1, 7, 20])
async def test_a_killed_controller_leaves_each_change_with_its_entry_or_neither(tmp_path, acknowledged):
    KEY.save(tmp_path / "log_key")
    for _ in range(2):
        controller = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _WRITER, str(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        assert controller.stdout is not None
        last = [int(await controller.stdout.readline()) for _ in range(acknowledged)][-1]
        controller.kill()
        await controller.wait()

    database = await opened(tmp_path, signer=KEY, checkpoints=tmp_path / "checkpoints")
    async with database.read() as unit:
        computers = {computer.name for computer in await unit.computers.all()}
        logged = {row.computer for row in await unit.update_log.entries(0, 10_000)}
    verdict = await UpdateLogs(
        database,
        FixedClock(),
        growth=database,
        published=CheckpointFiles(tmp_path / "checkpoints"),
        key=KEY.verifier,
        verify=verify,
    ).verify()
    await database.close()

    assert computers == logged
    assert f"pc{last}" in computers
    assert verdict.faults == ()
