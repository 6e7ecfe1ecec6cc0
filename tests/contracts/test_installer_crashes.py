"""What every installer promises when it is killed: one suite, one bench per installer.

Each test kills the process (SIGKILL, in a fork) at every file operation and program start in turn, until a run comes
through, and compares the computer with the model: OLD or NEW, then the normal way on (fault cases 42, 44, 47).
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sopwith_agent.steps.installer_port import OnDisk
from tests.contracts.installer_benches import V1, V2, Bench, install, version_of

pytestmark = pytest.mark.timeout(300)
"""Some installers start a slow program (pip) anew for every point."""

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
    install(bench, V1, "")
    work = bench.work(V2, V1)

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
            assert bench.running() == V2
        if found is not OnDisk.OLD:
            assert committed
            bench.installer.roll_back(work)
        assert (version_of(bench, work), bench.running()) == (V1, V1)
        journal.unlink(missing_ok=True)
        point += 1

    assert point > 5
    assert bench.running() == V2
    assert journal.read_text() == "commit\n"


def test_killed_at_any_point_of_a_rollback_the_next_one_ends_at_the_old_version(bench: Bench, tmp_path: Path) -> None:
    install(bench, V1, "")
    work, _ = install(bench, V2, V1)
    folders = {work.root: tmp_path / "saved-root", work.kept: tmp_path / "saved-kept"}
    for folder, saved in folders.items():
        shutil.copytree(folder, saved, symlinks=True)

    point = 1
    while killed_at(point, partial(bench.installer.roll_back, work)):
        assert bench.installer.recover(work) in set(OnDisk)
        bench.installer.roll_back(work)
        assert (version_of(bench, work), bench.running()) == (V1, V1)
        for folder, saved in folders.items():
            shutil.rmtree(folder)
            shutil.copytree(saved, folder, symlinks=True)
        point += 1

    assert point > 1
    assert bench.running() == V1
