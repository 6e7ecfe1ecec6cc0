"""What every installer promises, on the real archive format and the real dpkg: one suite, one bench per installer.

The crash tests kill the process (SIGKILL, in a fork) at every file operation and program start in turn, until a run
comes through, and compare the computer with the model: OLD or NEW, then the normal way on (fault cases 42, 44, 47).
"""

import hashlib
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest

from sopwith_agent.adapters.installers.archive import ArchiveInstaller
from sopwith_agent.adapters.installers.by_name import InstallersByName
from sopwith_agent.adapters.installers.deb import DebInstaller
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_agent.steps.installer_port import Installer, InstallWork, OnDisk
from sopwith_formats.vocabulary import Symptom
from tests.agent.archives import archive_work, hello_archive, lying_in
from tests.agent.packages import build_package, package_work


class Bench(Protocol):
    """Makes releases for one installer, and reads what runs without asking it."""

    installer: Installer

    def work(self, version: str, before: str) -> InstallWork: ...

    def running(self) -> str: ...


class ArchiveBench:
    installer: Installer = ArchiveInstaller()

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def work(self, version: str, before: str) -> InstallWork:
        return archive_work(self.folder, hello_archive(version), version=version, before=before)

    def running(self) -> str:
        program = self.folder / "root/opt/hello/current/bin/hello"
        return program.read_text().split()[-1] if program.exists() else ""


class DebBench:
    installer: Installer = DebInstaller()

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def work(self, version: str, before: str) -> InstallWork:
        shutil.rmtree(self.folder / f"tree-hello-{version}", ignore_errors=True)
        return package_work(self.folder, build_package(self.folder, version), version=version, before=before)

    def running(self) -> str:
        program = self.folder / "root/usr/bin/hello"
        return program.read_text().split()[-1] if program.exists() else ""


@pytest.fixture(params=["archive", pytest.param("deb", marks=pytest.mark.needs_tool("dpkg-deb"))])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return ArchiveBench(tmp_path) if request.param == "archive" else DebBench(tmp_path)


def install(bench: Bench, version: str, before: str) -> tuple[InstallWork, list[str]]:
    work = bench.work(version, before)
    commits: list[str] = []
    bench.installer.prepare(work)
    bench.installer.apply(work, lambda: commits.append(bench.running()))
    return work, commits


def version_of(bench: Bench, work: InstallWork) -> str:
    return bench.installer.installed_version(work.manifest, work.artifacts, work.root)


def test_nothing_is_installed_in_an_empty_root(bench: Bench) -> None:
    work = bench.work("1.0", "")

    assert bench.installer.applicable(work.manifest, work.artifacts, work.root) is None
    assert version_of(bench, work) == ""
    assert bench.installer.recover(work) is OnDisk.OLD


def test_preparing_changes_nothing_below_the_root(bench: Bench) -> None:
    install(bench, "1.0", "")
    work = bench.work("2.0", "1.0")
    before = lying_in(work.root)

    way = bench.installer.prepare(work)

    assert way.possible
    assert way.kind == "kept"
    assert lying_in(work.root) == before


def test_first_install_is_read_back_and_commits_once_before_the_change(bench: Bench) -> None:
    work, commits = install(bench, "1.0", "")

    assert commits == [""]
    assert version_of(bench, work) == "1.0"
    assert bench.running() == "1.0"
    assert bench.installer.recover(work) is OnDisk.NEW


def test_update_commits_while_the_old_version_still_runs(bench: Bench) -> None:
    install(bench, "1.0", "")

    work, commits = install(bench, "2.0", "1.0")

    assert commits == ["1.0"]
    assert (version_of(bench, work), bench.running()) == ("2.0", "2.0")


def test_applying_again_commits_nothing(bench: Bench) -> None:
    work, commits = install(bench, "1.0", "")

    bench.installer.apply(work, lambda: commits.append("again"))

    assert commits == [""]
    assert bench.running() == "1.0"


def test_rollback_brings_back_what_ran_before_and_may_be_repeated(bench: Bench) -> None:
    install(bench, "1.0", "")
    work, _ = install(bench, "2.0", "1.0")

    for _ in range(2):
        bench.installer.roll_back(replace(work, files=()))

        assert (version_of(bench, work), bench.running()) == ("1.0", "1.0")
        assert bench.installer.recover(work) is OnDisk.OLD


def test_rolled_back_release_can_be_installed_later(bench: Bench) -> None:
    install(bench, "1.0", "")
    work, _ = install(bench, "2.0", "1.0")
    bench.installer.roll_back(work)

    _, commits = install(bench, "2.0", "1.0")

    assert commits == ["1.0"]
    assert bench.running() == "2.0"


def test_rolling_back_a_first_install_removes_it(bench: Bench) -> None:
    work, _ = install(bench, "1.0", "")

    bench.installer.roll_back(work)

    assert (version_of(bench, work), bench.running()) == ("", "")
    assert bench.installer.recover(work) is OnDisk.OLD
    assert not [name for name in lying_in(work.root) if "hello" in name.rpartition("/")[2] and "opt/hello" not in name]


