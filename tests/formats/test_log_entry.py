"""The bytes of one entry: canonical, linked, escaped."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopwith_formats import canonical_json
from sopwith_formats.errors import FormatError
from sopwith_formats.log_entry import (
    FIRST_PREVIOUS,
    PREFIX,
    ROW_FIELDS,
    LogEntry,
    escape,
    escape_all,
    local_time,
    row_of,
    text_of,
    utc_text,
)

ENTRY = LogEntry(
    index=7,
    time="2026-11-22T12:00:00Z",
    date="2026-11-22",
    local_time="2026-11-22T13:00:00+01:00",
    kind="ASSIGNMENT_ENDED",
    computer="pc1",
    release="hello@2",
    version_before="1",
    version_after="2",
    outcome="SUCCEEDED",
    corrected_outcome="",
    symptom="",
    attempts=1,
    operator="operator",
    rollout="r-1",
    ticket="CHG-1",
    sop_id="SU-SOP-001",
    sop_revision=3,
    receipt_sha256="ab" * 32,
    message="pc1 was updated",
    details={"b": 1, "a": ["ü"]},
)


def test_an_entry_s_digest_covers_the_previous_digest_and_the_exact_bytes():
    row, digest = row_of(ENTRY, FIRST_PREVIOUS)

    exact = row.canonical_json.encode()
    assert digest == hashlib.sha256(PREFIX + bytes(32) + exact).digest() == bytes.fromhex(row.entry_sha256)
    assert row_of(ENTRY, b"\x01" * 32)[1] != digest


def test_every_column_stands_in_the_exact_bytes():
    row, _ = row_of(ENTRY, FIRST_PREVIOUS)

    document = canonical_json.decode_canonical(row.canonical_json.encode())
    assert {*document} == {"format", *ROW_FIELDS} - {"canonical_json", "entry_sha256"}
    assert row.details == '{"a":["ü"],"b":1}'
    assert all(getattr(row, key) == value for key, value in document.items() if key not in {"format", "details"})


@given(st.text(), st.integers(-5, 2**53 - 1), st.dictionaries(st.text(), st.text() | st.integers(0, 9) | st.none()))
def test_the_composed_text_is_the_canonical_json(text, number, details):
    text, details = escape(text), escape_all(details)
    entry = replace(ENTRY, message=text, attempts=number, details=details)

    assert row_of(entry, FIRST_PREVIOUS)[0].canonical_json.encode() == entry.canonical()


@pytest.mark.parametrize("change", [{"attempts": 2**53}, {"attempts": "1"}, {"attempts": True}, {"message": 5}])
def test_columns_of_a_wrong_kind_have_no_text(change):
    assert text_of({"format": 1, **vars(row_of(ENTRY, FIRST_PREVIOUS)[0]), **change}) == ""


def test_a_number_that_json_does_not_carry_exactly_is_refused():
    with pytest.raises(FormatError):
        row_of(replace(ENTRY, attempts=2**53), FIRST_PREVIOUS)


@given(st.text())
def test_escaped_text_is_one_printable_line(text):
    escaped = escape(text)

    assert len(escaped.splitlines()) <= 1
    assert not any(ord(one) < 32 or 0x7F <= ord(one) < 0xA0 for one in escaped)
    escaped.encode("utf-8")


def test_long_text_is_cut_and_says_so():
    assert escape("x" * 5000).endswith("x [cut: 5000 characters]")


def test_nested_text_is_escaped_with_its_keys():
    assert escape_all({"a\n": ["\x1b", 1, None, True, {"b": ("\r",)}]}) == {
        "a\\u000a": ["\\u001b", 1, None, True, {"b": ["\\u000d"]}]
    }


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (None, ""),
        (0, "2026-11-22T12:00:00+00:00"),
        (-12600, "2026-11-22T08:30:00-03:30"),
        (20, "2026-11-22T12:00:00+00:00"),
        (86400, ""),
        (-(10**9), ""),
    ],
)
def test_local_time_is_by_the_computer_s_offset_or_absent(offset, expected):
    assert local_time(datetime(2026, 11, 22, 12, tzinfo=UTC), offset) == expected


def test_the_date_is_that_of_utc():
    assert utc_text(datetime(2026, 11, 22, 12, 0, 0, 5_000, tzinfo=UTC)) == ("2026-11-22T12:00:00.005Z", "2026-11-22")
