"""Time zones and the one rule for hours that clocks skip or show twice.

Decides which zones there are and to which moment a time on a zone's clock belongs; recurrence is left to `recurrence`.
Rules:

- The data is that of the locked package tzdata, never that of the machine: controller, desk and tests agree wherever
  they run. A newer tz database comes with a newer package (`python -m pip install --upgrade tzdata`).
- A time on the clock means the first moment at which the clock has reached it: of an hour that is shown twice the first
  one, and for an hour that is skipped the end of the gap.

>>> first_moment(datetime(2027, 3, 28, 2, 30), find_zone("Europe/Berlin")).isoformat()
'2027-03-28T01:00:00+00:00'
"""

from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib import metadata, resources
from zoneinfo import ZoneInfo

LOCAL = "local"
"""Stands for each computer's own zone."""
_SECOND = timedelta(seconds=1)


def database_version() -> str:
    """Return the edition of the tz database that is used, for example 2026f."""
    number = metadata.version("tzdata")
    year, _, letter = number.partition(".")
    return f"{year}{chr(ord('a') + int(letter) - 1)}" if letter.isdecimal() else number


@cache
def zone_names() -> frozenset[str]:
    """Return the names of every zone, links included."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text().split())


@lru_cache(maxsize=1024)
def find_zone(name: str) -> ZoneInfo | None:
    """Return the zone of an IANA name, None for a name that the database does not know."""
    if name not in zone_names():
        return None
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def first_moment(wall: datetime, zone: ZoneInfo | None) -> datetime:
    """Return the first moment, UTC, at which the clock of a zone has reached a time without zone; None is UTC."""
    if zone is None:
        return wall.replace(tzinfo=UTC)
    found = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == wall:
        return found
    # Skipped: with the offset after the gap the clock has not got there, with the one before it is beyond.
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), found
    while after - before > _SECOND:
        middle = before + ((after - before) / 2 // _SECOND) * _SECOND
        if middle.astimezone(zone).replace(tzinfo=None) < wall:
            before = middle
        else:
            after = middle
    return after
