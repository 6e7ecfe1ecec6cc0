"""The rpm installer on the real rpm, with a database of its own below the root; packages are built by rpmbuild."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sopwith_agent.adapters.installers.rpm import RpmInstaller
from sopwith_agent.adapters.package_lock import lock_holder
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_agent.steps.installer_port import InstallWork, OnDisk, PreviousRelease
from sopwith_formats.vocabulary import Symptom
from tests.agent.rpms import build_rpm, rpm_below, rpm_work

pytestmark = [
    pytest.mark.needs_tool("rpm", "rpmbuild"),
    pytest.mark.skipif(os.geteuid() != 0, reason="rpm changes its root folder, which only root may"),
]

SLOW = "%post -p <lua>\nposix.sleep(20)\n"
"""A script that rpm runs by itself, so that the root needs no shell; rpm is in the middle of its work meanwhile."""


def installed(work: InstallWork) -> str:
    return RpmInstaller().installed_version(work.manifest, work.artifacts, work.root)


def install(work: InstallWork) -> InstallWork:
    RpmInstaller().prepare(work)
    RpmInstaller().apply(work, lambda: None)
    return work


def refused(work: InstallWork) -> StepError:
    with pytest.raises(StepError) as error:
        RpmInstaller().prepare(work)
    assert not error.value.changed
    return error.value


def test_missing_dependency_is_found_before_anything_changes(tmp_path: Path) -> None:
    package = build_rpm(tmp_path, "1.0-1", fields="Requires: libmissing >= 2")

    error = refused(rpm_work(tmp_path, package, version="1.0-1"))

    assert error.symptom is Symptom.DEPENDENCY_CONFLICT
    assert "libmissing" in error.message
    assert not (tmp_path / "root/usr").exists()


def test_conflict_with_an_installed_package_is_found_before_anything_changes(tmp_path: Path) -> None:
    install(rpm_work(tmp_path, build_rpm(tmp_path, "1.0-1"), version="1.0-1"))
    other = build_rpm(tmp_path, "1.0-1", name="rival", fields="Conflicts: hello")

    error = refused(rpm_work(tmp_path, other, version="1.0-1", before=""))

    assert error.symptom is Symptom.DEPENDENCY_CONFLICT


def test_file_of_another_package_is_a_conflict(tmp_path: Path) -> None:
    install(rpm_work(tmp_path, build_rpm(tmp_path, "1.0-1", name="other", extra={"etc/shared": "1"}), version="1.0-1"))
    package = build_rpm(tmp_path, "2.0-1", extra={"etc/shared": "2"})

    assert refused(rpm_work(tmp_path, package, version="2.0-1")).symptom is Symptom.DEPENDENCY_CONFLICT


def test_packages_that_need_each_other_come_in_one_act_and_go_in_one(tmp_path: Path) -> None:
    package = build_rpm(tmp_path, "1.0-1", fields="Requires: hello-data = 3-1")
    data = build_rpm(tmp_path, "3-1", name="hello-data", fields="Requires: hello")
    work = install(rpm_work(tmp_path, package, data, version="1.0-1"))
    assert sorted(rpm_below(work.root, "-qa").split()) == ["hello-1.0-1.noarch", "hello-data-3-1.noarch"]

    RpmInstaller().roll_back(work)

    assert rpm_below(work.root, "-qa") == ""
    assert not (work.root / "usr/bin/hello").exists()


def test_epoch_is_part_of_the_version(tmp_path: Path) -> None:
    package = build_rpm(tmp_path, "1.0-1", fields="Epoch: 2")

    work = install(rpm_work(tmp_path, package, version="2:1.0-1"))

    assert installed(work) == "2:1.0-1"


def test_package_of_another_version_than_the_release_says_is_refused(tmp_path: Path) -> None:
    package = build_rpm(tmp_path, "1.0-1")

    with pytest.raises(TrustError) as error:
        RpmInstaller().prepare(rpm_work(tmp_path, package, version="1.1-1"))

    assert error.value.symptom is Symptom.CONTENT_REFUSED


def test_way_back_comes_from_the_source_where_nothing_was_kept(tmp_path: Path) -> None:
    old = build_rpm(tmp_path, "1.0-1")
    (tmp_path / "root").mkdir()
    rpm_below(tmp_path / "root", "-U", old)
    before = rpm_work(tmp_path, old, version="1.0-1")
    work = rpm_work(tmp_path, build_rpm(tmp_path, "2.0-1"), version="2.0-1", before="1.0-1")
    work = replace(work, previous=PreviousRelease(before.manifest, before.files))

    way = RpmInstaller().prepare(work)
    RpmInstaller().apply(work, lambda: None)
    RpmInstaller().roll_back(work)

    assert way.kind == "source"
    assert installed(work) == "1.0-1"


def test_package_that_somebody_else_installed_and_nobody_kept_has_no_way_back(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    rpm_below(tmp_path / "root", "-U", build_rpm(tmp_path, "1.0-1"))

    error = refused(rpm_work(tmp_path, build_rpm(tmp_path, "2.0-1"), version="2.0-1", before="1.0-1"))

    assert error.symptom is Symptom.BACKUP_FAILED


def test_held_lock_is_named_and_never_broken(tmp_path: Path) -> None:
    install(rpm_work(tmp_path, build_rpm(tmp_path, "1.0-1"), version="1.0-1"))
    work = rpm_work(tmp_path, build_rpm(tmp_path, "2.0-1"), version="2.0-1", before="1.0-1")
    program = (
        "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.lockf(file, fcntl.LOCK_EX); "
        "print('held', flush=True); sys.stdin.read()"
    )
    command: list[str | Path] = [sys.executable, "-c", program, work.root / "var/lib/rpm/.rpm.lock"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"

        error = refused(work)

        assert error.symptom is Symptom.PACKAGE_LOCK_HELD
        assert str(holder.pid) in error.message
        assert str(holder.pid) in (lock_holder(work.root) or "")
        holder.stdin.close()
    assert RpmInstaller().prepare(work).possible


def test_computer_that_keeps_its_packages_with_dpkg_is_left_alone(tmp_path: Path) -> None:
    work = rpm_work(tmp_path, build_rpm(tmp_path, "1.0-1"), version="1.0-1")
    (work.root / "var/lib/dpkg").mkdir(parents=True)
    (work.root / "var/lib/dpkg/status").touch()

    refusal = RpmInstaller().applicable(work.manifest, work.artifacts, work.root)

    assert refusal is not None
    assert refusal.symptom is Symptom.NOT_APPLICABLE


def test_rpm_killed_in_the_middle_is_found_broken_and_goes_back_to_a_consistent_database(tmp_path: Path) -> None:
    install(rpm_work(tmp_path, build_rpm(tmp_path, "1.0-1"), version="1.0-1"))
    work = rpm_work(tmp_path, build_rpm(tmp_path, "2.0-1", scripts=SLOW), version="2.0-1", before="1.0-1")
    RpmInstaller().prepare(work)

    def kill_rpm() -> None:
        while True:
            time.sleep(0.02)
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    words = (process / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                changed = (work.root / "usr/bin/hello").read_text().split()[-1] == "2.0-1"
                if changed and words[0] == b"rpm" and b"-U" in words and str(work.root).encode() in words:
                    os.kill(int(process.name), signal.SIGKILL)
                    return

    killer = threading.Thread(target=kill_rpm)
    killer.start()
    with pytest.raises(StepError) as failed:
        RpmInstaller().apply(work, lambda: None)
    killer.join()

    found = RpmInstaller().recover(work)
    RpmInstaller().roll_back(work)

    assert failed.value.changed
    assert found is OnDisk.BROKEN
    assert (installed(work), (work.root / "usr/bin/hello").read_text().split()[-1]) == ("1.0-1", "1.0-1")
    assert rpm_below(work.root, "-qa") == "hello-1.0-1.noarch\n"
    assert rpm_below(work.root, "-V", "--nodeps", "hello") == ""
    assert RpmInstaller().recover(work) is OnDisk.OLD


def test_changed_configuration_file_is_no_damage_and_another_changed_file_is(tmp_path: Path) -> None:
    package = build_rpm(tmp_path, "1.0-1", configuration="a")
    work = install(rpm_work(tmp_path, package, version="1.0-1"))

    (work.root / "etc/hello.conf").write_text("an administrator's word")
    found = RpmInstaller().recover(work)
    (work.root / "usr/bin/hello").write_text("cut off")

    assert found is OnDisk.NEW
    assert RpmInstaller().recover(work) is OnDisk.BROKEN
