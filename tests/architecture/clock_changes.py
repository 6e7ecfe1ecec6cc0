"""Writes docs/clock-changes.md from the tz database and the windows in the code, or fails when the page is stale.

What a window does is asked of the code, never described beside it. `--write` writes the page, without it the page is
compared.
"""

import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

from sopwith_controller.domain.windows import occurrence_of
from sopwith_formats.sop_policy import Window
from sopwith_formats.time_zones import database_version, find_zone
from tests.clock_changes import DAY, FIRST_YEAR, LAST_YEAR, Change, Clock, clocks, wall_time

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "clock-changes.md"
STARTS = ("00:00", "01:30", "02:30", "23:30")
YEARS = range(FIRST_YEAR, LAST_YEAR + 1)
_USUAL = (timedelta(hours=1), timedelta(hours=1), timedelta(hours=4))
"""By how much clocks jump as a rule, and between which times of day."""
_NAMES_MAX = 4
_CHANGES_A_YEAR = 2

_HEAD = f"""# Windows and clock changes

A window opens at the first moment at which the clock of its zone has reached its start. That is all, and it settles
both odd hours of the year:

- **A skipped hour** (spring): a start inside the gap moves to the end of the gap. The window is not lost, and it is not
  an hour late.
- **A doubled hour** (autumn): a start that the clock shows twice is the first of the two. The window opens once.
- **A skipped day** (Samoa left out 30 December 2011; none is planned): that day's window opens with the next day.

So each intended occurrence happens exactly once. A window lasts a real duration, whatever the clocks do meanwhile: 6 h
from 22:00 over a spring night end at 05:00. `start_time` without an offset follows the same rule, on each computer's
own clock. A window that shall always be open is written `window: always`; one of 24 h a day would leave a gap of an
hour on the day of 25 hours.

**Which tz database.** That of the locked Python package tzdata, now **{database_version()}**, on every machine; the
system's own zone files are not read. When governments change their clocks at short notice, bring the newer package
into the environment of the controller (`python -m pip install --upgrade tzdata`) and restart it; windows that have
not opened yet follow the new rules.

This page is generated from that package and from the code (`make docs`), and `make check` fails when it is stale. What
it illustrates is tested on every zone from {FIRST_YEAR} to {LAST_YEAR} in `make test`, and on every day of these years
by `make clock-changes`.
"""


def render() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *_kinds(), *_dates(), *_changing_rules()])


def _in_years(clock: Clock) -> list[Change]:
    return [change for change in clock.changes if change.wall_before.year in YEARS]


def _kinds() -> Iterator[str]:
    """Yield one line for each way in which some clock jumps."""
    yield f"## Every way in which a clock jumps, {FIRST_YEAR} to {LAST_YEAR}"
    yield ""
    yield "Each line shows the first such change, and what daily windows with these starts do on that day."
    yield ""
    yield f"| zones | the clock | first on | {' | '.join(STARTS)} |"
    yield "|---|---|---|" + "---|" * len(STARTS)
    kinds: dict[tuple[str, str], list[tuple[Change, tuple[str, ...]]]] = {}
    for clock, names in clocks().items():
        seen = set()
        for change in _in_years(clock):
            kind = (f"{change.wall_before:%H:%M}", f"{change.wall_after:%H:%M}")
            if kind not in seen:
                seen.add(kind)
                kinds.setdefault(kind, []).append((change, names))
    for (before, after), found in sorted(kinds.items()):
        zones = sorted(name for _, names in found for name in names)
        change, (zone, *_) = min(found, key=lambda item: (item[0].moment, item[1]))
        does = " | ".join(_does(change, zone, start) for start in STARTS)
        verb = "skips from" if change.skips else "goes back from"
        yield f"| {_list(zones)} | {verb} {before} to {after} | {change.wall_before:%Y-%m-%d}, {zone} | {does} |"
    yield ""


def _does(change: Change, zone: str, start: str) -> str:
    """Return what the windows of the days around a change do, by asking the code."""
    clock = find_zone(zone)
    assert clock is not None
    window = Window("FREQ=DAILY", start, 3600, zone)
    for day in (change.wall_after.date(), change.wall_before.date()):
        wall = wall_time(day, start)
        opens = occurrence_of(window, wall, zone).opens
        shown = opens.astimezone(clock)
        at = f"{opens:%H:%M} UTC"
        if shown.replace(tzinfo=None) != wall:
            return f"opens {shown:%H:%M} ({at})"
        if (opens + abs(change.after - change.before)).astimezone(clock).replace(tzinfo=None) == wall:
            return f"first of two ({at})"
    return "as ever"


def _list(names: list[str]) -> str:
    """Return the first names, and how many there are more."""
    more = len(names) - _NAMES_MAX
    return ", ".join(names[:_NAMES_MAX]) + (f" and {more} more" if more > 0 else "")


def _is_odd(change: Change) -> bool:
    length, earliest, latest = _USUAL
    midnight = datetime.combine(change.wall_before.date(), datetime.min.time())
    times = (change.wall_before - midnight, change.wall_after - midnight)
    return abs(change.after - change.before) != length or min(times) < earliest or max(times) > latest


def _dates() -> Iterator[str]:
    """Yield the dates of the odd changes."""
    yield "## The odd ones, year by year"
    yield ""
    yield "Clocks that skip or double midnight, jump at an odd time of the night, or by something else than an hour:"
    yield "month and day of the clock before the jump."
    yield ""
    yield f"| zones | the clock | {' | '.join(map(str, YEARS))} |"
    yield "|---|---|" + "---|" * len(YEARS)
    for clock, names in sorted(clocks().items(), key=lambda item: item[1]):
        rows: dict[tuple[str, str], dict[int, date]] = {}
        for change in _in_years(clock):
            if _is_odd(change):
                kind = (f"{change.wall_before:%H:%M}", f"{change.wall_after:%H:%M}")
                last_day = (change.wall_before - DAY / 86400).date()
                rows.setdefault(kind, {})[change.wall_before.year] = last_day
        for (before, after), dates in sorted(rows.items()):
            cells = " | ".join(f"{dates[year]:%m-%d}" if year in dates else "none" for year in YEARS)
            yield f"| {_list(list(names))} | {before} to {after} | {cells} |"
    yield ""


def _changing_rules() -> Iterator[str]:
    """Yield the zones that do not change their clocks twice in each of the years, and not never."""
    yield "## Zones whose rules change in these years"
    yield ""
    yield "| zones | the clock jumps, in all these years |"
    yield "|---|---|"
    for clock, names in sorted(clocks().items(), key=lambda item: item[1]):
        changes = _in_years(clock)
        if changes and len(changes) != _CHANGES_A_YEAR * len(YEARS):
            jumps = [f"{c.wall_before:%Y-%m-%d %H:%M} to {c.wall_after:%H:%M}" for c in changes]
            shown = jumps if len(jumps) <= _NAMES_MAX else [*jumps[:2], f"and so on, {len(jumps)} times"]
            yield f"| {_list(list(names))} | {'; '.join(shown)} |"


def main(arguments: list[str]) -> int:
    """Write or compare; 0 when the page is fresh."""
    page = render() + "\n"
    if arguments == ["--write"]:
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
        sys.stderr.write("docs/clock-changes.md is stale. Run `make docs` and commit the result.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
