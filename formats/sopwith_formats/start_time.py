"""When a rollout may start: a moment, a time on the clock of a named zone, or on each computer's own clock.

Decides how a start time is written and which moment it means for a computer of some zone. Three forms:

- `2026-12-01T22:00:00Z`, `2026-12-01T22:00+01:00`: one moment everywhere (RFC 3339);
- `2026-12-01T22:00[Europe/Berlin]`: the time on the clock of that zone, one moment everywhere;
- `2026-12-01T22:00`: the time on each computer's own clock, so that no computer starts before its own.

A time that the clocks skip or show twice is settled as in `time_zones`: the first moment at which they reached it.

>>> start_moment("2026-12-01T22:00[Europe/Berlin]", "").isoformat()
'2026-12-01T21:00:00+00:00'
>>> start_moment("2026-12-01T22:00", "America/New_York").isoformat()
'2026-12-02T03:00:00+00:00'
"""

import re
from datetime import UTC, datetime
from functools import lru_cache

from sopwith_formats.errors import FormatError
from sopwith_formats.time_zones import find_zone, first_moment

_FORM = re.compile(r"(?P<time>\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}[^\[\]]*)(\[(?P<zone>[A-Za-z0-9_+/-]+)\])?")
_EXAMPLE = "write it like 2026-12-01T22:00:00Z, 2026-12-01T22:00[Europe/Berlin], or 2026-12-01T22:00 for local time"


def check_start_time(text: str) -> str:
    """Return a start time as it is written; raise FormatError for one that names no time or no known zone."""
    _read(text)
    return text


@lru_cache(maxsize=4096)
def start_moment(text: str, own_zone: str) -> datetime:
    """Return the moment, UTC, from which on a computer of a zone may start; a zone that nobody knows is UTC."""
    time, zone = _read(text)
    if time.tzinfo is not None:
        return time.astimezone(UTC)
    return first_moment(time, find_zone(zone or own_zone))


def is_local(text: str) -> bool:
    """Tell whether a start time means each computer's own clock."""
    time, zone = _read(text)
    return time.tzinfo is None and not zone


def _read(text: str) -> tuple[datetime, str]:
    """Return the time, with its offset or without one, and the zone in brackets."""
    match = _FORM.fullmatch(text)
    try:
        time = datetime.fromisoformat(match["time"]) if match else None
    except ValueError:
        time = None
    if match is None or time is None:
        raise FormatError(f"{text!r} is no time", remedy=_EXAMPLE)
    zone = match["zone"] or ""
    if zone and find_zone(zone) is None:
        raise FormatError(f"{text!r} names no time zone", remedy=_EXAMPLE)
    if zone and time.tzinfo is not None:
        raise FormatError(f"{text!r} names an offset and a zone", remedy="write one of the two")
    return time, zone
