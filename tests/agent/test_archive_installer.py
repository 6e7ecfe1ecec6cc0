"""The archive installer on honest archives of every kind, and on computers that are not as it left them."""

import gzip
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sopwith_agent.adapters.installers.archive import ArchiveInstaller
from sopwith_agent.domain.errors import StepError
from sopwith_agent.domain.retention import Retention
from sopwith_agent.steps.installer_port import InstallWork, OnDisk
from sopwith_formats.vocabulary import Symptom
from tests.agent.archives import (
    archive_work,
    file_member,
    folder_member,
    hello_archive,
    link_member,
    lying_in,
    program,
    tar_bytes,
    zip_bytes,
    zstd_bytes,
)

ARCHIVE = ArchiveInstaller()


def install(work: InstallWork) -> list[str]:
    commits: list[str] = []
    ARCHIVE.prepare(work)
    ARCHIVE.apply(work, lambda: commits.append("commit"))
    return commits


def laid(tmp_path: Path) -> dict[str, str]:
    return lying_in(tmp_path / "root/opt/hello")


def test_tree_is_laid_as_the_archive_says(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        install(archive_work(tmp_path, hello_archive("1.0")))
    finally:
        os.umask(old)

    found = laid(tmp_path)
    assert found["current"] == "-> 1.0"
    assert found["1.0/bin/hello"].startswith("755 ")
    assert found["1.0/share/doc/readme.txt"].startswith("644 ")
    assert found["1.0/hello"] == "-> bin/hello"
    assert found["1.0/share/hello-again"] == found["1.0/bin/hello"]
    assert (tmp_path / "root/opt/hello/1.0/share").stat().st_mode & 0o777 == 0o755
    assert set(found) == {
        "current",
        "1.0",
        "1.0/bin",
        "1.0/bin/hello",
        "1.0/hello",
        "1.0/share",
        "1.0/share/doc",
        "1.0/share/doc/readme.txt",
        "1.0/share/hello-again",
    }


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd_bytes])
def test_every_tar_format_and_packing_gives_the_same_tree(
    tmp_path: Path, form: int, pack: Callable[[bytes], bytes]
) -> None:
    long_name = "a-folder-with-a-long-name/" * 4 + "file.txt"
    members = [folder_member("bin"), file_member("bin/hello", program("1.0"), 0o755), file_member(long_name, b"deep")]
    if form != tarfile.USTAR_FORMAT:
        members += [file_member("n" * 200), link_member("l", "n" * 200), file_member("\u00fcber.txt")]

    assert install(archive_work(tmp_path, pack(tar_bytes(members, form)))) == ["commit"]

    root = tmp_path / "root/opt/hello/current"
    assert (root / long_name).read_bytes() == b"deep"
    assert (root / "bin/hello").read_bytes() == program("1.0")
    assert form == tarfile.USTAR_FORMAT or (root / "\u00fcber.txt").is_file()


def test_zip_is_laid_like_a_tar(tmp_path: Path) -> None:
    install(
        archive_work(tmp_path, zip_bytes({"bin/": b"", "bin/hello": program("1.0"), "l\u00e4ng/x": b"x" * 300_000}))
    )

    root = tmp_path / "root/opt/hello/current"
    assert (root / "bin/hello").stat().st_mode & 0o777 == 0o755
    assert (root / "l\u00e4ng/x").stat().st_size == 300_000


@pytest.mark.needs_tool("tar")
@pytest.mark.parametrize("form", ["gnu", "posix", "ustar", "v7"])
def test_what_the_tar_program_packs_of_a_folder_is_laid(tmp_path: Path, form: str) -> None:
    build = tmp_path / "build"
    (build / "bin").mkdir(parents=True)
    (build / "bin/hello").write_bytes(program("1.0"))
    (build / "bin/hello").chmod(0o755)
    os.link(build / "bin/hello", build / "bin/again")
    (build / "link").symlink_to("bin/hello")
    packed = tmp_path / "packed.tar.gz"
    subprocess.run(["tar", "-C", build, f"--format={form}", "-czf", packed, "."], check=True)

    install(archive_work(tmp_path, packed.read_bytes()))

    found = laid(tmp_path)
    assert found["1.0/bin/again"] == found["1.0/bin/hello"]
    assert found["1.0/link"] == "-> bin/hello"


@pytest.mark.needs_tool("git")
def test_what_git_archive_packs_is_laid(tmp_path: Path) -> None:
    build = tmp_path / "build"
    build.mkdir()
    (build / "hello").write_bytes(program("1.0"))
    git = ["git", "-C", str(build), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)
    packed = subprocess.run([*git, "archive", "--format=tar.gz", "HEAD"], check=True, capture_output=True).stdout

    install(archive_work(tmp_path, packed))

    assert (tmp_path / "root/opt/hello/current/hello").read_bytes() == program("1.0")


def test_place_and_link_are_the_releases_choice(tmp_path: Path) -> None:
    install(archive_work(tmp_path, hello_archive("1.0"), into="/srv/apps/hello", link="live"))

    assert (tmp_path / "root/srv/apps/hello/live/bin/hello").is_file()


@pytest.mark.parametrize(("versions", "stay"), [(1, ["3.0", "4.0"]), (2, ["2.0", "3.0", "4.0"])])
def test_version_before_stays_and_older_ones_as_the_sop_says(tmp_path: Path, versions: int, stay: list[str]) -> None:
    before = ""
    for version in ("1.0", "2.0", "3.0", "4.0"):
        work = archive_work(tmp_path, hello_archive(version), version=version, before=before)
        install(replace(work, retention=Retention(versions)))
        before = version

    folders = sorted(path.name for path in (tmp_path / "root/opt/hello").iterdir())
    assert folders == [*stay, "current"]


