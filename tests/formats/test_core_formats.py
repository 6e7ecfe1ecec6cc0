"""Canonical JSON, units, join strings, warrants, receipts and manifests keep their rules."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopwith_formats import canonical_json
from sopwith_formats.agent_decision import AgentDecision, decision
from sopwith_formats.errors import FormatError
from sopwith_formats.join import Join, format_join, parse_join
from sopwith_formats.manifest import Artifact, HealthCheck, Manifest, read_manifest, split_release
from sopwith_formats.receipt import Receipt, read_receipt
from sopwith_formats.units import (
    format_duration,
    format_rate,
    format_size,
    format_time,
    parse_duration,
    parse_percent,
    parse_rate,
    parse_size,
    parse_time,
)
from sopwith_formats.vocabulary import GateResult
from sopwith_formats.warrant import Warrant, read_warrant

NOW = datetime(2026, 11, 22, 2, 14, 35, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def a_warrant(**changes):
    fields = {
        "assignment_id": "a-1",
        "generation": 1,
        "computer_id": "c-1",
        "computer_name": "pc1",
        "rollout_id": "r-1",
        "release": "hello",
        "version": "2",
        "manifest_sha256": "0" * 64,
        "sop_id": "SU-SOP-001",
        "sop_revision": 1,
        "policy_sha256": "1" * 64,
        "plan_sha256": "2" * 64,
        "change_class": "standard",
        "emergency": False,
        "attempts_max": 3,
        "deadline_time": NOW + timedelta(days=14),
        "start_until_time": None,
        "issued_time": NOW,
        "policy": {},
    }
    return Warrant(**{**fields, **changes})


def a_receipt(**changes):
    fields = {
        "number": 1,
        "previous_sha256": "",
        "assignment_id": "a-1",
        "generation": 1,
        "rollout_id": "r-1",
        "computer_id": "c-1",
        "release": "hello",
        "version": "2",
        "manifest_sha256": "0" * 64,
        "warrant_sha256": "0" * 64,
        "sop_id": "SU-SOP-001",
        "sop_revision": 1,
        "policy_sha256": "1" * 64,
        "outcome": "SUCCEEDED",
        "symptom": "",
        "detail": "",
        "version_before": "1",
        "version_after": "2",
        "attempts": 1,
        "commits": 1,
        "started_time": NOW,
        "ended_time": NOW + timedelta(seconds=3),
        "boot_id": "b",
        "boot_seconds": 77,
        "steps": ({"step": "install", "time": "2026-11-22T02:14:35Z", "result": "done", "detail": ""},),
        "utc_offset_seconds": 3600,
    }
    return Receipt(**{**fields, **changes})


def a_manifest(**changes):
    fields = {
        "name": "hello",
        "version": "2.10-3",
        "artifacts": (Artifact("hello_2.10-3_amd64.deb", "deb", 10, "a" * 64),),
        "health_checks": (HealthCheck(exec=("/usr/bin/hello",), expect="Hello"),),
    }
    return Manifest(**{**fields, **changes})


@pytest.mark.parametrize(
    ("text", "rate", "said"),
    [
        ("200Mbit/s", 25_000_000, "200 Mbit/s"),
        ("25 MB/s", 25_000_000, "200 Mbit/s"),
        ("1GiB/s", 2**30, "8.6 Gbit/s"),
        ("8kbit/s", 1000, "8 kbit/s"),
        ("1B/s", 1, "8 bit/s"),
    ],
)
def test_rates_are_bytes_a_second_and_spoken_of_in_bits(text: str, rate: int, said: str):
    assert parse_rate(text) == rate
    assert format_rate(rate) == said


@given(JSON)
def test_canonical_json_reads_what_it_wrote(document):
    assert canonical_json.decode_canonical(canonical_json.encode(document)) == document


@pytest.mark.parametrize("document", [1.5, {"a": 2**53}, {1: "x"}, {"a": [b"x"]}])
def test_what_json_cannot_carry_exactly_is_refused(document):
    with pytest.raises(FormatError):
        canonical_json.encode(document)


@pytest.mark.parametrize("data", [b'{"a":1,"a":2}', b'{"a":1.5}', b"{", b"\xff", b"[" * 100_000])
def test_broken_json_is_refused_without_a_traceback(data):
    with pytest.raises(FormatError):
        canonical_json.decode(data)


def test_another_writing_of_the_same_document_is_refused():
    with pytest.raises(FormatError, match="canonical"):
        canonical_json.decode_canonical(b'{"a": 1}')


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0), ("30m", 1800), ("1h30m", 5400), ("14d", 1209600)])
def test_durations_are_read_and_written_alike(text, seconds):
    duration = parse_duration(text)

    assert duration.total_seconds() == seconds
    assert format_duration(duration) == text


@pytest.mark.parametrize("text", ["", "5", "m", "1.5h", "-3m", "5 m", "10x"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(FormatError):
        parse_duration(text)


def test_sizes_percentages_and_times_are_read():
    assert parse_size("50MiB") == 50 * 2**20
    assert format_size(50 * 2**20) == "50.0 MiB"
    assert format_size(12) == "12 B"
    assert str(parse_percent("2.5%")) == "2.5"
    assert parse_time(format_time(NOW)) == NOW


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (parse_size, "50"),
        (parse_rate, "200Mbit"),
        (parse_rate, "0MB/s"),
        (parse_percent, "101%"),
        (parse_percent, "5"),
        (parse_time, "soon"),
        (parse_time, "2026-11-22"),
    ],
)
def test_what_is_no_unit_is_refused(read, text):
    with pytest.raises(FormatError):
        read(text)


@pytest.mark.parametrize("host", ["controller.example", "127.0.0.1", "::1"])
@pytest.mark.parametrize("token", ["", "t" * 43])
def test_join_strings_are_read_and_written_alike(host, token):
    join = Join(host, 7445, "sha256:" + "a" * 64, "sha256:" + "b" * 64, token)

    assert parse_join(format_join(join)) == join
    assert token not in repr(join) or not token


@pytest.mark.parametrize(
    "text",
    [
        "https://x:1/#ca=sha256:" + "a" * 64,
        "sopwith://x/#ca=sha256:" + "a" * 64,
        "sopwith://x:1/#token=" + "t" * 43,
        "sopwith://x:1/#ca=sha256:" + "a" * 63,
        "sopwith://x:1/#ca=sha256:" + "a" * 64 + "&token=short",
        "sopwith://x:1/#ca=sha256:" + "a" * 64 + "&more=1",
        "sopwith://x:notaport/#ca=sha256:" + "a" * 64,
    ],
)
def test_broken_join_strings_are_refused_without_the_secret(text):
    with pytest.raises(FormatError) as caught:
        parse_join(text)

    assert "t" * 43 not in str(caught.value)


def test_warrants_are_read_as_they_were_signed():
    evidence = [{"envelope": "{}", "certificate": "pem"}]
    warrant = a_warrant(start_until_time=NOW + timedelta(minutes=5), requester="p-otto", approvals=evidence)

    assert read_warrant(warrant.payload()) == warrant


@pytest.mark.parametrize(
    "change",
    [
        {"extra": 1},
        {"generation": "1"},
        {"emergency": 1},
        {"format": 2},
        {"approvals": ["yes"]},
        {"approvals": [{"envelope": "{}"}]},
        {"approvals": [{"envelope": "{}", "certificate": 1}]},
        {"approvals": [{"envelope": "{}", "certificate": "pem"}] * 17},
    ],
)
def test_a_warrant_with_other_keys_or_types_is_refused(change):
    document = {**canonical_json.decode(a_warrant().payload()), **change}

    with pytest.raises(FormatError):
        read_warrant(canonical_json.encode(document))


DECIDED = decision("disk_free", GateResult.REFUSED, "1.0 GiB free at /", "2.0 GiB").as_text()


def test_receipts_are_read_as_they_were_signed():
    decided = a_receipt(decisions=(AgentDecision(**DECIDED),))

    assert read_receipt(a_receipt().payload()) == a_receipt()
    assert read_receipt(decided.payload()) == decided


def test_receipts_that_older_agents_signed_are_still_read_without_decisions_and_as_outcomes():
    document = canonical_json.decode(a_receipt().payload())
    del document["decisions"]
    second = canonical_json.encode({**document, "format": 2})
    del document["kind"]
    first = canonical_json.encode({**document, "format": 1})

    assert read_receipt(second) == read_receipt(first) == a_receipt()


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "FINE"},
        {"outcome": ""},
        {"symptom": "TIRED"},
        {"number": "1"},
        {"steps": [1]},
        {"format": 9},
        {"format": 1},
        {"format": 2},
        {"format": True},
        {"decisions": [1]},
        {"decisions": [{**DECIDED, "result": "SHRUGGED"}]},
        {"decisions": [{**DECIDED, "measured": 1}]},
        {"decisions": [DECIDED] * 65},
        {"kind": "THOUGHT"},
        {"kind": "STARTED"},
        {"x": ""},
    ],
)
def test_a_receipt_that_breaks_the_format_is_refused(change):
    document = {**canonical_json.decode(a_receipt().payload()), **change}

    with pytest.raises(FormatError):
        read_receipt(canonical_json.encode(document))


def test_a_started_record_has_no_outcome_and_is_read_as_it_was_signed():
    started = a_receipt(kind="STARTED", outcome="")

    assert read_receipt(started.payload()) == started


def test_manifests_are_read_as_they_were_signed():
    assert read_manifest(a_manifest().to_json()) == a_manifest()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../x"},
        {"version": "1/2"},
        {"severity": "urgent"},
        {"artifacts": ()},
        {"artifacts": (Artifact("../x.deb", "deb", 1, "a" * 64),)},
        {"artifacts": (Artifact("x.deb", "msi", 1, "a" * 64),)},
        {"artifacts": (Artifact("x.deb", "deb", -1, "a" * 64),)},
        {"artifacts": (Artifact("x.deb", "deb", 1, "A" * 64),)},
        {"artifacts": (Artifact("x.deb", "deb", 1, "a" * 64),) * 2},
        {"health_checks": (HealthCheck(),)},
        {"health_checks": (HealthCheck(exec=("a",), http="http://x"),)},
    ],
)
def test_a_manifest_out_of_range_is_refused(change):
    with pytest.raises(FormatError):
        read_manifest(replace(a_manifest(), **change).to_json())


def test_release_names_are_split_at_the_at_sign():
    assert split_release("hello@2.10-3") == ("hello", "2.10-3")
    for text in ("hello", "@1", "hello@", "Hello@1", "hello@1@2"):
        with pytest.raises(FormatError):
            split_release(text)
