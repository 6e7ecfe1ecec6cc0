"""How long updates take: what a receipt tells, and what many of them say together."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sopwith_controller.domain.durations import (
    DEFAULT_BYTES_PER_SECOND,
    GUESS,
    MEASUREMENTS_MAX,
    Estimate,
    Estimates,
    Measurement,
    bytes_for,
    estimates,
    measure,
    platform_of,
)
from sopwith_formats.manifest import Artifact
from sopwith_formats.receipt import Receipt
from sopwith_formats.units import format_time
from tests.controller.domain.builders import NOW, a_manifest

FACTS = {"os": "linux", "arch": "amd64", "distribution": "debian"}
DEBIAN = "linux/x86_64/debian"


def steps(*taken: tuple[str, int]) -> tuple[dict[str, str], ...]:
    """Return steps by name and second after the start."""
    return tuple(
        {"step": name, "time": format_time(NOW + timedelta(seconds=second)), "result": "done", "detail": ""}
        for name, second in taken
    )


def a_receipt(**changes) -> Receipt:
    texts: dict[str, Any] = dict.fromkeys(
        (
            "previous_sha256",
            "rollout_id",
            "computer_id",
            "manifest_sha256",
            "warrant_sha256",
            "sop_id",
            "policy_sha256",
        ),
        "",
    )
    receipt = Receipt(
        number=1,
        assignment_id="a1",
        generation=1,
        release="hello",
        version="2",
        sop_revision=1,
        outcome="SUCCEEDED",
        symptom="",
        detail="",
        version_before="1",
        version_after="2",
        attempts=1,
        commits=1,
        started_time=NOW,
        ended_time=NOW + timedelta(seconds=200),
        boot_id="b",
        boot_seconds=1,
        steps=steps(("preparing", 5), ("downloading", 15), ("staged", 100), ("installing", 130), ("confirming", 140)),
        utc_offset_seconds=0,
        **texts,
    )
    return replace(receipt, **changes)


def measured(number: int = 1, *, install: float = 10, rate: int = 1000, platform: str = DEBIAN, **changes):
    took = Measurement(
        f"a{number}", "hello", "2", platform, int(install * 1000), 1000, rate, NOW + timedelta(minutes=number)
    )
    return replace(took, **changes)


def test_a_receipt_tells_install_and_download_without_the_waits_between():
    found = measure(a_receipt(), a_manifest(), FACTS, now=NOW)

    assert found == Measurement("a1", "hello", "2", DEBIAN, 40_000, 10_000, 1000, NOW)


def test_the_wait_for_a_reboot_is_not_counted_and_the_reboot_is():
    taken = steps(("staged", 0), ("prepare_install", 3), ("installing", 10), ("awaiting_reboot", 5000))
    taken += steps(("rebooting", 5060), ("confirming", 5070))

    found = measure(a_receipt(steps=taken), a_manifest(), FACTS, now=NOW)

    assert found is not None
    assert found.install_milliseconds == 80_000
    assert found.download_milliseconds == 0


def test_what_did_not_succeed_or_cannot_be_trusted_tells_nothing():
    backwards = steps(("downloading", 10), ("installing", 5))
    unreadable = ({"step": "installing", "time": "noon", "result": "", "detail": ""},)
    timeless = ({"step": "installing"},)

    assert measure(a_receipt(outcome="ROLLED_BACK"), a_manifest(), FACTS, now=NOW) is None
    for taken in ((), backwards, unreadable, timeless, steps(("downloading", 10))):
        assert measure(a_receipt(steps=taken), a_manifest(), FACTS, now=NOW) is None


def test_only_files_for_the_computer_s_platform_count():
    manifest = a_manifest(
        artifacts=(
            Artifact("intel.deb", "deb", 100, "0" * 64, when={"arch": ["x86_64"]}),
            Artifact("arm.deb", "deb", 10, "0" * 64, when={"arch": ["arm64"]}),
            Artifact("both.txt", "archive", 1, "0" * 64),
        )
    )

    assert bytes_for(manifest, FACTS) == 101
    assert bytes_for(manifest, {"arch": "aarch64"}) == 11
    assert bytes_for(manifest, {}) == 111
    assert platform_of({"os": "Linux", "arch": 7}) == "linux//"


def test_nothing_measured_is_a_guess_that_holds_nothing_back():
    found = estimates([])

    assert found == Estimates()
    assert found.of(DEBIAN) is GUESS
    assert not found.of(DEBIAN).measured
    assert GUESS.takes == timedelta(0)
    assert GUESS.install == timedelta(minutes=10)
    assert GUESS.download(DEFAULT_BYTES_PER_SECOND * 2 - 1) == timedelta(seconds=2)


def test_an_estimate_is_the_ninetieth_percentile():
    found = estimates([measured(number, install=number, rate=number * 1000) for number in range(1, 11)])

    assert found.overall == Estimate(
        install_seconds=9, bytes_per_second=2000, mean_bytes_per_second=5500, measurements=10
    )
    assert found.overall.takes == timedelta(seconds=9)
    assert found.overall.measured


def test_a_platform_counts_alone_from_three_measurements_on():
    slow = [measured(number, install=500, platform="linux/aarch64/debian") for number in range(3)]
    quick = [measured(number + 10, install=0.2) for number in range(2)]

    found = estimates([*slow, *quick])

    assert found.of("linux/aarch64/debian").install_seconds == 500
    assert found.of(DEBIAN) == found.overall
    assert estimates(quick).of(DEBIAN).install_seconds == 1


def test_downloads_of_nothing_leave_the_rate_a_guess():
    found = estimates([measured(download_bytes=0)])

    assert found.overall.bytes_per_second == DEFAULT_BYTES_PER_SECOND


def test_only_the_newest_count():
    old = [measured(number, install=9000) for number in range(10)]
    new = [measured(number + 10, install=20) for number in range(MEASUREMENTS_MAX)]

    assert estimates([*new, *old]).overall == estimates(new).overall


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**6), st.integers(0, 10**12)), min_size=1))
def test_an_estimate_lies_within_what_was_measured(values):
    found = estimates(
        measured(number, install_milliseconds=install, download_milliseconds=download, download_bytes=size)
        for number, (install, download, size) in enumerate(values[:MEASUREMENTS_MAX])
    ).overall

    assert found.measured
    assert 1 <= found.install_seconds <= max(1, *(-(-install // 1000) for install, _, _ in values))
    assert found.bytes_per_second >= 1
