"""What every journal promises; the file journal is the one there is, and the tests of the steps run on it too."""

import errno
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sopwith_agent.adapters import journal as journal_module
from sopwith_agent.adapters.journal import FileJournal
from sopwith_agent.domain import limits
from sopwith_agent.domain.errors import JournalError
from sopwith_agent.domain.record import Record
from sopwith_formats.vocabulary import AssignmentState
from tests.agent.domain.test_record import WARRANT

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


def record(number: int, state: AssignmentState = AssignmentState.STAGED, **changes: object) -> Record:
    warrant = replace(WARRANT, assignment_id=f"a-{number}")
    begun = NOW + timedelta(seconds=number)
    made = Record(warrant.payload().decode(), "00", state, begun, begun)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def journal(tmp_path: Path) -> FileJournal:
    return FileJournal(tmp_path / "journal")


def test_record_is_found_by_a_new_process(journal: FileJournal, tmp_path: Path) -> None:
    journal.save(record(1))
    journal.save(record(1, AssignmentState.INSTALLING, commits=1))

    again = FileJournal(tmp_path / "journal")

    assert again.load("a-1") == record(1, AssignmentState.INSTALLING, commits=1)
    assert again.load("a-2") is None


def test_records_come_oldest_first(journal: FileJournal) -> None:
    for number in (3, 1, 2):
        journal.save(record(number))

    assert [found.warrant.assignment_id for found in journal.records()] == ["a-1", "a-2", "a-3"]


@pytest.mark.parametrize("damage", [b"", b"\x00" * 64, b'{"format":1,"state":"STAG', b"[]"])
def test_torn_record_is_set_aside_and_hides_no_other(journal: FileJournal, tmp_path: Path, damage: bytes) -> None:
    journal.save(record(1))
    journal.save(record(2))
    path = tmp_path / "journal" / "assignments" / "a-1.json"
    path.write_bytes(damage)

    assert journal.load("a-1") is None
    assert [found.warrant.assignment_id for found in journal.records()] == ["a-2"]
    assert path.with_name("a-1.json.broken").read_bytes() == damage


def test_records_are_for_this_user_only(journal: FileJournal, tmp_path: Path) -> None:
    journal.save(record(1))

    folder = tmp_path / "journal" / "assignments"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "a-1.json").stat().st_mode & 0o777 == 0o600


def test_full_disk_is_told_and_leaves_the_old_record(
    journal: FileJournal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    journal.save(record(1))

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(journal_module, "durable_replace", full)
    with pytest.raises(JournalError, match="No space left"):
        journal.save(record(1, AssignmentState.INSTALLING))

    found = FileJournal(tmp_path / "journal").load("a-1")
    assert found is not None
    assert found.state is AssignmentState.STAGED


def test_only_the_newest_finished_records_are_kept(journal: FileJournal) -> None:
    journal.save(record(0))
    count = limits.journal_finished_max + 5
    for number in range(1, count + 1):
        journal.save(record(number, AssignmentState.ENDED, outcome="SUCCEEDED", reported=True))

    kept = {found.warrant.assignment_id for found in journal.records()}
    assert "a-0" in kept
    assert f"a-{count}" in kept
    assert "a-1" not in kept
    assert len(kept) == limits.journal_finished_max + 1


def test_leftovers_of_a_power_cut_go(tmp_path: Path) -> None:
    folder = tmp_path / "journal" / "assignments"
    folder.mkdir(parents=True)
    (folder / ".a-1.json.00ff.tmp").write_bytes(b"half")

    journal = FileJournal(tmp_path / "journal")

    assert journal.records() == []
    assert list(folder.iterdir()) == []


def test_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("a file")

    with pytest.raises(JournalError, match="journal"):
        FileJournal(tmp_path / "journal")
