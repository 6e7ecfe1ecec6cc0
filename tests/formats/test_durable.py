"""What a file, a folder and a link look like after each durable act, and after one that failed."""

import os
import stat
from pathlib import Path

import pytest

from sopwith_formats import durable


def test_replaced_file_has_the_new_content_and_exactly_the_asked_mode(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(b"old")
    before = os.umask(0o077)

    try:
        durable.durable_replace(file, b"new", 0o640)
    finally:
        os.umask(before)

    assert file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [file]


def test_failed_replace_keeps_the_old_content_and_leaves_nothing_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "state"
    file.write_bytes(b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(OSError, match="No space left"):
        durable.durable_replace(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_content_reaches_the_disk_before_the_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def noted_fsync(descriptor: int) -> None:
        acts.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def noted_rename(source: Path, target: Path) -> None:
        acts.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "rename", noted_rename)

    durable.durable_write(tmp_path / "state", b"x")

    assert acts == ["file", "rename", "folder"]


def test_link_is_switched_in_one_step_and_stays_relative(tmp_path: Path) -> None:
    link = tmp_path / "current"
    durable.durable_symlink("1.0", link)

    durable.durable_symlink("2.0", link)

    assert link.readlink() == Path("2.0")
    assert list(tmp_path.iterdir()) == [link]


def test_link_never_replaces_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "current"
    folder.mkdir()

    with pytest.raises(OSError):
        durable.durable_symlink("2.0", folder)
    assert folder.is_dir()
    assert list(tmp_path.iterdir()) == [folder]


def test_moved_folder_arrives_whole(tmp_path: Path) -> None:
    source = tmp_path / "staging"
    (source / "bin").mkdir(parents=True)
    (source / "bin" / "hello").write_bytes(b"#!")
    (source / "link").symlink_to("nowhere")

    durable.durable_move(source, tmp_path / "2.0")

    assert (tmp_path / "2.0" / "bin" / "hello").read_bytes() == b"#!"
    assert not source.exists()


def test_removing_an_absent_file_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "there").touch()

    durable.durable_remove(tmp_path / "there")
    durable.durable_remove(tmp_path / "absent")

    assert list(tmp_path.iterdir()) == []


def test_private_folder_is_private_even_when_it_was_not(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)

    durable.make_private_folder(tmp_path / "open")
    durable.make_private_folder(tmp_path / "a" / "b")

    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_sweep_removes_only_what_a_power_cut_left(tmp_path: Path) -> None:
    (tmp_path / ".state.0123456789ab.tmp").touch()
    (tmp_path / "state").touch()

    durable.sweep(tmp_path)

    assert list(tmp_path.iterdir()) == [tmp_path / "state"]


def test_a_file_that_cannot_be_written_is_named_by_its_own_name(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        durable.durable_replace(tmp_path / "nowhere" / "sop.md", b"text")

    assert caught.value.filename == str(tmp_path / "nowhere" / "sop.md")
