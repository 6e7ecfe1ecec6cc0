"""When the clocks of the world change, found by looking at the clocks alone; what the properties of windows stand on.

The moments are found from UTC to the clock, which is the plain direction; what is tested goes the other way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from sopwith_formats.time_zones import find_zone, zone_names

FIRST_YEAR, LAST_YEAR = 2026, 2036
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
_STEP = timedelta(days=4)
"""No zone changes its clock and back within so few days; the shortest on record is a month of fasting."""
_BEGIN = datetime(FIRST_YEAR, 1, 1, tzinfo=UTC) - 3 * DAY
_END = datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) + 3 * DAY


@dataclass(frozen=True)
class Change:
    """One moment at which a zone's clock jumps."""

    moment: datetime
    before: timedelta
    """Offset from UTC until the moment."""
    after: timedelta

    @property
    def wall_before(self) -> datetime:
        """What the clock would have shown without the jump."""
        return self.moment.replace(tzinfo=None) + self.before

    @property
    def wall_after(self) -> datetime:
        """What the clock shows."""
        return self.moment.replace(tzinfo=None) + self.after

    @property
    def skips(self) -> bool:
        return self.after > self.before


@dataclass(frozen=True)
class Clock:
    """One clock: its first offset, and its changes in the years looked at."""

    first_offset: timedelta
    changes: tuple[Change, ...]


@cache
def clocks() -> dict[Clock, tuple[str, ...]]:
    """Return every clock of the tz database with the names of the zones that go by it."""
    found: dict[Clock, list[str]] = {}
    for name in sorted(zone_names()):
        found.setdefault(_clock(find_zone(name)), []).append(name)
    return {clock: tuple(names) for clock, names in found.items()}


@cache
def clock_of(name: str) -> Clock:
    """Return the clock that a zone goes by."""
    return next(clock for clock, names in clocks().items() if name in names)


def _clock(zone: ZoneInfo | None) -> Clock:
    assert zone is not None
    return Clock(_offset(_BEGIN, zone), tuple(_changes(zone)))


def _changes(zone: ZoneInfo) -> Iterator[Change]:
    moment, offset = _BEGIN, _offset(_BEGIN, zone)
    while moment < _END:
        later = moment + _STEP
        there = _offset(later, zone)
        if there != offset:
            yield Change(_moment_of_change(moment, later, zone), offset, there)
        moment, offset = later, there


def _moment_of_change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    offset = _offset(before, zone)
    while after - before > SECOND:
        middle = before + ((after - before) // 2 // SECOND) * SECOND
        if _offset(middle, zone) == offset:
            before = middle
        else:
            after = middle
    return after


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    offset = zone.utcoffset(moment.astimezone(zone))
    assert offset is not None
    return offset


def first_moment_on(clock: Clock, wall: datetime) -> datetime:
    """Return when a clock first reaches a time: by going through its stretches of one offset, in order."""
    began, offset = _BEGIN.replace(tzinfo=None) - DAY, clock.first_offset
    for change in clock.changes:
        if wall < change.wall_before:
            break
        began, offset = change.moment.replace(tzinfo=None), change.after
    return max(began, wall - offset).replace(tzinfo=UTC)


def days(first: date, last: date) -> list[date]:
    """Return all days from the first to the last."""
    return [first + n * DAY for n in range((last - first).days + 1)]


def wall_time(day: date, start: str) -> datetime:
    """Return a time of day on a day."""
    return datetime.combine(day, time.fromisoformat(start))
