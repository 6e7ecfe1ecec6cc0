"""What dpkg's log and two states of rpm's database say that others changed."""

from datetime import UTC, datetime, timedelta

import pytest

from sopwith_agent.domain.package_changes import UNFINISHED_AFTER, dpkg_changes, rpm_changes
from sopwith_formats.observation import PackageChange

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
SOON = NOON + timedelta(minutes=1)


def lines(*acts: str) -> list[str]:
    return [f"2026-11-30 12:00:00 {act}" for act in acts]


def read(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)


def seen(*acts: str, now: datetime = SOON) -> tuple[list[tuple[str, str, str, str]], int]:
    changes, done = dpkg_changes(lines(*acts), read, now)
    return [(one.action, one.package, one.version_before, one.version_after) for one in changes], done


INSTALL = (
    "startup archives unpack",
    "install hello:amd64 <none> 2.9",
    "status half-installed hello:amd64 2.9",
    "status unpacked hello:amd64 2.9",
    "startup packages configure",
    "configure hello:amd64 2.9 <none>",
    "status half-configured hello:amd64 2.9",
    "status installed hello:amd64 2.9",
)
UPGRADE = (
    "upgrade hello:amd64 2.9 2.10",
    "status half-configured hello:amd64 2.9",
    "status unpacked hello:amd64 2.10",
    "status installed hello:amd64 2.10",
)
REMOVE = (
    "remove hello:amd64 2.10 <none>",
    "status installed hello:amd64 2.10",
    "status half-installed hello:amd64 2.10",
    "status config-files hello:amd64 2.10",
    "purge hello:amd64 2.10 <none>",
    "status not-installed hello:amd64 <none>",
)


def test_a_package_comes_changes_and_goes():
    changes, done = seen(*INSTALL, *UPGRADE, *REMOVE)

    assert changes == [
        ("INSTALLED", "hello", "", "2.9"),
        ("CHANGED", "hello", "2.9", "2.10"),
        ("REMOVED", "hello", "2.10", ""),
    ]
    assert done == len(INSTALL + UPGRADE + REMOVE)


def test_architecture_time_and_tool_are_told():
    [change], _ = dpkg_changes(lines(*INSTALL), read, SOON)

    assert change == PackageChange("dpkg", "INSTALLED", "hello", "amd64", "", "2.9", NOON)


@pytest.mark.parametrize("cut", range(1, len(INSTALL + UPGRADE)))
def test_log_read_in_two_pieces_says_everything_once(cut: int):
    acts = (*INSTALL, *UPGRADE)
    first, done = seen(*acts[:cut])

    second, rest = seen(*acts[done:])

    assert first + second == [("INSTALLED", "hello", "", "2.9"), ("CHANGED", "hello", "2.9", "2.10")]
    assert done + rest == len(acts)


def test_packages_of_one_run_that_end_together_are_never_cut_in_two():
    acts = (
        "install a:all <none> 1",
        "install b:all <none> 1",
        "status installed a:all 1",
        "install c:all <none> 1",
        "status installed b:all 1",
        "status installed c:all 1",
    )
    for cut in range(1, len(acts) + 1):
        first, done = seen(*acts[:cut])
        second, _ = seen(*acts[done:])
        assert sorted(package for _, package, _, _ in first + second) == ["a", "b", "c"]


def test_act_that_leads_back_to_the_same_version_is_no_change():
    assert seen("upgrade hello:amd64 2.9 2.10", "status installed hello:amd64 2.9") == ([], 2)


def test_unpacked_old_configuration_counts_as_a_first_install():
    changes, _ = seen("install hello:amd64 2.9 2.10", "status installed hello:amd64 2.10")

    assert changes == [("INSTALLED", "hello", "", "2.10")]


def test_act_without_an_end_waits_and_is_told_when_nobody_will_end_it():
    acts = ("upgrade hello:amd64 2.9 2.10", "status half-installed hello:amd64 2.9")

    assert seen(*acts) == ([], 0)
    assert seen(*acts, now=NOON + UNFINISHED_AFTER) == ([("UNFINISHED", "hello", "2.9", "")], 2)


def test_lines_of_any_other_kind_are_passed_over():
    strange = [
        "",
        "no date install x y z",
        "2026-11-30 12:00:00 install",
        "2026-11-30 12:00:00 status installed",
        "\x00",
    ]

    assert dpkg_changes([*strange, *lines("status installed never-begun:all 1")], read, SOON) == ([], 6)


def test_two_states_of_rpms_database_are_compared():
    later = NOON + timedelta(seconds=5)
    before = {"hello.x86_64": ["1-1"], "gone.noarch": ["3-1"], "same.noarch": ["1-1"]}
    after = {
        "hello.x86_64": (["2-1"], later),
        "new.noarch": (["1-1", "2-1"], NOON),
        "same.noarch": (["1-1"], NOON),
    }

    assert rpm_changes(before, after, SOON) == [
        PackageChange("rpm", "INSTALLED", "new", "noarch", "", "1-1, 2-1", NOON),
        PackageChange("rpm", "CHANGED", "hello", "x86_64", "1-1", "2-1", later),
        PackageChange("rpm", "REMOVED", "gone", "noarch", "3-1", "", SOON),
    ]
