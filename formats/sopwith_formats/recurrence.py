"""Recurrence rules of windows: what may be written, and on which days a rule comes.

Decides what a rule (RRULE of RFC 5545), a start, a duration and a cutoff must look like to make sense together, so that
`sop lint`, the rollout file and the controller judge alike; on which moments of which zone the days lie is left to the
controller's `windows`. Rules:

- FREQ is DAILY, WEEKLY, MONTHLY or YEARLY; the time of day is the window's own `start`, and a rule does not end.
- Days are counted from Monday, 1 January 2024, so that a rule with an interval means the same on every controller.
- A rule that does not come within any six years is a slip of the pen.

>>> [str(start) for start in starts_of_year("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "22:00", 2028)]
['2028-02-29 22:00:00']
"""

import re
from datetime import date, datetime, time
from functools import lru_cache
from typing import cast

from dateutil.rrule import rrule, rrulestr

from sopwith_formats.errors import FormatError
from sopwith_formats.sop_policy import Window
from sopwith_formats.time_zones import LOCAL, find_zone

ANCHOR = date(2024, 1, 1)
LOOK_AHEAD_YEARS = 6
DURATION_DAYS_MAX = 31
_EXAMPLE = 'write it like "FREQ=WEEKLY;BYDAY=SA"'
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_DAY = "(MO|TU|WE|TH|FR|SA|SU)"
_NTH_DAY = rf"[+-]?([1-9]|[1-4]\d|5[0-3])?{_DAY}"
_MONTH = r"([1-9]|1[0-2])"
_MONTH_DAY = r"[+-]?([1-9]|[12]\d|3[01])"
_YEAR_DAY = r"[+-]?([1-9]|[1-9]\d|[12]\d\d|3[0-5]\d|36[0-6])"
_WEEK = r"[+-]?([1-9]|[1-4]\d|5[0-3])"
_EVERY = {"FREQ": "|".join(_FREQUENCIES), "INTERVAL": r"[1-9]\d{0,2}", "WKST": _DAY, "BYMONTH": _MONTH}
_PARTS = {
    "DAILY": {**_EVERY, "BYDAY": _DAY, "BYMONTHDAY": _MONTH_DAY},
    "WEEKLY": {**_EVERY, "BYDAY": _DAY},
    "MONTHLY": {**_EVERY, "BYDAY": _NTH_DAY, "BYMONTHDAY": _MONTH_DAY, "BYSETPOS": _YEAR_DAY},
    "YEARLY": {
        **_EVERY,
        "BYDAY": _NTH_DAY,
        "BYMONTHDAY": _MONTH_DAY,
        "BYYEARDAY": _YEAR_DAY,
        "BYWEEKNO": _WEEK,
        "BYSETPOS": _YEAR_DAY,
    },
}
"""Parts that RFC 5545 knows for each frequency, and the form of each value of their lists."""
_SINGLE = frozenset({"FREQ", "INTERVAL", "WKST"})
_LONGEST = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
"""Days of the months that have no 31st."""
_OWN_TIME = frozenset({"BYHOUR", "BYMINUTE", "BYSECOND", "DTSTART"})
_ENDING = frozenset({"COUNT", "UNTIL"})


def check_rule(text: str) -> str:
    """Return a recurrence rule without its prefix; raise FormatError for one that says nothing that can be followed."""
    rule = text.removeprefix("RRULE:")
    parts: dict[str, str] = {}
    for part in rule.split(";"):
        key, equals, value = part.partition("=")
        if not equals or key in parts:
            raise FormatError(f"{text!r} is no RRULE: {part!r} is not KEY=VALUE, each key once", remedy=_EXAMPLE)
        parts[key] = value
    if parts.get("FREQ") not in _FREQUENCIES:
        raise FormatError(f"{text!r} does not say FREQ={', '.join(_FREQUENCIES)}", remedy=_EXAMPLE)
    for key, value in parts.items():
        _check_part(text, parts["FREQ"], key, value)
    if not _can_come(parts):
        raise FormatError(f"{text!r} names days that never come", remedy=_EXAMPLE)
    try:
        comes = _comes(rule)
    except (ValueError, TypeError, AttributeError) as error:
        raise FormatError(f"{text!r} is no RRULE: {error}", remedy=_EXAMPLE) from error
    if not comes:
        message = f"{text!r} names days that never come, or not within any {LOOK_AHEAD_YEARS} years"
        raise FormatError(message, remedy=_EXAMPLE)
    return rule


