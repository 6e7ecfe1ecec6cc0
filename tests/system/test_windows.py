"""Real agents stage ahead of their start, keep to windows and freezes, give up what is withdrawn, and try again.

Times are as short as the machine is fast: how far ahead a start lies is measured, and every other wait is for a state.
"""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sopwith_formats.units import format_time, parse_time
from tests.system.fleet import OPERATOR, Fleet
from tests.system.packages import archive_version, build_archive

pytestmark = [pytest.mark.system, pytest.mark.timeout(200)]

NAMES = ("pc1", "pc2", "pc3")
PARTS = ("in_all", "before_install", "install")
STAGED = dict.fromkeys(NAMES, "STAGED")


@pytest.fixture(scope="module")
def three(governed_fleet: Fleet) -> Fleet:
    """Return a fleet of three ready computers."""
    governed_fleet.computers(*NAMES)
    return governed_fleet


def rollout(name: str, *more: str) -> str:
    """Return a rollout file that takes everybody in one wave and never suspends."""
    lines = (
        f"rollout: {name}-1", f"release: {name}@1", "sop: SU-SOP-001", "waves: [{name: all, size: 100%}]",
        "error_threshold: {percent: 100, count: 99, lost: 99}", "success_threshold: 0%", *more,
    )  # fmt: skip
    return "\n".join(lines) + "\n"


def soon(fleet: Fleet) -> datetime:
    """Return a moment by which this machine, as fast as it is now, has started a rollout and staged its files."""
    begun = time.monotonic()
    fleet.sopwith("rollout", "list", who=OPERATOR)  # a process, as those that start a rollout are
    lead = timedelta(seconds=8 * (time.monotonic() - begun) + 5)
    return (datetime.now(UTC) + lead).replace(microsecond=0)


def states(fleet: Fleet, identifier: str) -> dict[str, str]:
    """Return each computer's newest state or outcome."""
    return {one["computer"]: one["outcome"] or one["state"] for one in fleet.assignments(identifier)}


def starts(fleet: Fleet, identifier: str) -> dict[str, datetime]:
    """Return when each computer began to install, as the update log has it."""
    entries = [entry for entry in fleet.json("log", "list") if entry["kind"] == "ASSIGNMENT_STARTED"]
    return {entry["computer"]: parse_time(entry["time"]) for entry in entries if entry["rollout"] == identifier}


def versions(fleet: Fleet, name: str) -> list[str]:
    """Return what is on the disks."""
    return [archive_version(fleet.folder / f"{computer}-root", name) for computer in NAMES]


def staged_files(fleet: Fleet, computer: str) -> list[Path]:
    """Return the update files that lie ready on a computer."""
    return [path for path in (fleet.folder / computer / "staging").rglob("*") if path.is_file()]


def explained(fleet: Fleet, identifier: str) -> dict[str, Any]:
    """Return what each computer waits for."""
    found = fleet.json("rollout", "explain", identifier, who=OPERATOR)
    return {one["computer"]: one for one in found["explanations"]}


def let_go(fleet: Fleet, *names: str) -> None:
    """Let the health checks of a waiting archive pass."""
    for name in names:
        folder = fleet.folder / f"{name}-root" / "etc"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "beacon-go").touch()


def hold_up(fleet: Fleet) -> None:
    """Let the health checks of a waiting archive wait on every computer."""
    for name in NAMES:
        (fleet.folder / f"{name}-root" / "etc" / "beacon-go").unlink(missing_ok=True)


def test_files_come_ahead_of_the_start_and_installs_at_the_start_and_not_before(three: Fleet) -> None:
    three.publish(build_archive(three.folder, "1", "ahead"))
    opens = soon(three)

    identifier = three.start(rollout("ahead", "max_concurrency: 3", f"start_time: {format_time(opens)}"))
    three.until("everybody staged", lambda: states(three, identifier) == STAGED)
    waiting, before, seen = explained(three, identifier), versions(three, "ahead"), datetime.now(UTC)
    three.finish(identifier)

    assert seen < opens
    assert {one["waits_for"] for one in waiting.values()} == {"start"}
    assert before == ["", "", ""]
    assert versions(three, "ahead") == ["1", "1", "1"]
    begun = starts(three, identifier)
    assert len(begun) == 3
    assert min(begun.values()) >= opens


def test_a_freeze_lets_nobody_start_who_is_staged_and_its_end_lets_them_go_on(three: Fleet) -> None:
    three.publish(build_archive(three.folder, "1", "frozen", waits=True))
    opens = soon(three)
    identifier = three.start(rollout("frozen", "max_concurrency: 1", f"start_time: {format_time(opens)}"))
    three.until("everybody staged", lambda: states(three, identifier) == STAGED)
    three.until("the first one at work", lambda: "CONFIRMING" in states(three, identifier).values())

    three.json("freeze", "start", "--yes", "--reason", "quarter", who=OPERATOR)
    let_go(three, *NAMES)
    three.until("the first one's end", lambda: "SUCCEEDED" in states(three, identifier).values())
    waiting, in_freeze = explained(three, identifier), sorted(states(three, identifier).values())
    begun_in_freeze = starts(three, identifier)
    three.json("freeze", "end", "--yes", "--reason", "over")
    three.finish(identifier)

    assert {one["waits_for"] for one in waiting.values()} == {"freeze"}
    assert in_freeze == ["STAGED", "STAGED", "SUCCEEDED"]
    assert len(begun_in_freeze) == 1
    ended = next(parse_time(one["time"]) for one in three.json("log", "list") if one["kind"] == "FREEZE_ENDED")
    assert sorted(begin >= ended for begin in starts(three, identifier).values()) == [False, True, True]
    assert versions(three, "frozen") == ["1", "1", "1"]


