"""The rollout file: the contract's example is read as it stands, and every fault is named with its line."""

import pytest

from sopwith_formats.problems import DocumentError
from sopwith_formats.rollout_document import read_rollout_document
from sopwith_formats.rollout_spec import ErrorThresholdSpec, read_rollout_spec
from sopwith_formats.sop_policy import DisruptionBudget, WaveRule, Window

COMPLETE = b"""\
rollout: hello-2.10-3
release: hello@2.10-3
sop: SU-SOP-001                    # effective revision, pinned at submit
audience: "site=berlin, ring!=vip"
# optional from here; the SOP gives defaults and bounds
dynamic: false
waves: [{name: canary, size: 1, soak: 30m}, {name: early, size: 25%, soak: 4h}, {name: rest, size: 100%}]
success_threshold: 95%
error_threshold: {percent: 2, count: 3, lost: 2}
max_concurrency: 10%               # or a count
bandwidth_max: 200Mbit/s
staging: 12h
disruption_budget: {group_by: [site], max_unavailable: 2}
window: {rrule: "FREQ=WEEKLY;BYDAY=SA", start: "22:00", duration: 6h, time_zone: local, cutoff: 30m}
start_time: null
repeat: null
deadline: 14d
attempts_max: 3
ready_quorum: 1
emergency: false
reboot_only: false
ticket: CHG-1234
"""

SMALL = b"rollout: hello\nrelease: hello@1\nsop: SU-SOP-001\n"


def test_complete_rollout_file_is_read_with_typed_values():
    spec = read_rollout_document(COMPLETE)

    assert spec.waves == (WaveRule("canary", 1, 1800), WaveRule("early", "25%", 14400), WaveRule("rest", "100%", 0))
    assert spec.error_threshold == ErrorThresholdSpec("2%", 3, 2)
    assert (spec.success_threshold, spec.max_concurrency, spec.deadline_seconds) == ("95%", "10%", 14 * 86400)
    assert spec.window == Window("FREQ=WEEKLY;BYDAY=SA", "22:00", 21600, "local", 1800)
    assert spec.disruption_budget == DisruptionBudget(("site",), 2)
    assert (spec.bandwidth_max, spec.staging_seconds) == (25_000_000, 12 * 3600)
    assert (spec.ticket, spec.audience) == ("CHG-1234", "site=berlin, ring!=vip")
    assert read_rollout_spec(spec.to_json()) == spec


def test_absent_values_are_left_to_the_sop():
    spec = read_rollout_document(SMALL)

    assert (spec.waves, spec.success_threshold, spec.window, spec.attempts_max) == ((), None, None, None)


@pytest.mark.parametrize(
    ("line", "key", "words"),
    [
        (b"wave: []", "wave", "did you mean waves?"),
        (b"release: hello", "release", "stands twice"),
        (b"deadline: 14", "deadline", "has no unit"),
        (b"bandwidth_max: 200Mbit", "bandwidth_max", "for example 200Mbit/s"),
        (b"bandwidth_max: 0MB/s", "bandwidth_max", "is no rate"),
        (b"success_threshold: 95", "success_threshold", "write it like 95%"),
        (b"success_threshold: 101%", "success_threshold", "no percentage"),
        (b"attempts_max: 0", "attempts_max", "write at least 1"),
        (b"attempts_max: three", "attempts_max", "whole number"),
        (b"emergency: yes", "emergency", "write true or false"),
        (b"max_concurrency: 0", "max_concurrency", "count from 1"),
        (b"waves: canary", "waves", "not a list"),
        (b"waves: [{name: tail, size: 1}]", "waves", "Sopwith itself uses"),
        (b"waves: [{name: a, size: 1}, {name: a, size: 2}]", "waves", "twice"),
        (b"waves: [{name: a, size: 1, soak: -5m}]", "waves[0].soak", "no duration"),
        (b"window: {rrule: weekly, start: '22:00', duration: 6h}", "window.rrule", "no RRULE"),
        (b"window: {rrule: FREQ=HOURLY, start: '22:00', duration: 6h}", "window.rrule", "does not say FREQ=DAILY"),
        (b"window: {rrule: FREQ=DAILY, start: '22:00', duration: 40d}", "window.duration", "31 days"),
        (b"window: {rrule: FREQ=DAILY, start: '25:00', duration: 6h}", "window.start", "no time of day"),
        (b"window: {rrule: FREQ=DAILY, start: 22:00, duration: 6h, cutoff: 7h}", "window.cutoff", "no time to start"),
        (
            b"window: {rrule: FREQ=DAILY, start: 22:00, duration: 6h, time_zone: X}",
            "window.time_zone",
            "no time zone",
        ),
        (b"audience: site in berlin", "audience", "in berlin"),
        (b"audience: [a]", "audience", "no selector"),
        (b"start_time: tomorrow", "start_time", "no time"),
        (b"start_time: 2026-11-22T02:14:35[Mars]", "start_time", "names no time zone"),
        (b"start_time: 2026-11-22T02:14:35Z[UTC]", "start_time", "an offset and a zone"),
        (b"disruption_budget: {group_by: [], max_unavailable: 1}", "disruption_budget.group_by", "too few"),
    ],
)
def test_fault_is_named_with_line_key_and_mend(line, key, words):
    with pytest.raises(DocumentError) as caught:
        read_rollout_document(SMALL + line + b"\n")

    (problem,) = caught.value.problems
    assert (problem.line, problem.key) == (4, key)
    assert words in str(problem)


def test_emergency_with_waves_of_its_own_is_refused():
    with pytest.raises(DocumentError, match="emergency waves"):
        read_rollout_document(SMALL + b"emergency: true\nwaves: [{name: a, size: 1}]\n")


def test_rollout_that_only_reboots_names_no_release():
    spec = read_rollout_document(b"rollout: reboots\nreboot_only: true\nsop: SU-SOP-001\n")

    assert (spec.release, spec.reboot_only) == ("reboot@only", True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"sop: SU-SOP-001\n", "or reboot_only: true"),
        (b"sop: SU-SOP-001\nrelease: hello@2\nreboot_only: true\n", "delete release, or reboot_only"),
        (b"sop: SU-SOP-001\nrelease: reboot@only\n", "which nobody publishes"),
    ],
)
def test_release_and_reboot_only_exclude_each_other(text, words):
    with pytest.raises(DocumentError, match=words):
        read_rollout_document(b"rollout: reboots\n" + text)


def test_release_without_version_is_refused():
    with pytest.raises(DocumentError, match="write name@version"):
        read_rollout_document(b"rollout: hello\nrelease: hello\nsop: SU-SOP-001\n")