def test_downgrade_is_an_install_like_any_other(bench: Bench) -> None:
    install(bench, "2.0", "")

    work, _ = install(bench, "1.0", "2.0")

    assert (version_of(bench, work), bench.running()) == ("1.0", "1.0")


def test_rollback_of_what_was_never_applied_changes_nothing(bench: Bench) -> None:
    install(bench, "1.0", "")
    work = bench.work("2.0", "1.0")
    bench.installer.prepare(work)

    bench.installer.roll_back(work)

    assert bench.running() == "1.0"


def test_commit_that_cannot_be_recorded_stops_the_install(bench: Bench) -> None:
    install(bench, "1.0", "")
    work = bench.work("2.0", "1.0")
    bench.installer.prepare(work)

    def full_disk() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        bench.installer.apply(work, full_disk)

    assert bench.running() == "1.0"
    assert bench.installer.recover(work) is OnDisk.OLD


def test_staged_file_that_changed_is_refused_before_anything_changes(bench: Bench) -> None:
    install(bench, "1.0", "")
    work = bench.work("2.0", "1.0")
    with work.files[0].path.open("r+b") as file:
        file.seek(300)
        file.write(b"\xff")
    before = lying_in(work.root)

    with pytest.raises(TrustError) as refused:
        bench.installer.prepare(work)

    assert refused.value.symptom is Symptom.DOWNLOAD_DIGEST_MISMATCH
    assert lying_in(work.root) == before


def test_file_that_is_no_archive_or_package_is_refused(bench: Bench) -> None:
    work = bench.work("1.0", "")
    junk = b"\0" * 10 + b"not what it should be" * 100
    work.files[0].path.write_bytes(junk)
    digest = hashlib.sha256(junk).hexdigest()
    staged = replace(work.files[0], length=len(junk), sha256=digest)
    artifact = replace(work.artifacts[0], length=len(junk), sha256=digest)

    with pytest.raises(TrustError) as refused:
        bench.installer.prepare(replace(work, files=(staged,), artifacts=(artifact,)))

    assert refused.value.symptom is Symptom.CONTENT_REFUSED
    assert lying_in(work.root) == {}


def test_unknown_installer_is_answered_with_none() -> None:
    installers = InstallersByName()

    assert installers.by_name("rpm") is None
    assert "archive" in installers.names()


POINTS = {"open", "os.rename", "os.mkdir", "os.symlink", "os.link", "os.remove", "os.rmdir", "os.chmod"} | {
    "subprocess.Popen"
}


def killed_at(point: int, act: Callable[[], Any]) -> bool:
    """Run `act` in a fork that is killed at its n-th point; tell whether it was (False: it came through)."""
    child = os.fork()
    if child == 0:
        count = 0

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal count
            if event not in POINTS or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR) == 0):
                return
            count += 1
            if count == point:
                os.kill(os.getpid(), signal.SIGKILL)

        status = 1
        try:
            sys.addaudithook(watch)
            act()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def test_killed_at_any_point_of_an_update_the_computer_has_old_or_new_and_goes_on(bench: Bench, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    install(bench, "1.0", "")
    work = bench.work("2.0", "1.0")

    def record_commit() -> None:
        descriptor = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, b"commit\n")
        os.close(descriptor)

    def update() -> None:
        bench.installer.prepare(work)
        bench.installer.apply(work, record_commit)

    point = 1
    while killed_at(point, update):
        committed = journal.exists()
        found = bench.installer.recover(work)
        if found is OnDisk.NEW:
            assert committed
            assert bench.running() == "2.0"
        if found is not OnDisk.OLD:
            assert committed
            bench.installer.roll_back(work)
        assert (version_of(bench, work), bench.running()) == ("1.0", "1.0")
        journal.unlink(missing_ok=True)
        point += 1

    assert point > 5
    assert bench.running() == "2.0"
    assert journal.read_text() == "commit\n"


def test_killed_at_any_point_of_a_rollback_the_next_one_ends_at_the_old_version(bench: Bench) -> None:
    install(bench, "1.0", "")
    work, _ = install(bench, "2.0", "1.0")

    point = 1
    while killed_at(point, partial(bench.installer.roll_back, work)):
        assert bench.installer.recover(work) in set(OnDisk)
        bench.installer.roll_back(work)
        assert (version_of(bench, work), bench.running()) == ("1.0", "1.0")
        work, _ = install(bench, "2.0", "1.0")
        point += 1

    assert point > 1
    assert bench.running() == "1.0"


def test_missing_way_back_refuses_the_install_where_the_sop_wants_one(bench: Bench) -> None:
    install(bench, "1.0", "")
    work = bench.work("2.0", "1.0")
    shutil.rmtree(work.kept)
    shutil.rmtree(work.root / "opt/hello/1.0", ignore_errors=True)
    if isinstance(bench, DebBench):
        (work.root / "usr/bin/hello").unlink()
    if isinstance(bench, ArchiveBench):
        work = replace(work, version_before="1.0")
        (work.root / "opt/hello/current").unlink()
    with pytest.raises(StepError) as refused:
        bench.installer.prepare(work)
    assert refused.value.symptom is Symptom.BACKUP_FAILED
    assert not refused.value.changed

    way = bench.installer.prepare(replace(work, backup_required=False))
    assert not way.possible
