"""Tells which programs run that the release must not meet."""

from collections.abc import Iterable
from pathlib import PurePath

from sopwith_agent.adapters.linux import processes


def blocking_processes(names: Iterable[str]) -> tuple[str, ...]:
    """Return those of the names that a running process has, by its name or its program file."""
    wanted = set(names)
    if not wanted:
        return ()
    running: set[str] = set()
    for process in processes():
        running |= {process.name, PurePath(process.program).name}
    return tuple(sorted(wanted & running))