def test_folders_of_somebody_else_are_never_removed(tmp_path: Path) -> None:
    (tmp_path / "root/opt/hello/data").mkdir(parents=True)
    (tmp_path / "root/opt/hello/0.9").mkdir()
    before = ""
    for version in ("1.0", "2.0", "3.0"):
        install(archive_work(tmp_path, hello_archive(version), version=version, before=before))
        before = version

    assert {"data", "0.9"} < {path.name for path in (tmp_path / "root/opt/hello").iterdir()}


def test_folder_of_the_version_that_somebody_else_made_is_left_alone(tmp_path: Path) -> None:
    work = archive_work(tmp_path, hello_archive("1.0"))
    theirs = tmp_path / "root/opt/hello/1.0"
    theirs.mkdir(parents=True)
    (theirs / "extra").write_text("somebody's")
    before = laid(tmp_path)

    with pytest.raises(StepError) as refused:
        ARCHIVE.prepare(work)

    assert refused.value.symptom is Symptom.FILE_OR_SERVICE_IN_USE
    assert laid(tmp_path) == before


def test_equal_folder_that_somebody_else_made_is_used_and_survives_a_rollback(tmp_path: Path) -> None:
    install(archive_work(tmp_path, hello_archive("1.0")))
    shutil.rmtree(tmp_path / "kept")
    (tmp_path / "root/opt/hello/current").unlink()
    work = archive_work(tmp_path, hello_archive("1.0"))

    install(work)
    ARCHIVE.roll_back(work)

    assert "current" not in laid(tmp_path)
    assert "1.0/bin/hello" in laid(tmp_path)


def test_whole_folder_of_an_earlier_try_is_used_as_it_is(tmp_path: Path) -> None:
    work = archive_work(tmp_path, hello_archive("1.0"))
    install(work)
    (tmp_path / "root/opt/hello/current").unlink()
    inode = (tmp_path / "root/opt/hello/1.0/bin/hello").stat().st_ino

    assert install(work) == ["commit"]

    assert (tmp_path / "root/opt/hello/1.0/bin/hello").stat().st_ino == inode


def test_changed_file_in_the_folder_of_an_earlier_try_is_noticed(tmp_path: Path) -> None:
    work = archive_work(tmp_path, hello_archive("1.0"))
    install(work)
    (tmp_path / "root/opt/hello/current").unlink()
    (tmp_path / "root/opt/hello/1.0/bin/hello").write_bytes(program("6.6"))

    install(work)

    assert (tmp_path / "root/opt/hello/1.0/bin/hello").read_bytes() == program("1.0")


def test_half_unpacked_folder_of_a_crash_is_swept(tmp_path: Path) -> None:
    (tmp_path / "root/opt/hello/.sopwith-1.0/bin").mkdir(parents=True)

    install(archive_work(tmp_path, hello_archive("1.0")))

    assert not [name for name in laid(tmp_path) if ".sopwith" in name]


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("/srv/elsewhere")])
def test_something_else_in_the_place_of_the_link_is_left_alone(tmp_path: Path, make: Callable[[Path], None]) -> None:
    work = archive_work(tmp_path, hello_archive("1.0"))
    place = tmp_path / "root/opt/hello/current"
    place.parent.mkdir(parents=True)
    make(place)
    before = laid(tmp_path)

    with pytest.raises(StepError) as refused:
        ARCHIVE.prepare(work)

    assert refused.value.symptom is Symptom.FILE_OR_SERVICE_IN_USE
    assert laid(tmp_path) == before


def test_link_to_a_version_that_is_gone_is_broken_and_rolled_back(tmp_path: Path) -> None:
    install(archive_work(tmp_path, hello_archive("1.0")))
    work = archive_work(tmp_path, hello_archive("2.0"), version="2.0", before="1.0")
    install(work)
    (tmp_path / "root/opt/hello/2.0").rename(tmp_path / "taken-away")

    assert ARCHIVE.recover(work) is OnDisk.BROKEN
    assert ARCHIVE.installed_version(work.manifest, work.artifacts, work.root) == ""
    ARCHIVE.roll_back(work)
    assert ARCHIVE.installed_version(work.manifest, work.artifacts, work.root) == "1.0"


def test_rollback_without_the_old_folder_says_so(tmp_path: Path) -> None:
    install(archive_work(tmp_path, hello_archive("1.0")))
    work = archive_work(tmp_path, hello_archive("2.0"), version="2.0", before="1.0")
    install(work)
    (tmp_path / "root/opt/hello/1.0").rename(tmp_path / "taken-away")

    with pytest.raises(StepError) as failed:
        ARCHIVE.roll_back(work)

    assert failed.value.symptom is Symptom.ROLLBACK_FAILED
    assert failed.value.changed


def test_two_archives_for_one_computer_are_not_applicable(tmp_path: Path) -> None:
    work = archive_work(tmp_path, hello_archive("1.0"))
    two = (work.artifacts[0], replace(work.artifacts[0], file="other"))

    refusal = ARCHIVE.applicable(work.manifest, two, work.root)

    assert refusal is not None
    assert refusal.symptom is Symptom.NOT_APPLICABLE


def test_folder_that_may_not_be_written_is_told_as_such(tmp_path: Path) -> None:
    work = archive_work(tmp_path, hello_archive("1.0"))
    (tmp_path / "root/opt").write_text("a file where a folder should be")

    with pytest.raises(StepError) as failed:
        install(work)

    assert not failed.value.changed
    assert str(tmp_path / "root/opt") in failed.value.message
