"""What package tools say happened, read into changes: dpkg's log line by line, rpm's database by comparing two states.

Decides what counts as a change and when one is finished; where the log lies, and whose changes they are, is others'.
Rules: dpkg announces an act and says later how the package stands: the change is what it says then, and an act that
leads back to the same version is none. An act that has no end yet is left for the next reading, with everything that
was read behind its beginning, unless it is so old that nobody will end it. A purge follows a removal and changes no
version. Lines that say nothing of that kind are passed over, whatever they hold.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sopwith_formats.observation import ChangeAction, PackageChange

UNFINISHED_AFTER = timedelta(minutes=10)
_LINE = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (install|upgrade|remove|status) (\S{1,300}) (\S{1,300}) ?(\S{0,300})"
)
_NONE = "<none>"
_WHOLE = frozenset({"installed", "triggers-awaited", "triggers-pending"})
_GONE = frozenset({"not-installed", "config-files"})


@dataclass(frozen=True)
class _Act:
    """An act that dpkg announced, and the line of its end; -1 while it has none."""

    begin: int
    word: str
    package: str
    before: str
    time: datetime
    end: int = -1
    change: PackageChange | None = None


def dpkg_changes(
    lines: Sequence[str], local_to_utc: Callable[[str], datetime], now: datetime
) -> tuple[list[PackageChange], int]:
    """Return the finished changes and how many lines are done with; the others are to be read again.

    `local_to_utc` reads dpkg's times, which are on the computer's own clock zone.
    """
    begun: dict[str, _Act] = {}
    ended: list[_Act] = []
    for number, line in enumerate(lines):
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        time, word, first, second, third = found.groups()
        if word != "status":
            before = "" if word == "install" or second == _NONE else second
            begun[first] = _Act(number, word, first, before, local_to_utc(time))
        elif second in begun and first in (_GONE if begun[second].word == "remove" else _WHOLE):
            ended.append(_ended(begun.pop(second), number, third, local_to_utc(time)))
    old = [act for act in begun.values() if now - act.time >= UNFINISHED_AFTER]
    ended.extend(_given_up(begun.pop(act.package), len(lines)) for act in old)
    done = _done(min((act.begin for act in begun.values()), default=len(lines)), ended)
    return [act.change for act in ended if act.begin < done and act.change is not None], done


def rpm_changes(
    before: Mapping[str, Sequence[str]], after: Mapping[str, tuple[Sequence[str], datetime]], now: datetime
) -> list[PackageChange]:
    """Return what changed between two states of rpm's database.

    Both map NAME.ARCHITECTURE to versions, sorted; the new state also to the time of the newest install.
    """
    changes = []
    for key in sorted(before.keys() | after.keys()):
        old = ", ".join(before.get(key, ()))
        versions, time = after.get(key, ((), now))
        new = ", ".join(versions)
        if old == new:
            continue
        action = ChangeAction.CHANGED if old and new else ChangeAction.INSTALLED if new else ChangeAction.REMOVED
        name, _, architecture = key.rpartition(".")
        changes.append(PackageChange("rpm", action.value, name, architecture, old, new, time if new else now))
    return sorted(changes, key=lambda change: change.time)


def _done(done: int, ended: Sequence[_Act]) -> int:
    """Return how many lines may be let go, so that no act is cut in two."""
    while True:
        cut = [act.begin for act in ended if act.begin < done <= act.end]
        if not cut:
            return done
        done = min(cut)


def _ended(act: _Act, line: int, version: str, time: datetime) -> _Act:
    name, _, architecture = act.package.partition(":")
    if act.word == "remove":
        change = PackageChange("dpkg", ChangeAction.REMOVED.value, name, architecture, act.before, "", time)
    elif version == act.before:
        return _Act(act.begin, act.word, act.package, act.before, act.time, line)
    else:
        action = ChangeAction.CHANGED if act.before else ChangeAction.INSTALLED
        change = PackageChange("dpkg", action.value, name, architecture, act.before, version, time)
    return _Act(act.begin, act.word, act.package, act.before, act.time, line, change)


def _given_up(act: _Act, count: int) -> _Act:
    """Return an act that nobody will end; it reaches to the end of what was read, which is let go with it."""
    name, _, architecture = act.package.partition(":")
    change = PackageChange("dpkg", ChangeAction.UNFINISHED.value, name, architecture, act.before, "", act.time)
    return _Act(act.begin, act.word, act.package, act.before, act.time, count - 1, change)
