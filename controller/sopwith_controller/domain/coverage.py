"""Coverage: is each computer that the company knows of enrolled, or excused with a reason and an end (SOP, clause I).

Decides by the imported list, the fleet and the time; reading the list's file is left to the command line. Rules:

- A name is compared without its case. A computer of the list is ENROLLED, WAITING for acceptance, EXCUSED, or MISSING.
- One that is enrolled and not on the list is UNLISTED: the list is behind, and somebody should know.
- An excuse needs a reason and an end within a year; when it ends the computer is missing again by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sopwith_controller.domain.deviation import said
from sopwith_controller.domain.entities import Computer, ComputerState
from sopwith_controller.domain.errors import InvalidInputError
from sopwith_controller.domain.practice_entities import KnownComputer
from sopwith_formats.units import format_time

EXCUSE_MAX = timedelta(days=366)
NAMES_MAX = 100_000
_NAME_LENGTH_MAX = 253


class Standing(StrEnum):
    """Where a known computer stands."""

    ENROLLED = "ENROLLED"
    WAITING = "WAITING"
    EXCUSED = "EXCUSED"
    MISSING = "MISSING"
    UNLISTED = "UNLISTED"


_IN_SERVICE = frozenset({ComputerState.ACCEPTED, ComputerState.QUARANTINED})


@dataclass(frozen=True)
class Covered:
    """One computer and where it stands."""

    name: str
    standing: Standing
    message: str = ""
    remedy: str = ""


def import_list(
    names: Sequence[tuple[str, str]], known: Sequence[KnownComputer], *, person: str, now: datetime
) -> tuple[KnownComputer, ...]:
    """Return the records that change when a list of (name, note) replaces the one before; excuses stay."""
    if not names:
        raise InvalidInputError("the list names no computer", remedy="one name a line, or a column called name")
    if len(names) > NAMES_MAX:
        raise InvalidInputError(f"a list names at most {NAMES_MAX:,} computers", remedy="cut the list")
    before = {one.name.casefold(): one for one in known}
    wanted: dict[str, KnownComputer] = {}
    for raw, note in names:
        name = raw.strip()
        if not name or len(name) > _NAME_LENGTH_MAX or not name.isprintable() or " " in name:
            raise InvalidInputError(f"{raw[:80]!r} is no name of a computer", remedy="one host name a line")
        found = before.get(name.casefold()) or KnownComputer(name, "", listed=False, imported_by="", imported_time=now)
        wanted[name.casefold()] = replace(found, note=note.strip(), listed=True, imported_by=person, imported_time=now)
    gone = [replace(one, listed=False) for key, one in before.items() if key not in wanted and one.listed]
    return (*wanted.values(), *gone)


def excuse(known: KnownComputer, *, person: str, reason: str, until: datetime, now: datetime) -> KnownComputer:
    """Return it excused until a time, by name and with a reason."""
    if not now < until <= now + EXCUSE_MAX:
        raise InvalidInputError(
            f"an excuse until {format_time(until)} is none", remedy="give --until a date of the coming year"
        )
    return replace(known, excused_by=person, excused_reason=said(reason, "a reason", "--reason"), excused_until=until)


def cover(known: Sequence[KnownComputer], computers: Sequence[Computer], now: datetime) -> tuple[Covered, ...]:
    """Return where each computer stands, by name."""
    states: dict[str, set[ComputerState]] = {}
    for computer in computers:
        states.setdefault(computer.name.casefold(), set()).add(computer.state)
    listed = {one.name.casefold(): one for one in known if one.listed}
    found = [_standing(one, states.get(key, set()), now) for key, one in listed.items()]
    found += [
        Covered(computer.name, Standing.UNLISTED, "is enrolled and not on the list", "bring the list up to date")
        for computer in computers
        if computer.state in _IN_SERVICE and computer.name.casefold() not in listed
    ]
    return tuple(sorted(found, key=lambda one: one.name.casefold()))


def _standing(one: KnownComputer, states: set[ComputerState], now: datetime) -> Covered:
    if states & _IN_SERVICE:
        return Covered(one.name, Standing.ENROLLED)
    if ComputerState.PENDING in states:
        remedy = f"sopwith computer accept {one.name}"
        return Covered(one.name, Standing.WAITING, "asks to enrol and was not accepted yet", remedy)
    if one.excused_until is not None and now < one.excused_until:
        until = format_time(one.excused_until)
        return Covered(one.name, Standing.EXCUSED, f"by {one.excused_by} until {until}: {one.excused_reason}")
    over = f"; its excuse ended {format_time(one.excused_until)}" if one.excused_until is not None else ""
    remedy = f"enrol it (sopwith token create), or sopwith computer excuse {one.name} --reason TEXT --until DATE"
    return Covered(one.name, Standing.MISSING, f"is known and not enrolled{over}", remedy)


def share(covered: Sequence[Covered]) -> tuple[int, int]:
    """Return how many of the listed computers are enrolled or excused, and how many are listed."""
    listed = [one for one in covered if one.standing is not Standing.UNLISTED]
    return sum(one.standing in (Standing.ENROLLED, Standing.EXCUSED) for one in listed), len(listed)
