"""When installing is allowed: occurrences of a recurrence rule on a clock of some zone, right across clock changes.

Decides only from a window, a zone and a time; freezes beat windows and are the planner's, which window and which
start time hold for which computer is `openings`'. Rules:

- Occurrences are counted on the wall clock, at the window's start; `sopwith_formats.recurrence` says on which days.
- A window opens at the first moment at which the clock has reached its start: a start that is skipped in spring moves
  to the end of the gap, and of one that is shown twice in autumn it is the first. So each intended occurrence happens
  exactly once; where a zone skips a whole day, that day's occurrence opens with the next day.
- A window ends a real duration after its start, whatever the clocks do meanwhile.
- No install starts later than `cutoff` before the end, nor so late that by what it takes it would not finish before the
  end; one that takes as long as the whole window never starts.
- `local` means each computer's own zone, from its facts; UTC for a computer that reports none, or one nobody knows.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from sopwith_controller.domain.errors import InvalidInputError
from sopwith_formats import recurrence
from sopwith_formats.errors import FormatError
from sopwith_formats.sop_policy import Window
from sopwith_formats.time_zones import LOCAL, find_zone, first_moment
from sopwith_formats.units import format_duration, format_time

_AROUND = timedelta(days=3)
"""How far a wall clock and UTC, with a skipped day between them, are apart at most."""


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
    closes: datetime | None = None
    """While open: when it ends, for what runs then; None: never."""
    start_time: datetime | None = None
    """While closed because the rollout's start time has not come for this computer: that time."""
    group: str = ""
    """Maintenance group whose window it is; empty: the rollout's."""
    too_late: str = ""
    """Why an install may not start although the window is, or will be, open: it would not finish in time."""

    @property
    def next_change(self) -> datetime | None:
        """Return when it opens or closes."""
        return self.last_start if self.open else self.next_open


ALWAYS = WindowState(open=True, last_start=None, next_open=None)


def state_at(window: Window | None, now: datetime, own_zone: str = "", takes: timedelta = timedelta(0)) -> WindowState:
    """Return what a window says now to a computer of this zone, for an install that takes so long; 0: not measured.

    A window of None is always open.
    """
    if window is None:
        return ALWAYS
    too_late = never_fits(window, takes)
    if too_late:
        return WindowState(open=False, last_start=None, next_open=None, too_late=too_late)
    found: Occurrence | None = None
    following: datetime | None = None
    for occurrence in _occurrences(window, zone_of(window.time_zone, own_zone), now.astimezone(UTC).date()):
        if occurrence.opens > now:
            following = occurrence.opens
            break
        if now < min(occurrence.last_start, occurrence.closes - takes):
            found = occurrence
        elif now < occurrence.last_start:
            closes = format_time(occurrence.closes)
            too_late = f"it takes {format_duration(takes)} and would not finish before the window closes at {closes}"
    if found is None:
        return WindowState(open=False, last_start=None, next_open=following, too_late=too_late)
    last_start = min(found.last_start, found.closes - takes)
    return WindowState(open=True, last_start=last_start, next_open=None, closes=found.closes)


def never_fits(window: Window, takes: timedelta) -> str:
    """Return in words that an install takes as long as the whole window or longer; empty where it fits."""
    if takes < timedelta(seconds=window.duration_seconds):
        return ""
    lasts = format_duration(timedelta(seconds=window.duration_seconds))
    return f"it will not finish in time: it takes {format_duration(takes)}, and the window is {lasts}"


def is_open(window: Window | None, now: datetime, own_zone: str = "") -> bool:
    """Tell whether an install may start now."""
    return state_at(window, now, own_zone).open


def next_open(window: Window | None, now: datetime, own_zone: str = "") -> datetime | None:
    """Return now while it is open, else when it opens next."""
    state = state_at(window, now, own_zone)
    return now if state.open else state.next_open


def zone_of(written: str, own_zone: str) -> str:
    """Return the zone that a computer goes by: the written one, or its own where `local` is written."""
    return _known(own_zone) if written == LOCAL else written


def check_window(window: Window) -> Window:
    """Return the window; raise InvalidInputError where rule, start, duration, cutoff or zone makes no sense."""
    try:
        return recurrence.check_window(window)
    except FormatError as error:
        raise InvalidInputError(f"window.{error.where}: {error.message}", remedy=error.remedy) from error


def occurrence_of(window: Window, start: datetime, zone: str) -> Occurrence:
    """Return the occurrence of an intended start on the wall clock of a zone; an unknown zone is UTC."""
    opens = first_moment(start, find_zone(zone))
    closes = opens + timedelta(seconds=window.duration_seconds)
    return Occurrence(opens, closes, closes - timedelta(seconds=window.cutoff_seconds))


@lru_cache(maxsize=4096)
def _known(zone: str) -> str:
    """Return the zone, UTC for a name that a computer reported and nobody knows."""
    return zone if find_zone(zone) else "UTC"


@lru_cache(maxsize=4096)
def _occurrences(window: Window, zone: str, day: date) -> tuple[Occurrence, ...]:
    """Return the occurrences that touch a day (UTC), and the first after it, as they open."""
    midnight = datetime.combine(day, time())
    first, last = midnight - timedelta(seconds=window.duration_seconds) - _AROUND, midnight + _AROUND
    starts: list[datetime] = []
    for year in range(first.year, last.year + recurrence.LOOK_AHEAD_YEARS):
        starts += [start for start in recurrence.starts_of_year(window.rrule, window.start, year) if start >= first]
        if starts and starts[-1] > last:
            break
    after = next((index for index, start in enumerate(starts) if start > last), len(starts))
    return tuple(occurrence_of(window, start, zone) for start in starts[: after + 1])
