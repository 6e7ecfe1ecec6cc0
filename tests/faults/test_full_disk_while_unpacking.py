"""A disk that is too small for a release (fault case 52): told as DISK_FULL, nothing left behind, nothing switched.

A child process mounts a tiny file system of its own below its root, so that the disk is really full and nobody else
notices.
"""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sopwith_agent.adapters.installers.archive import ArchiveInstaller
from sopwith_agent.domain.errors import StepError
from sopwith_formats.vocabulary import Symptom
from tests.agent.archives import archive_work, file_member, lying_in, tar_bytes

_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000
_PRIVATE_RECURSIVE = 0x40000 | 0x4000
_CANNOT_MOUNT, _AS_EXPECTED = 77, 0


def on_tiny_disk(folder: Path, options: str, act: Callable[[], bool]) -> int:
    """Run `act` in a fork that sees a tmpfs with these options at the folder; return 0 when it held, 77: no mount."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            spaces = _NEW_MOUNTS if os.geteuid() == 0 else _NEW_USER | _NEW_MOUNTS
            mounted = (
                libc.unshare(spaces) == 0
                and libc.mount(b"none", b"/", None, _PRIVATE_RECURSIVE, None) == 0
                and libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, options.encode()) == 0
            )
            status = (_AS_EXPECTED if act() else 1) if mounted else _CANNOT_MOUNT
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(
    ("options", "where"),
    [("size=64k,mode=755", "before anything is written"), ("size=16m,nr_inodes=12,mode=755", "half-way")],
)
def test_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path, options: str, where: str) -> None:
    members = [file_member(f"data/{number}", bytes(20_000)) for number in range(30)]
    work = archive_work(tmp_path, tar_bytes(members))
    disk = work.root / "opt"
    disk.mkdir()

    def install() -> bool:
        commits: list[int] = []
        ArchiveInstaller().prepare(work)
        try:
            ArchiveInstaller().apply(work, lambda: commits.append(1))
        except StepError as error:
            left = [name for name in lying_in(disk) if name != "hello"]
            return error.symptom is Symptom.DISK_FULL and not error.changed and not commits and not left
        return False

    status = on_tiny_disk(disk, options, install)

    if status == _CANNOT_MOUNT:
        pytest.skip("this system lets nobody mount a file system of their own")
    assert status == _AS_EXPECTED, f"full {where}"
