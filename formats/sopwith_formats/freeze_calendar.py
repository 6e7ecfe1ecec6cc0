r"""Freeze calendars: an iCalendar file (RFC 5545) in, the times that it names out, every fault with its line.

Decides what of a calendar counts and when it lies; which freezes follow from it is the controller's. Rules:

- Each VEVENT is a freeze, named by its SUMMARY, whole days without a time of day included. RRULE, RDATE, EXDATE and
  single occurrences that were moved (RECURRENCE-ID) are followed; what is CANCELLED does not count. Rules repeat by
  days at most, never by hours.
- A time is UTC (`Z`), on the clock of its TZID, or on that of the calendar (X-WR-TIMEZONE), or of the zone that the
  caller names. Of an hour that clocks show twice the first counts, for one that they skip the end of the gap.
- An event lasts to its DTEND or for its DURATION; a day without either is one day.
- Only times that are not over yet and begin within `ahead` are returned, each with an identity that stays the same when
  it is moved: UID and the start that its rule intended.

>>> from datetime import UTC, datetime, timedelta
>>> text = b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART;VALUE=DATE:20261224\nEND:VEVENT\nEND:VCALENDAR\n"
>>> [event] = read_freeze_calendar(text, "plant.ics", now=datetime(2026, 1, 1, tzinfo=UTC))
>>> (event.start.isoformat(), event.end - event.start)
('2026-12-24T00:00:00+00:00', datetime.timedelta(days=1))
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from types import MappingProxyType
from typing import cast
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from sopwith_formats.problems import DocumentError, Problem
from sopwith_formats.time_zones import find_zone, first_moment

SIZE_MAX = 4 * 2**20
EVENTS_MAX = 1_000
AHEAD = timedelta(days=2 * 365)
_REASON_MAX = 200
_FIRST_YEAR = 1970
_TIME = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?")
_DURATION = re.compile(r"\+?P(?:(\d{1,4})W|(?:(\d{1,4})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,7})S)?)?)")
_NAME = re.compile(r"([A-Za-z0-9-]+)")
_PARAMETER = re.compile(r";([A-Za-z0-9-]+)=(\"[^\"]*\"|[^\";:,]*)(?:,(?:\"[^\"]*\"|[^\";:,]*))*")
_UNTIL = re.compile(r"UNTIL=([0-9TZ]+)", re.IGNORECASE)
_SLOW = re.compile(r"FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)(;|$)", re.IGNORECASE)
_WITHIN_DAYS = re.compile("BY(HOUR|MINUTE|SECOND)=", re.IGNORECASE)


@dataclass(frozen=True)
class CalendarEvent:
    """One time of a calendar."""

    uid: str
    reason: str
    start: datetime
    end: datetime


@dataclass(frozen=True)
class _Line:
    number: int
    name: str
    parameters: dict[str, str]
    value: str


@dataclass
class _Event:
    """The lines of one VEVENT."""

    number: int
    lines: dict[str, list[_Line]] = field(default_factory=dict)

    def get(self, name: str) -> _Line | None:
        found = self.lines.get(name)
        return found[0] if found else None

    def text(self, name: str) -> str:
        line = self.get(name)
        return line.value if line else ""


@dataclass(frozen=True)
class _Moment:
    """A time as it is written: on a clock, and whose."""

    wall: datetime
    zone: ZoneInfo | None
    """None: UTC."""
    whole_day: bool

    @property
    def utc(self) -> datetime:
        return first_moment(self.wall, self.zone)

    def at(self, wall: datetime) -> "_Moment":
        return _Moment(wall, self.zone, self.whole_day)


def read_freeze_calendar(
    data: bytes,
    file: str,
    *,
    now: datetime,
    zone: str = "",
    ahead: timedelta = AHEAD,
    other_names: Mapping[str, str] = MappingProxyType({}),
) -> tuple[CalendarEvent, ...]:
    """Return what a calendar names from now on, in order; raise DocumentError with file and line.

    `other_names` are IANA zones by names that other programs give them, such as "W. Europe Standard Time".
    """
    return _Reader(file, now, ahead, zone, other_names).read(data)


class _Reader:
    """Reads one file."""

    def __init__(self, file: str, now: datetime, ahead: timedelta, zone: str, other_names: Mapping[str, str]) -> None:
        self._file = file
        self._now = now
        self._until = now + ahead
        self._zone = zone
        self._other_names = other_names

    def read(self, data: bytes) -> tuple[CalendarEvent, ...]:
        events = self._events(self._lines(data))
        moved = self._moved(events)
        found: list[CalendarEvent] = []
        seen: set[str] = set()
        for event in events:
            if event.get("RECURRENCE-ID"):
                continue
            uid = self._uid(event)
            if uid in seen:
                raise self._fault(event.number, f"the event {uid} stands twice", "keep one of the two")
            seen.add(uid)
            found += self._occurrences(event, uid, moved.pop(uid, {}))
            self._check_count(found, event)
        for uid, overrides in moved.items():  # a calendar may hold one moved occurrence without its rule
            for intended, event in overrides.items():
                found += self._one(event, f"{uid}/{_written(intended)}")
                self._check_count(found, event)
        return tuple(sorted(found, key=lambda event: (event.start, event.uid)))

    def _check_count(self, found: Sequence[CalendarEvent], event: _Event) -> None:
        if len(found) > EVENTS_MAX:
            text = f"with this event the calendar names more than {EVENTS_MAX} times"
            raise self._fault(event.number, text, "import a calendar that holds freezes only")

    def _lines(self, data: bytes) -> Iterator[_Line]:
        if len(data) > SIZE_MAX:
            raise self._fault(0, f"is larger than {SIZE_MAX // 2**20} MiB", "import a calendar that holds freezes only")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise self._fault(data[: error.start].count(b"\n") + 1, "is no UTF-8", "export it again") from error
        unfolded: list[tuple[int, str]] = []
        for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
            if line[:1] in {" ", "\t"} and unfolded:
                unfolded[-1] = (unfolded[-1][0], unfolded[-1][1] + line[1:])
            elif line:
                unfolded.append((number, line))
        if not unfolded or unfolded[0][1].strip().upper() != "BEGIN:VCALENDAR":
            raise self._fault(1, "is no iCalendar file", "export the calendar as .ics")
        for number, line in unfolded:
            yield self._line(number, line)

    def _line(self, number: int, line: str) -> _Line:
        name = _NAME.match(line)
        place = name.end() if name else 0
        parameters: dict[str, str] = {}
        while found := _PARAMETER.match(line, place):
            parameters[found[1].upper()] = found[2].strip('"')
            place = found.end()
        if name is None or line[place : place + 1] != ":":
            raise self._fault(number, f"{line[:40]!r} is no line of a calendar", "export it again")
        return _Line(number, name[1].upper(), parameters, line[place + 1 :].strip())

    def _events(self, lines: Iterator[_Line]) -> list[_Event]:
        events: list[_Event] = []
        open_parts: list[_Line] = []
        for line in lines:
            if line.name == "BEGIN":
                open_parts.append(line)
                if line.value.upper() == "VEVENT":
                    events.append(_Event(line.number))
            elif line.name == "END":
                if not open_parts or open_parts.pop().value.upper() != line.value.upper():
                    raise self._fault(line.number, f"END:{line.value} ends nothing that began", "export it again")
            elif len(open_parts) == 1 and line.name == "X-WR-TIMEZONE" and not self._zone:
                self._find_zone(line, line.value)
                self._zone = line.value
            elif open_parts and open_parts[-1].value.upper() == "VEVENT":
                events[-1].lines.setdefault(line.name, []).append(line)
        if open_parts:
            raise self._fault(open_parts[-1].number, f"{open_parts[-1].value} does not end", "the file is cut off")
        return events

    def _uid(self, event: _Event) -> str:
        uid = event.text("UID")
        if not uid:
            raise self._fault(event.number, "the event has no UID", "export it again, so that it can be found anew")
        return uid

    def _moved(self, events: Sequence[_Event]) -> dict[str, dict[datetime, _Event]]:
        """Return single occurrences that have an event of their own, by UID and intended start."""
        moved: dict[str, dict[datetime, _Event]] = {}
        for event in events:
            line = event.get("RECURRENCE-ID")
            if line:
                moved.setdefault(self._uid(event), {})[self._moment(line, line.value).utc] = event
        return moved

    def _occurrences(self, event: _Event, uid: str, moved: dict[datetime, _Event]) -> list[CalendarEvent]:
        if _cancelled(event):
            return []
        start, duration = self._span(event)
        rule = event.get("RRULE")
        if rule is None and not event.lines.get("RDATE"):
            return self._event(event, uid, start, duration)
        skipped = {moment.utc for moment in self._moments(event, "EXDATE", start)}
        found: list[CalendarEvent] = []
        intended = {moment.utc: moment for moment in self._starts(rule, start, duration)}
        intended.update({moment.utc: moment for moment in self._moments(event, "RDATE", start)})
        for moment in sorted(intended):
            identity = f"{uid}/{_written(moment)}"
            if moment in moved:
                found += self._one(moved.pop(moment), identity)
            elif moment not in skipped:
                found += self._event(event, identity, intended[moment], duration)
        for moment, override in moved.items():  # moved into the time that is looked at from outside of it
            found += self._one(override, f"{uid}/{_written(moment)}")
        return found

    def _one(self, event: _Event, uid: str) -> list[CalendarEvent]:
        return [] if _cancelled(event) else self._event(event, uid, *self._span(event))

    def _event(self, event: _Event, uid: str, start: _Moment, duration: timedelta) -> list[CalendarEvent]:
        # Whole days end where the clock says so; hours last as long as they last.
        end = start.at(start.wall + duration).utc if start.whole_day else start.utc + duration
        if end <= self._now or start.utc > self._until:
            return []
        summary = re.sub(r"\\([\\;,nN])", lambda found: " " if found[1] in "nN" else found[1], event.text("SUMMARY"))
        reason = " ".join("".join(letter if letter.isprintable() else " " for letter in summary).split())
        return [CalendarEvent(uid, reason[:_REASON_MAX] or "freeze calendar", start.utc, end)]

    def _starts(self, rule: _Line | None, start: _Moment, duration: timedelta) -> list[_Moment]:
        """Return the starts that a rule intends, as far as they may count."""
        if rule is None:
            return [start]
        if not _SLOW.search(rule.value) or _WITHIN_DAYS.search(rule.value):
            raise self._fault(rule.number, f"{rule.value!r} does not repeat by days", "write FREQ=DAILY or slower")
        text = _UNTIL.sub(lambda found: f"UNTIL={self._until_on_clock(rule, found[1], start)}", rule.value)
        try:
            times = cast("rrule", rrulestr(text, dtstart=start.wall))
        except (ValueError, TypeError, AttributeError) as error:
            raise self._fault(rule.number, f"{rule.value!r} is no recurrence rule: {error}", "mend RRULE") from error
        margin = timedelta(days=2)
        first = self._now.replace(tzinfo=None) - duration - margin
        last = self._until.replace(tzinfo=None) + margin
        return [start.at(wall) for wall in takewhile(lambda wall: wall <= last, times) if wall >= first]

    def _until_on_clock(self, rule: _Line, written: str, start: _Moment) -> str:
        """Return the end of a rule on the clock of its start, on which the rule is counted."""
        moment = self._moment(rule, written)
        wall = moment.wall.replace(hour=23, minute=59, second=59) if moment.whole_day else moment.wall
        if written.endswith("Z"):
            wall = moment.wall.replace(tzinfo=UTC).astimezone(start.zone or UTC).replace(tzinfo=None)
        return wall.strftime("%Y%m%dT%H%M%S")

    def _span(self, event: _Event) -> tuple[_Moment, timedelta]:
        line = event.get("DTSTART")
        if line is None:
            raise self._fault(event.number, "the event has no DTSTART", "give it a start")
        start = self._moment(line, line.value)
        ends, lasts = event.get("DTEND"), event.get("DURATION")
        if lasts is not None:
            duration = self._duration(lasts)
        elif ends is not None:
            until = self._moment(ends, ends.value)
            duration = until.wall - start.wall if start.whole_day else until.utc - start.utc
        else:
            duration = timedelta(days=1) if start.whole_day else timedelta(0)
        if duration <= timedelta(0):
            at = (ends or lasts or line).number
            raise self._fault(at, "the event does not last for any time", "give it a DTEND after its DTSTART")
        return start, duration

    def _duration(self, line: _Line) -> timedelta:
        found = _DURATION.fullmatch(line.value.upper())
        if not found:
            raise self._fault(line.number, f"{line.value!r} is no duration", "write it like PT4H or P2D")
        weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)

    def _moments(self, event: _Event, name: str, start: _Moment) -> list[_Moment]:
        """Return the times of EXDATE or RDATE; a bare day means the start's time of day on it."""
        found = []
        for line in event.lines.get(name, []):
            for written in line.value.split(","):
                moment = self._moment(line, written.strip().partition("/")[0])
                if moment.whole_day and not start.whole_day:
                    moment = start.at(datetime.combine(moment.wall.date(), start.wall.time()))
                found.append(moment)
        return found

    def _moment(self, line: _Line, written: str) -> _Moment:
        found = _TIME.fullmatch(written)
        wall = _wall(found) if found else None
        if not found or wall is None:
            raise self._fault(line.number, f"{line.name}: {written!r} is no time", "write it like 20261224T120000Z")
        if wall.year < _FIRST_YEAR:
            raise self._fault(line.number, f"{line.name} lies before {_FIRST_YEAR}", "begin the rule later")
        if found[3]:
            return _Moment(wall, None, whole_day=False)
        zone = line.parameters.get("TZID", "") or self._zone
        return _Moment(wall, self._find_zone(line, zone) if zone else None, whole_day=found[2] is None)

    def _find_zone(self, line: _Line, written: str) -> ZoneInfo:
        """Return the zone of an IANA name, which programs may put behind a path of their own, or of another name."""
        name = self._other_names.get(written.strip('"'), written)
        parts = name.strip("/").split("/")
        for first in range(len(parts)):
            zone = find_zone("/".join(parts[first:]))
            if zone is not None:
                return zone
        raise self._fault(line.number, f"{written!r} is no time zone", "write an IANA name such as Europe/Berlin")

    def _fault(self, line: int, message: str, remedy: str) -> DocumentError:
        return DocumentError([Problem(self._file, line, "", message, remedy)])


def _wall(found: re.Match[str]) -> datetime | None:
    """Return a written time on its clock; None for one that no clock shows."""
    try:
        return datetime.strptime(found[1] + (found[2] or "000000"), "%Y%m%d%H%M%S")  # noqa: DTZ007  a time on a clock
    except ValueError:
        return None


def _cancelled(event: _Event) -> bool:
    return event.text("STATUS").upper() == "CANCELLED"


def _written(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")
