"""Tells which programs run that the release must not meet."""

from collections.abc import Iterable
from pathlib import PurePath

import psutil


def blocking_processes(names: Iterable[str]) -> tuple[str, ...]:
    """Return those of the names that a running process has, by its name or its program file."""
    wanted = set(names)
    if not wanted:
        return ()
    running: set[str] = set()
    for process in psutil.process_iter(["name", "exe", "status"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE:
            running |= {process.info["name"] or "", PurePath(process.info["exe"] or "").name}
    return tuple(sorted(wanted & running))
