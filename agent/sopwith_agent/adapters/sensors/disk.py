"""Tells how much room there is for update files and for what they install."""

from pathlib import Path

import psutil

from sopwith_agent.domain.measurements import DiskSpace


def disk_free(root: Path, staging: Path) -> tuple[DiskSpace, ...]:
    """Return the free space, for this user, of the file systems that hold the staging folder and the root."""
    return tuple(
        DiskSpace(purpose, str(path), psutil.disk_usage(str(_nearest(path))).free)
        for purpose, path in (("staging", staging), ("root", root))
    )


def _nearest(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
