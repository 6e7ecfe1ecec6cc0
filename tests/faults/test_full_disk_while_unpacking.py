"""A disk that is too small for a release (fault case 52): told as DISK_FULL, nothing left behind, nothing switched.

A child process mounts a tiny file system of its own below its root, so that the disk is really full and nobody else
notices.
"""

from pathlib import Path

import pytest

from sopwith_agent.adapters.installers.archive import ArchiveInstaller
from sopwith_agent.domain.errors import StepError
from sopwith_formats.vocabulary import Symptom
from tests.agent.archives import archive_work, file_member, lying_in, tar_bytes
from tests.faults.tiny_disk import on_tiny_disk


@pytest.mark.parametrize(
    ("options", "where"),
    [("size=64k,mode=755", "before anything is written"), ("size=16m,nr_inodes=12,mode=755", "half-way")],
)
def test_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path, options: str, where: str) -> None:
    members = [file_member(f"data/{number}", bytes(20_000)) for number in range(30)]
    work = archive_work(tmp_path, tar_bytes(members))
    disk = work.root / "opt"
    disk.mkdir()

    def install() -> None:
        commits: list[int] = []
        ArchiveInstaller().prepare(work)
        with pytest.raises(StepError) as caught:
            ArchiveInstaller().apply(work, lambda: commits.append(1))
        left = [name for name in lying_in(disk) if name != "hello"]
        assert (caught.value.symptom, caught.value.changed, commits, left) == (Symptom.DISK_FULL, False, [], []), where

    on_tiny_disk(disk, options, install)
