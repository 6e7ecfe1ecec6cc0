"""Freeze calendars: what iCalendar files say, and where they say nothing that can be understood."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tzlocal.windows_tz import win_tz

from sopwith_formats.freeze_calendar import EVENTS_MAX, CalendarEvent, read_freeze_calendar
from sopwith_formats.problems import DocumentError
from sopwith_formats.time_zones import find_zone
from sopwith_formats.units import format_time

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def calendar(*events: str, head: str = "") -> bytes:
    blocks = "".join(f"BEGIN:VEVENT\n{event.strip()}\nEND:VEVENT\n" for event in events)
    return f"BEGIN:VCALENDAR\nVERSION:2.0\n{head}{blocks}END:VCALENDAR\n".replace("\n", "\r\n").encode()


def read(*events: str, head: str = "", zone: str = "") -> tuple[CalendarEvent, ...]:
    return read_freeze_calendar(calendar(*events, head=head), "plant.ics", now=NOW, zone=zone)


def times(events: tuple[CalendarEvent, ...]) -> list[tuple[str, str]]:
    return [(format_time(event.start), format_time(event.end)) for event in events]


@pytest.mark.parametrize(
    ("lines", "start", "end"),
    [
        ("DTSTART:20261224T120000Z\nDTEND:20261224T180000Z", "2026-12-24T12:00:00Z", "2026-12-24T18:00:00Z"),
        ("DTSTART:20261224T120000Z\nDURATION:P1DT2H", "2026-12-24T12:00:00Z", "2026-12-25T14:00:00Z"),
        ("DTSTART:20261224T120000Z\nDURATION:P1W", "2026-12-24T12:00:00Z", "2026-12-31T12:00:00Z"),
        ("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227", "2026-12-24T00:00:00Z", "2026-12-27T00:00:00Z"),
        ("DTSTART;VALUE=DATE:20261224", "2026-12-24T00:00:00Z", "2026-12-25T00:00:00Z"),
        (
            "DTSTART;TZID=Europe/Berlin:20261224T120000\nDTEND;TZID=Europe/Berlin:20261224T130000",
            "2026-12-24T11:00:00Z",
            "2026-12-24T12:00:00Z",
        ),
        (
            'DTSTART;X-A="b:c;d";TZID="/mozilla.org/20050126_1/Europe/Berlin":20261224T120000\nDURATION:PT1H',
            "2026-12-24T11:00:00Z",
            "2026-12-24T12:00:00Z",
        ),
        ("DTSTART:20261224T120000\nDURATION:PT1H", "2026-12-24T12:00:00Z", "2026-12-24T13:00:00Z"),
    ],
)
def test_starts_and_ends_are_read_in_every_writing(lines: str, start: str, end: str):
    found = read(f"UID:1\nSUMMARY:year end\n{lines}")

    assert times(found) == [(start, end)]
    assert (found[0].uid, found[0].reason) == ("1", "year end")


def test_whole_days_lie_on_the_calendar_s_clock_across_a_change():
    day = "UID:1\nDTSTART;VALUE=DATE:20270328"

    by_calendar = read(day, head="X-WR-TIMEZONE:Europe/Berlin\n")
    by_caller = read(day, head="X-WR-TIMEZONE:Asia/Tokyo\n", zone="Europe/Berlin")

    assert times(by_calendar) == [("2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z")]
    assert by_caller == by_calendar


def test_a_rule_repeats_on_the_clock_and_leaves_out_moves_and_cancels_single_times():
    rule = (
        "UID:w\nSUMMARY:inventory\nDTSTART;TZID=Europe/Berlin:20261201T200000\nDURATION:PT2H\n"
        "RRULE:FREQ=MONTHLY;UNTIL=20270501T180000Z\nEXDATE;TZID=Europe/Berlin:20270101T200000\n"
        "RDATE;TZID=Europe/Berlin:20261215T200000"
    )
    moved = "UID:w\nRECURRENCE-ID;TZID=Europe/Berlin:20270201T200000\nDTSTART:20270202T100000Z\nDURATION:PT1H"
    off = "UID:w\nRECURRENCE-ID;TZID=Europe/Berlin:20270301T200000\nDTSTART:20270301T190000Z\nSTATUS:CANCELLED"

    found = read(rule, moved, off)

    assert times(found) == [
        ("2026-12-01T19:00:00Z", "2026-12-01T21:00:00Z"),
        ("2026-12-15T19:00:00Z", "2026-12-15T21:00:00Z"),
        ("2027-02-02T10:00:00Z", "2027-02-02T11:00:00Z"),
        ("2027-04-01T18:00:00Z", "2027-04-01T20:00:00Z"),
        ("2027-05-01T18:00:00Z", "2027-05-01T20:00:00Z"),
    ]
    assert found[2].uid == "w/20270201T190000Z"
    assert len({event.uid for event in found}) == 5


def test_bare_days_leave_out_and_end_a_rule():
    found = read(
        "UID:1\nDTSTART:20261201T080000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20261204\nEXDATE;VALUE=DATE:20261202"
    )

    assert [event.start.day for event in found] == [1, 3, 4]


def test_a_moved_time_without_its_rule_still_counts():
    found = read("UID:w\nRECURRENCE-ID:20270201T200000Z\nDTSTART:20270202T100000Z\nDURATION:PT1H")

    assert [event.uid for event in found] == ["w/20270201T200000Z"]


def test_a_time_that_was_moved_here_from_beyond_counts():
    rule = "UID:w\nDTSTART:20200101T000000Z\nDURATION:PT1H\nRRULE:FREQ=YEARLY"
    moved = "UID:w\nRECURRENCE-ID:20300101T000000Z\nDTSTART:20270601T000000Z\nDURATION:PT1H"

    assert [event.start.year for event in read(rule, moved)] == [2027, 2027, 2028]


def test_what_is_over_cancelled_or_far_ahead_does_not_count():
    found = read(
        "UID:1\nDTSTART:20261123T080000Z\nDTEND:20261123T100000Z",
        "UID:2\nDTSTART:20261224T080000Z\nDURATION:PT1H\nSTATUS:CANCELLED",
        "UID:3\nDTSTART:20301224T080000Z\nDURATION:PT1H",
        "UID:4\nDTSTART:20261123T080000Z\nDTEND:20261123T100001Z",
    )

    assert [event.uid for event in found] == ["4"]


def test_folded_lines_escapes_alarms_and_other_parts_are_understood():
    found = read(
        "UID:1\nSUMMARY:year\\, end\n  of\\nbooks\\; \\\\ ok\nDTSTART;VALUE=DATE:2026\n 1224\n"
        "BEGIN:VALARM\nUID:alarm\nDURATION:PT5M\nEND:VALARM",
        head="BEGIN:VTIMEZONE\nTZID:Europe/Berlin\nEND:VTIMEZONE\n",
    )

    assert [(event.uid, event.reason) for event in found] == [("1", "year, end of books; \\ ok")]


def test_a_freeze_without_summary_has_a_reason_still():
    assert read("UID:1\nDTSTART;VALUE=DATE:20261224")[0].reason == "freeze calendar"


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"", 1, "is no iCalendar file"),
        (b"hello\n", 1, "is no iCalendar file"),
        (b"BEGIN:VCALENDAR\n\xff\n", 2, "is no UTF-8"),
        (b"x" * (4 * 2**20 + 1), 0, "is larger than"),
        (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\n", 2, "VEVENT does not end"),
        (b"BEGIN:VCALENDAR\nEND:VEVENT\n", 2, "ends nothing that began"),
        (b"BEGIN:VCALENDAR\nno line\nEND:VCALENDAR\n", 2, "is no line of a calendar"),
        (calendar("DTSTART:20261224T080000Z"), 3, "has no UID"),
        (calendar("UID:1"), 3, "has no DTSTART"),
        (calendar("UID:1\nDTSTART:20261224T080000Z"), 5, "does not last for any time"),
        (calendar("UID:1\nDTSTART:20261224T080000Z\nDTEND:20261224T070000Z"), 6, "does not last for any time"),
        (calendar("UID:1\nDTSTART:20261324T080000Z\nDURATION:PT1H"), 5, "is no time"),
        (calendar("UID:1\nDTSTART:tomorrow\nDURATION:PT1H"), 5, "is no time"),
        (calendar("UID:1\nDTSTART:00010101T000000Z\nDURATION:PT1H"), 5, "lies before 1970"),
        (calendar("UID:1\nDTSTART:20261224T080000Z\nDURATION:1h"), 6, "is no duration"),
        (calendar("UID:1\nDTSTART;TZID=W. Europe Standard Time:20261224T080000\nDURATION:PT1H"), 5, "is no time zone"),
        (calendar(head="X-WR-TIMEZONE:Mars/Olympus\n"), 3, "is no time zone"),
        (calendar("UID:1\nDTSTART:20261224T080000Z\nDURATION:PT1H\nRRULE:FREQ=HOURLY"), 7, "does not repeat by days"),
        (calendar("UID:1\nDTSTART:20261224T080000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;BYHOUR=1,2"), 7, "by days"),
        (calendar("UID:1\nDTSTART:20261224T080000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;BYDAY=XX"), 7, "recurrence rule"),
        (calendar("UID:1\nDTSTART;VALUE=DATE:20261224", "UID:1\nDTSTART;VALUE=DATE:20261225"), 7, "stands twice"),
    ],
)
def test_faults_name_file_and_line(data: bytes, line: int, words: str):
    with pytest.raises(DocumentError) as refused:
        read_freeze_calendar(data, "plant.ics", now=NOW)

    problem = refused.value.problems[0]
    assert (problem.file, problem.line) == ("plant.ics", line)
    assert words in problem.message
    assert problem.remedy


def test_more_times_than_anybody_can_mean_are_refused():
    many = "UID:{}\nDTSTART:20261201T000000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=600"

    assert len(read(many.format(1))) == 600
    with pytest.raises(DocumentError, match=f"more than {EVENTS_MAX} times"):
        read(many.format(1), many.format(2))


@given(st.text(max_size=300))
def test_whatever_lies_in_an_event_is_read_or_refused_in_words(text: str):
    data = calendar(f"UID:1\nDTSTART;VALUE=DATE:20261224\n{text}")

    try:
        found = read_freeze_calendar(data, "plant.ics", now=NOW)
    except DocumentError:
        found = ()

    assert all(event.start < event.end for event in found)
    assert len(found) <= EVENTS_MAX


@pytest.mark.parametrize("written", ["W. Europe Standard Time", '"W. Europe Standard Time"'])
def test_names_that_windows_gives_to_zones_are_read_where_the_caller_knows_them(written: str):
    data = calendar(f"UID:1\nDTSTART;TZID={written}:20261224T080000\nDURATION:PT1H")

    (event,) = read_freeze_calendar(data, "plant.ics", now=NOW, other_names=win_tz)

    assert event.start == datetime(2026, 12, 24, 7, 0, tzinfo=UTC)


def test_every_name_that_windows_gives_is_a_zone_of_ours():
    unknown = {name: zone for name, zone in win_tz.items() if find_zone(zone) is None}

    assert unknown == {}
    assert len(win_tz) > 100
