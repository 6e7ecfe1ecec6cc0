"""Faults 68 and 69: whoever can write to the database file cannot change the update log unseen.

The file is changed by a second process's means, beside the open controller database; nothing is restarted between.
"""
# ruff: noqa: S608  the tests are the attacker; names and numbers are their own

import shutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sopwith_certs.log_key import LogKey, make_log_key, verify
from sopwith_controller.adapters.database.checkpoint_files import CheckpointFiles
from sopwith_controller.adapters.database.engine import SqlDatabase, open_database
from sopwith_controller.services.update_log import UpdateLogs
from sopwith_formats import merkle
from sopwith_formats.log_entry import ROW_FIELDS, link
from sopwith_formats.log_verification import Verdict
from tests import builders as make
from tests.builders import FixedClock

KEY = make_log_key("log.example.test")
TEXT_COLUMNS = [name for name in ROW_FIELDS if name not in {"index", "attempts", "sop_revision"}]


class Stage:
    """A controller's log of a few hundred entries, and the file beside it."""

    def __init__(self, folder: Path, database: SqlDatabase) -> None:
        self.file = folder / "sopwith.db"
        self.checkpoints = folder / "checkpoints"
        self.database = database

    async def append(self, count: int) -> None:
        """Append entries, ten in a unit of work."""
        for _ in range(count // 10):
            async with self.database.write() as unit:
                for _ in range(10):
                    await unit.update_log.append(make.log_draft(computer="pc1", rollout="r-1", outcome="SUCCEEDED"))
                await unit.commit()
        await self.database.published()

    async def verify(self, key: LogKey = KEY) -> Verdict:
        """Verify as the controller does."""
        logs = UpdateLogs(
            self.database,
            FixedClock(),
            growth=self.database,
            published=CheckpointFiles(self.checkpoints),
            key=key.verifier,
            verify=verify,
        )
        return await logs.verify()

    def change(self, *statements: str | tuple[str, tuple[object, ...]]) -> None:
        """Change the file by plain SQL, as somebody with the file would."""
        with sqlite3.connect(self.file) as connection:
            for statement in statements:
                text, values = statement if isinstance(statement, tuple) else (statement, ())
                assert connection.execute(text, values).rowcount != 0, text
        connection.close()

    def select(self, statement: str) -> list[tuple[object, ...]]:
        """Read the file by plain SQL."""
        with sqlite3.connect(self.file) as connection:
            rows = connection.execute(statement).fetchall()
        connection.close()
        return rows


async def opened(folder: Path) -> SqlDatabase:
    return await open_database(
        folder / "sopwith.db", clock=FixedClock(), signer=KEY, checkpoints=folder / "checkpoints"
    )


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    database = await opened(tmp_path)
    made = Stage(tmp_path, database)
    await made.append(30)
    yield made
    await made.database.close()


def has(verdict: Verdict, text: str) -> bool:
    return any(text in fault for fault in verdict.faults)


async def test_an_untouched_log_has_no_fault(stage):
    verdict = await stage.verify()

    assert verdict.faults == ()
    assert verdict.size == verdict.newest_checkpoint_size == 30


@pytest.mark.clause("V.E Record keeping", "edit")
@pytest.mark.parametrize("column", TEXT_COLUMNS)
async def test_one_changed_character_of_any_column_is_found(stage, column):
    stage.change(f"UPDATE update_log SET {column} = {column} || 'x' WHERE entry_index = 12")

    verdict = await stage.verify()

    assert has(verdict, "Entry 12")


@pytest.mark.parametrize("column", ["attempts", "sop_revision"])
async def test_a_changed_number_is_found(stage, column):
    stage.change(f"UPDATE update_log SET {column} = {column} + 1 WHERE entry_index = 12")

    assert has(await stage.verify(), f"Entry 12: column {column}")


@pytest.mark.parametrize("value", [b"\xff\xfe", 5, 1.5, "\x1b[2J"])
@pytest.mark.parametrize("column", ["outcome", "attempts", "canonical_json", "entry_sha256"])
async def test_a_value_of_another_kind_is_found_and_stops_nothing(stage, column, value):
    stage.change((f"UPDATE update_log SET {column} = ? WHERE entry_index = 12", (value,)))

    verdict = await stage.verify()

    assert has(verdict, "Entry 12")
    assert verdict.size == 30
    assert all(fault.isprintable() for fault in verdict.faults)


async def test_bytes_that_are_no_text_are_found_and_stop_nothing(stage):
    stage.change("UPDATE update_log SET message = CAST(x'70ff31' AS TEXT) WHERE entry_index = 12")

    assert has(await stage.verify(), "Entry 12: column message")


async def test_an_entry_changed_with_its_digest_is_found_by_its_follower_and_the_tree(stage):
    rewrite(stage, first=12, last=12)

    verdict = await stage.verify()

    assert has(verdict, "Entry 13: its digest")
    assert has(verdict, "The tree's hash 12 of level 0 is not that of entry 12.")


async def test_an_entry_changed_with_its_digest_and_leaf_is_found_by_the_tree_above(stage):
    rewrite(stage, first=12, last=29)
    leaf = merkle.leaf_hash(str(stage.select("SELECT canonical_json FROM update_log")[12][0]).encode())
    stage.change(("UPDATE update_log_nodes SET digest = ? WHERE level = 0 AND node_index = 12", (leaf,)))

    verdict = await stage.verify()

    assert not has(verdict, "its digest")
    assert has(verdict, "level 1 is not that of entries 12 to 13")


async def test_a_whole_log_rewritten_with_all_hashes_fails_against_its_checkpoints(stage):
    rewrite(stage, first=12, last=29)
    rewrite_nodes(stage)

    verdict = await stage.verify()

    assert all("checkpoint" in fault for fault in verdict.faults)
    assert has(verdict, "The checkpoint of 30 entries does not fit")


async def test_a_whole_log_rewritten_without_checkpoints_fails_against_the_published_ones(stage):
    rewrite(stage, first=12, last=29)
    rewrite_nodes(stage)
    stage.change("DELETE FROM update_log_checkpoints")
    await stage.database.close()
    stage.database = await opened(stage.file.parent)

    assert has(await stage.verify(), "The checkpoint of 30 entries does not fit")


async def test_a_checkpoint_by_another_key_is_found(stage):
    root = (await stage.verify()).root
    note = make_log_key("log.example.test").sign(30, root)
    stage.change(("UPDATE update_log_checkpoints SET checkpoint = ?", (note,)))

    assert has(await stage.verify(), "is not signed by the log key")


@pytest.mark.parametrize("with_leaf", [False, True])
@pytest.mark.parametrize("index", [0, 12, 29])
async def test_a_deleted_entry_is_found_also_after_the_log_went_on(stage, with_leaf, index):
    stage.change(f"DELETE FROM update_log WHERE entry_index = {index}")
    if with_leaf:
        stage.change(f"DELETE FROM update_log_nodes WHERE level = 0 AND node_index = {index}")
    before = await stage.verify()
    await stage.append(10)

    after = await stage.verify()

    missing = f"Entry {index} is missing."
    assert has(before, missing if index < 29 else "the log had 30 entries")
    assert has(after, missing)
    assert stage.select("SELECT max(entry_index) FROM update_log") == [(39,)]


async def test_an_emptied_log_is_found(stage):
    stage.change("DELETE FROM update_log", "DELETE FROM update_log_nodes", "DELETE FROM update_log_checkpoints")

    assert has(await stage.verify(), "the log had 30 entries")


async def test_swapped_entries_are_found(stage):
    stage.change(
        "UPDATE update_log SET entry_index = -1 WHERE entry_index = 12",
        "UPDATE update_log SET entry_index = 12 WHERE entry_index = 13",
        "UPDATE update_log SET entry_index = 13 WHERE entry_index = -1",
    )

    verdict = await stage.verify()

    assert has(verdict, "Entry 12: column index says 12, the entry itself says 13.")
    assert has(verdict, "Entry 12: its digest")


async def test_an_inserted_entry_is_found(stage):
    columns = ", ".join(name for name in ROW_FIELDS if name != "index")
    stage.change(
        f"INSERT INTO update_log (entry_index, {columns}) SELECT 30, {columns} FROM update_log WHERE entry_index = 29"
    )

    verdict = await stage.verify()

    assert has(verdict, "Entry 30")
    assert has(verdict, "covered by no signed checkpoint")


async def test_a_forged_entry_with_all_its_hashes_is_found(stage):
    columns = ", ".join(name for name in ROW_FIELDS if name != "index")
    stage.change(
        f"INSERT INTO update_log (entry_index, {columns}) SELECT 30, {columns} FROM update_log WHERE entry_index = 29",
        "UPDATE update_log SET canonical_json = replace(canonical_json, '\"index\":29', '\"index\":30') "
        "WHERE entry_index = 30",
    )
    rewrite(stage, first=30, last=30, change=False)
    rewrite_nodes(stage)

    assert (await stage.verify()).faults == ("Entry 30 is covered by no signed checkpoint.",)


async def test_a_restored_old_database_is_found_and_nothing_is_signed_for_it(stage, tmp_path):
    await stage.database.close()
    shutil.copy(stage.file, tmp_path / "backup.db")
    stage.database = await opened(tmp_path)
    await stage.append(20)
    await stage.database.close()
    shutil.copy(tmp_path / "backup.db", stage.file)

    stage.database = await opened(tmp_path)
    assert has(await stage.verify(), "the log had 50 entries")
    await stage.append(30)

    verdict = await stage.verify()
    assert has(verdict, "Entries 30 to 49 are missing.")
    assert has(verdict, "covered by no signed checkpoint")
    assert verdict.newest_checkpoint_size == 50


async def test_a_log_rewritten_under_a_running_controller_does_not_fit_what_it_signs_next(stage):
    rewrite(stage, first=12, last=29)
    rewrite_nodes(stage)

    await stage.append(10)

    assert has(await stage.verify(), "The checkpoint of 40 entries does not fit")


async def test_a_log_rewritten_between_two_runs_is_recorded_further_and_nothing_is_signed_for_it(stage):
    await stage.database.close()
    rewrite(stage, first=12, last=29)
    rewrite_nodes(stage)
    stage.database = await opened(stage.file.parent)

    await stage.append(10)

    assert stage.select("SELECT max(size) FROM update_log_checkpoints") == [(30,)]
    assert stage.select("SELECT count(*) FROM update_log") == [(40,)]


@pytest.mark.parametrize("note", ["", "torn", "log.example.test\n30\n"])
async def test_a_torn_checkpoint_file_is_named_and_the_next_one_replaces_it(stage, note):
    await stage.database.close()
    path = next(stage.checkpoints.iterdir())
    path.write_text(note)
    stage.database = await opened(stage.file.parent)
    assert has(await stage.verify(), "A stored checkpoint cannot be read")

    await stage.append(10)
    await stage.database.close()
    stage.database = await opened(stage.file.parent)

    assert (await stage.verify()).faults == ()


async def test_a_smaller_size_than_published_is_never_published(stage):
    files = CheckpointFiles(stage.checkpoints)
    await stage.database.close()
    stage.database = await opened(stage.file.parent)

    files.publish(KEY.sign(3, bytes(32)))

    assert files.newest().size == 30


def rewrite(stage: Stage, *, first: int, last: int, change: bool = True) -> None:
    """Falsify entry `first` in column and exact bytes, and make every link up to `last` fit again."""
    if change:
        stage.change(
            f"UPDATE update_log SET outcome = 'FAILED', canonical_json = "
            f"replace(canonical_json, '\"SUCCEEDED\"', '\"FAILED\"') WHERE entry_index = {first}"
        )
    rows = stage.select("SELECT canonical_json, entry_sha256 FROM update_log ORDER BY entry_index")
    previous = bytes.fromhex(str(rows[first - 1][1]))
    for index in range(first, last + 1):
        previous = link(previous, str(rows[index][0]).encode())
        stage.change(("UPDATE update_log SET entry_sha256 = ? WHERE entry_index = ?", (previous.hex(), index)))


def rewrite_nodes(stage: Stage) -> None:
    """Make the whole stored tree fit the entries again."""
    tree, nodes = merkle.Frontier(), []
    for (canonical,) in stage.select("SELECT canonical_json FROM update_log ORDER BY entry_index"):
        nodes += tree.append(merkle.leaf_hash(str(canonical).encode()))
    values = [(node.level, node.index, node.digest) for node in nodes]
    stage.change(
        "DELETE FROM update_log_nodes", *(("INSERT INTO update_log_nodes VALUES (?, ?, ?)", one) for one in values)
    )