def _check_part(text: str, frequency: str, key: str, value: str) -> None:
    if key in _OWN_TIME:
        raise FormatError(f"{text!r} uses {key}", remedy="write the time of day as start, and the zone as time_zone")
    if key in _ENDING:
        raise FormatError(f"{text!r} uses {key}; a window does not end", remedy=f"delete {key}")
    known = _PARTS[frequency]
    if key not in known:
        message = f"{text!r} uses {key}, which FREQ={frequency} does not know"
        raise FormatError(message, remedy=f"use {', '.join(sorted(known))}")
    one = known[key]
    if not re.fullmatch(one if key in _SINGLE else f"({one})(,({one}))*", value):
        raise FormatError(f"{text!r} is no RRULE: {key} cannot be {value!r}", remedy=_EXAMPLE)


def _can_come(parts: dict[str, str]) -> bool:
    """Tell whether a rule is none of those that would be looked for day by day until the year 9999."""
    if parts["FREQ"] == "DAILY" and parts.get("INTERVAL", "1") != "1":
        return not parts.keys() & {"BYDAY", "BYMONTHDAY", "BYMONTH"}
    months = [int(month) for month in parts.get("BYMONTH", "1").split(",")]
    days = [abs(int(day)) for day in parts.get("BYMONTHDAY", "1").split(",")]
    return min(days) <= max(_LONGEST.get(month, 31) for month in months)


def check_window(window: Window) -> Window:
    """Return a window; raise FormatError, with the key as its place, where it makes no sense."""
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", window.start):
        raise FormatError(f"{window.start!r} is no time of day", where="start", remedy='write it like "22:00"')
    if not 0 < window.duration_seconds <= DURATION_DAYS_MAX * 86400:
        message = f"has a duration outside 1 s to {DURATION_DAYS_MAX} days"
        raise FormatError(message, where="duration", remedy="write for example duration: 6h")
    if not 0 <= window.cutoff_seconds < window.duration_seconds:
        message = "has a cutoff that leaves no time to start in"
        raise FormatError(message, where="cutoff", remedy="make cutoff shorter than duration")
    if window.time_zone != LOCAL and find_zone(window.time_zone) is None:
        message = f"{window.time_zone!r} is no time zone"
        raise FormatError(message, where="time_zone", remedy="write local or a name like Europe/Berlin")
    try:
        check_rule(window.rrule)
    except FormatError as error:
        raise FormatError(error.message, where="rrule", remedy=error.remedy) from error
    return window


@lru_cache(maxsize=1024)
def starts_of_year(rule: str, start: str, year: int) -> tuple[datetime, ...]:
    """Return a year's starts on the wall clock, in order; the same for every zone, and worked out once."""
    if not _comes(rule):
        return ()
    hour, minute = start.split(":")
    clock = time(int(hour), int(minute))
    first = datetime.combine(date(year, 1, 1), time())
    found = _parsed(rule, year).between(first, first.replace(year=year + 1), inc=True)
    return tuple(datetime.combine(day, clock) for day in found if day.year == year)


@lru_cache(maxsize=256)
def _comes(rule: str) -> bool:
    """Tell whether a rule comes, and never lets more than the look-ahead pass without coming."""
    last = datetime.combine(ANCHOR, time())
    for index, day in enumerate(_parsed(rule, ANCHOR.year + 3 * LOOK_AHEAD_YEARS)):
        if day.year - last.year > LOOK_AHEAD_YEARS:
            return False
        last = day
        if index > LOOK_AHEAD_YEARS * 366:
            return True
    return last.year >= ANCHOR.year + 2 * LOOK_AHEAD_YEARS


def _parsed(rule: str, last_year: int) -> rrule:
    """Return the days of a rule until the end of a year; without an end a rule that never comes is never done."""
    days = cast("rrule", rrulestr(rule, dtstart=datetime.combine(ANCHOR, time())))
    return days.replace(until=datetime.combine(date(last_year, 12, 31), time()))
