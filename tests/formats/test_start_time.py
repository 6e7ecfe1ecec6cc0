"""Start times: a moment, a time on a named zone's clock, or on each computer's own."""

from datetime import UTC, datetime

import pytest

from sopwith_formats.errors import FormatError
from sopwith_formats.start_time import check_start_time, is_local, start_moment


@pytest.mark.parametrize(
    ("text", "own_zone", "moment", "local"),
    [
        ("2026-12-01T22:00:00Z", "Asia/Tokyo", "2026-12-01T22:00", False),
        ("2026-12-01T22:00+01:00", "Asia/Tokyo", "2026-12-01T21:00", False),
        ("2026-12-01T22:00[Europe/Berlin]", "Asia/Tokyo", "2026-12-01T21:00", False),
        ("2026-12-01T22:00", "Asia/Tokyo", "2026-12-01T13:00", True),
        ("2026-12-01 22:00:30", "", "2026-12-01T22:00:30", True),
        ("2026-12-01T22:00", "Moon/Tycho", "2026-12-01T22:00", True),
        ("2027-03-28T02:30[Europe/Berlin]", "", "2027-03-28T01:00", False),
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30", True),
    ],
)
def test_start_time_means_one_moment_for_a_computer(text, own_zone, moment, local):
    assert check_start_time(text) == text
    assert start_moment(text, own_zone) == datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert is_local(text) is local


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tomorrow", "is no time"),
        ("2026-12-01", "is no time"),
        ("2026-13-01T22:00", "is no time"),
        ("2026-12-01T22:00[Mars]", "names no time zone"),
        ("2026-12-01T22:00Z[UTC]", "an offset and a zone"),
        ("2026-12-01T22:00[]", "is no time"),
    ],
)
def test_text_that_names_no_moment_is_refused_with_its_mend(text, words):
    with pytest.raises(FormatError, match=words) as caught:
        check_start_time(text)

    assert caught.value.remedy
