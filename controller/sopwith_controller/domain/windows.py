"""When installing is allowed: occurrences of a recurrence rule on a clock of some zone, right across clock changes.

Decides only from a window, a zone and a time; freezes beat windows and are the planner's. Rules:

- Occurrences are counted on the wall clock from Monday, 1 January 2024, at the window's start time, so that rules with
  an interval mean the same on every controller.
- A start that the clocks skip in spring moves to the first moment after the gap; a start that the clocks show twice in
  autumn is the first of the two. So each intended occurrence happens exactly once.
- A window ends a real duration after its start, whatever the clocks do meanwhile.
- No install starts later than `cutoff` before the end.
- `local` means each computer's own zone, from its facts; UTC for a computer that reports none.

>>> parse_window("FREQ=WEEKLY;BYDAY=SA;BYHOUR=22/6h").start
'22:00'
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrule, rrulestr
from dateutil.tz import resolve_imaginary

from sopwith_controller.domain.errors import InvalidInputError
from sopwith_formats.errors import FormatError
from sopwith_formats.sop_policy import Window
from sopwith_formats.units import parse_duration

ANCHOR = date(2024, 1, 1)
LOCAL = "local"
_DURATION_MAX = timedelta(days=366)
_LOOK_AHEAD_YEARS = 6
_EXAMPLE = "write it like FREQ=WEEKLY;BYDAY=SA;BYHOUR=22/6h"


@dataclass(frozen=True)
class Occurrence:
    """One time span in which installing is allowed, UTC."""

    opens: datetime
    closes: datetime
    last_start: datetime
    """No install starts from here on."""


@dataclass(frozen=True)
class WindowState:
    """What a window says at one moment."""

    open: bool
    """An install may start now."""
    last_start: datetime | None
    """While open: until when; None: without limit."""
    next_open: datetime | None
    """While closed: when it opens; None: never again within five years."""

    @property
    def next_change(self) -> datetime | None:
        """Return when it opens or closes."""
        return self.last_start if self.open else self.next_open


ALWAYS = WindowState(open=True, last_start=None, next_open=None)


def state_at(window: Window | None, now: datetime, own_zone: str = "") -> WindowState:
    """Return what a window says now for a computer of this zone; None is always open."""
    if window is None:
        return ALWAYS
    zone = (own_zone or "UTC") if window.time_zone == LOCAL else window.time_zone
    for occurrence in _occurrences(window, _known(zone), now.astimezone(UTC).date()):
        if occurrence.opens <= now < occurrence.last_start:
            return WindowState(open=True, last_start=occurrence.last_start, next_open=None)
        if occurrence.opens > now:
            return WindowState(open=False, last_start=None, next_open=occurrence.opens)
    return WindowState(open=False, last_start=None, next_open=None)


def is_open(window: Window | None, now: datetime, own_zone: str = "") -> bool:
    """Tell whether an install may start now."""
    return state_at(window, now, own_zone).open


def next_open(window: Window | None, now: datetime, own_zone: str = "") -> datetime | None:
    """Return now while it is open, else when it opens next."""
    state = state_at(window, now, own_zone)
    return now if state.open else state.next_open


def check_window(window: Window) -> Window:
    """Return the window; raise InvalidInputError where rule, start, duration, cutoff or zone makes no sense."""
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", window.start):
        raise InvalidInputError(f"{window.start!r} is no time of day", remedy="write it like 22:00")
    duration, cutoff = timedelta(seconds=window.duration_seconds), timedelta(seconds=window.cutoff_seconds)
    if not timedelta(0) < duration <= _DURATION_MAX:
        raise InvalidInputError("a window lasts longer than nothing and at most 366 days", remedy="change duration")
    if not timedelta(0) <= cutoff < duration:
        raise InvalidInputError("the cutoff must be shorter than the window", remedy="change cutoff or duration")
    if window.time_zone != LOCAL and not _is_zone(window.time_zone):
        raise InvalidInputError(
            f"{window.time_zone!r} is no time zone", remedy="write local or an IANA name such as Europe/Berlin"
        )
    _check_rule(window.rrule)
    try:
        comes = _comes_at_all(window.rrule, window.start)
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidInputError(f"{window.rrule!r} is no recurrence rule: {error}", remedy=_EXAMPLE) from error
    if not comes:
        raise InvalidInputError(f"{window.rrule!r} names days that never come", remedy=_EXAMPLE)
    return window


def parse_window(text: str) -> Window:
    """Return the window of RRULE/DURATION; BYHOUR and BYMINUTE of the rule become its start, 00:00 without them."""
    rule, slash, duration = text.strip().rpartition("/")
    if not slash:
        raise InvalidInputError(f"{text!r} lacks a duration", remedy=_EXAMPLE)
    parts = dict(part.partition("=")[::2] for part in rule.removeprefix("RRULE:").upper().split(";"))
    hour, minute = parts.pop("BYHOUR", "0"), parts.pop("BYMINUTE", "0")
    if not (hour.isdecimal() and minute.isdecimal()):
        raise InvalidInputError("BYHOUR and BYMINUTE name one time of day", remedy=_EXAMPLE)
    try:
        seconds = int(parse_duration(duration.strip()).total_seconds())
    except FormatError as error:
        raise InvalidInputError(f"{duration!r} is no duration", remedy=_EXAMPLE) from error
    joined = ";".join(f"{key}={value}" for key, value in parts.items())
    return check_window(Window(rrule=joined, start=f"{int(hour):02}:{int(minute):02}", duration_seconds=seconds))


def _check_rule(rule: str) -> None:
    parts = dict(part.partition("=")[::2] for part in rule.upper().split(";"))
    if "\n" in rule or parts.get("FREQ") not in {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}:
        raise InvalidInputError(f"{rule!r} does not say FREQ=DAILY, WEEKLY, MONTHLY or YEARLY", remedy=_EXAMPLE)
    wrong = sorted(parts.keys() & {"COUNT", "UNTIL", "BYHOUR", "BYMINUTE", "BYSECOND", "DTSTART"})
    if wrong:
        raise InvalidInputError(
            f"{rule!r} uses {wrong[0]}; a window has a start time of its own and does not end",
            remedy="use start for the time of day, and remove COUNT and UNTIL",
        )


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


@lru_cache(maxsize=4096)
def _known(zone: str) -> str:
    """Return the zone, UTC for a name that a computer reported and nobody knows."""
    return zone if _is_zone(zone) else "UTC"


@lru_cache(maxsize=4096)
def _occurrences(window: Window, zone: str, day: date) -> tuple[Occurrence, ...]:
    """Return the occurrences that touch a day (UTC), and the first after it."""
    duration = timedelta(seconds=window.duration_seconds)
    midnight = datetime.combine(day, time())
    first, last = midnight - duration - timedelta(days=2), midnight + timedelta(days=3)
    starts: list[datetime] = []
    for year in range(first.year, last.year + _LOOK_AHEAD_YEARS):
        starts += [start for start in _starts(window.rrule, window.start, year) if start >= first]
        if starts and starts[-1] > last:
            break
    after = next((index for index, start in enumerate(starts) if start > last), len(starts))
    return tuple(sorted({_localised(start, window, ZoneInfo(zone)) for start in starts[: after + 1]}, key=_opens))


@lru_cache(maxsize=1024)
def _starts(rule: str, start: str, year: int) -> tuple[datetime, ...]:
    """Return a year's starts on the wall clock; the same for every zone, and worked out once."""
    if not _comes_at_all(rule, start):
        return ()
    first = datetime.combine(date(year, 1, 1), time())
    found = _parsed(rule, start).between(first, first.replace(year=year + 1), inc=True)
    return tuple(item for item in found if item.year == year)


@lru_cache(maxsize=256)
def _comes_at_all(rule: str, start: str) -> bool:
    return _parsed(rule, start).after(datetime.combine(ANCHOR, time()), inc=True) is not None


def _parsed(rule: str, start: str) -> rrule:
    """Return the one rule of a text; `_check_rule` lets no text with several through."""
    hour, minute = start.split(":")
    return cast("rrule", rrulestr(rule, dtstart=datetime.combine(ANCHOR, time(int(hour), int(minute)))))


def _opens(occurrence: Occurrence) -> datetime:
    return occurrence.opens


def _localised(start: datetime, window: Window, zone: ZoneInfo) -> Occurrence:
    opens = resolve_imaginary(start.replace(tzinfo=zone, fold=0)).astimezone(UTC)
    closes = opens + timedelta(seconds=window.duration_seconds)
    return Occurrence(opens, closes, closes - timedelta(seconds=window.cutoff_seconds))