def test_a_withdrawn_release_leaves_nothing_on_computers_that_had_its_files(three: Fleet) -> None:
    three.publish(build_archive(three.folder, "1", "taken"))
    tomorrow = format_time((datetime.now(UTC) + timedelta(hours=20)).replace(microsecond=0))
    identifier = three.start(rollout("taken", f"start_time: {tomorrow}", "max_concurrency: 3"))
    three.until("everybody staged", lambda: states(three, identifier) == STAGED)
    lay_ready = [len(staged_files(three, name)) for name in NAMES]

    three.sopwith("release", "withdraw", "taken@1", "--yes", "--reason", "it breaks", "--keys", "keys", who=OPERATOR)
    shown = three.finish(identifier, expect=(0, 5))
    three.until("staging emptied", lambda: not any(staged_files(three, name) for name in NAMES))

    assert lay_ready == [1, 1, 1]
    assert three.outcomes(identifier) == dict.fromkeys(NAMES, "CANCELLED")
    assert (shown["counts"]["cancelled"], starts(three, identifier)) == (3, {})
    assert versions(three, "taken") == ["", "", ""]


def test_a_computer_that_failed_succeeds_as_a_second_generation_and_counts_once(three: Fleet) -> None:
    three.publish(build_archive(three.folder, "1", "retried"))
    obstacle = three.folder / "pc2-root" / "opt" / "retried"
    obstacle.parent.mkdir(parents=True, exist_ok=True)
    obstacle.touch()
    identifier = three.start(rollout("retried", "max_concurrency: 3", "attempts_max: 1"))
    first = three.finish(identifier, expect=(5,))
    failures = three.json("rollout", "report", identifier, who=OPERATOR)["failures"]
    obstacle.unlink()

    three.sopwith("rollout", "retry", identifier, "--yes", "--reason", "mended", who=OPERATOR)
    second = three.finish(identifier, expect=(0, 5))
    report = three.json("rollout", "report", identifier, who=OPERATOR)

    assert (first["counts"]["succeeded"], first["counts"]["failed"]) == (2, 1)
    assert (second["counts"]["succeeded"], second["counts"]["failed"]) == (3, 0)
    assert states(three, identifier) == dict.fromkeys(NAMES, "SUCCEEDED")
    mine = [one for one in three.json("log", "list") if (one["rollout"], one["computer"]) == (identifier, "pc2")]
    ended = [(json.loads(one["canonical_json"])["details"], one["outcome"]) for one in mine if one["outcome"]]
    tries = [(details["generation"], outcome) for details, outcome in ended]
    assert tries == [(1, "FAILED"), (2, "SUCCEEDED")]
    assert [(one["outcome"], one["computers"]) for one in failures] == [("FAILED", ["pc2"])]
    assert [(one["computers"], one["counts"]["failed"]) for one in report["generations"]] == [(3, 1), (1, 0)]
    assert (report["rollout"]["counts"], report["failures"]) == (second["counts"], [])
    assert {one["what"]: one["computers"] for one in report["durations"]} == dict.fromkeys(PARTS, 3)
    assert versions(three, "retried") == ["1", "1", "1"]


def test_what_runs_when_the_window_closes_ends_well_and_nobody_else_starts(three: Fleet) -> None:
    hold_up(three)
    three.publish(build_archive(three.folder, "1", "closing", waits=True))
    closes = soon(three)
    opened = closes.replace(second=0) - timedelta(minutes=1)
    window = f'{{rrule: FREQ=DAILY, start: "{opened:%H:%M}", duration: {(closes - opened).seconds}s, time_zone: UTC}}'
    identifier = three.start(rollout("closing", "max_concurrency: 1", f"window: {window}"))
    three.until("the first one at work", lambda: "CONFIRMING" in states(three, identifier).values())
    first = next(name for name, state in states(three, identifier).items() if state == "CONFIRMING")
    others = set(NAMES) - {first}

    three.until(
        "the closed window", lambda: {explained(three, identifier)[name]["waits_for"] for name in others} == {"window"}
    )
    let_go(three, *NAMES)
    three.until("the first one's end", lambda: states(three, identifier)[first] == "SUCCEEDED")
    three.until("the others staged", lambda: {states(three, identifier)[name] for name in others} == {"STAGED"})
    waiting = explained(three, identifier)
    three.sopwith("rollout", "abort", identifier, "--yes", "--reason", "seen", who=OPERATOR)

    assert {waiting[name]["waits_for"] for name in others} == {"window"}
    begun = starts(three, identifier)
    assert list(begun) == [first]
    assert begun[first] < closes
    assert archive_version(three.folder / f"{first}-root", "closing") == "1"
