"""Computers that nobody hears, and computers that are held apart, go on to tell what is true, each word once."""

from typing import Any

import pytest

from tests.system.at_the_computer import queued, receipts, record, touch, typed
from tests.system.fleet import OPERATOR, Fleet, read_json_lines
from tests.system.packages import archive_version, build_archive

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def rollout(release: str, version: str, computer: str) -> str:
    return (
        f"rollout: {release}-{version}\nrelease: {release}@{version}\nsop: SU-SOP-001\naudience: owner={computer}\n"
        "baseline: false\nwaves: [{name: all, size: 100%}]\n"
    )


def told(fleet: Fleet, computer: str) -> list[tuple[str, str, str]]:
    """Return what the update log has of a computer's updates and words, in order."""
    kinds = {"ASSIGNMENT_STARTED", "ASSIGNMENT_ENDED", "COMPUTER_FEEDBACK"}
    log = [entry for entry in fleet.json("log", "list") if entry["computer"] == computer and entry["kind"] in kinds]
    return [(entry["kind"], entry["release"], entry["outcome"]) for entry in log]


def test_what_happened_while_the_controller_was_away_is_told_once_though_the_agent_died_twice(
    governed_fleet: Fleet,
) -> None:
    fleet = governed_fleet
    fleet.publish(build_archive(fleet.folder, "1", waits=True))
    fleet.computers("pc1", labels=("owner=pc1",))
    started = fleet.start(rollout("beacon", "1", "pc1"))
    fleet.until("the commit", lambda: record(fleet, "pc1", started).get("state") == "CONFIRMING")

    fleet.kill_controller()
    touch(fleet, "pc1", "go")
    fleet.until("the end", lambda: record(fleet, "pc1", started).get("reported"))
    typed(fleet, "pc1", "feedback", "it went well")
    alone = queued(fleet, "pc1")
    for _ in range(2):
        fleet.kill_agent("pc1")
        fleet.run_agent("pc1")
        fleet.until("the agent's door", lambda: typed(fleet, "pc1", "feedback", "once more", expect=(0, 1)).code == 0)
    kept = queued(fleet, "pc1")
    fleet.serve()
    done = fleet.finish(started)
    fleet.until("every acknowledgement", lambda: not queued(fleet, "pc1"))
    heard = told(fleet, "pc1")
    fleet.kill_agent("pc1")
    fleet.run_agent("pc1")
    fleet.until("the last stream", lambda: connections(fleet, "pc1") >= 3)

    assert alone
    assert set(alone) < set(kept)
    assert done["counts"]["succeeded"] == 1
    assert heard == [
        ("ASSIGNMENT_STARTED", "beacon@1", ""),
        ("ASSIGNMENT_ENDED", "beacon@1", "SUCCEEDED"),
        *[("COMPUTER_FEEDBACK", "", "")] * 3,
    ]
    assert told(fleet, "pc1") == heard
    assert fleet.commits("pc1", started) == [1]
    assert [one["number"] for one in receipts(fleet, "pc1")] == [1, 2]
    fleet.sopwith("log", "verify")


def connections(fleet: Fleet, name: str) -> int:
    return sum(line.get("event") == "controller_connected" for line in read_json_lines(fleet.folder / f"{name}.log"))


def test_computer_whose_rollback_failed_is_held_apart_and_stays_connected_and_truthful(governed_fleet: Fleet) -> None:
    fleet = governed_fleet
    for version, waits in (("2", False), ("3", True), ("4", False)):
        fleet.publish(build_archive(fleet.folder, version, "lantern", waits=waits))
    fleet.computers("pc2", labels=("owner=pc2",))
    fleet.finish(fleet.start(rollout("lantern", "2", "pc2")))

    started = fleet.start(rollout("lantern", "3", "pc2"))
    fleet.until("the commit", lambda: record(fleet, "pc2", started).get("state") == "CONFIRMING")
    touch(fleet, "pc2", "broken")  # from now on neither version is healthy, so that no way leads back
    touch(fleet, "pc2", "go")
    fleet.finish(started, expect=(5,))
    fleet.until("quarantine", lambda: computer(fleet, "pc2")["state"] == "QUARANTINED")
    fleet.kill_agent("pc2")
    fleet.run_agent("pc2")
    fleet.until("its return", lambda: computer(fleet, "pc2")["connected"])
    measured = fleet.json("computer", "readiness", "pc2", who=OPERATOR)
    here = typed(fleet, "pc2", "status", "-o", "json").document()
    plan = fleet.json("rollout", "plan", "-f", str(written(fleet, rollout("lantern", "4", "pc2"))), who=OPERATOR)
    (fleet.folder / "pc2-root/etc/beacon-broken").unlink()
    fleet.sopwith("computer", "accept", "pc2", "--yes", who=OPERATOR)
    mended = fleet.finish(fleet.start(rollout("lantern", "4", "pc2")))

    [failed] = [one for one in receipts(fleet, "pc2") if one["outcome"] == "FAILED"]
    assert (failed["symptom"], failed["version_after"]) == ("ROLLBACK_FAILED", "2")
    [incident] = [one for one in fleet.json("incident", "list") if one["symptom"] == "ROLLBACK_FAILED"]
    assert (incident["severity"], incident["computers"]) == (1, ["pc2"])
    assert measured["fresh"]
    assert here["installed"] == {"lantern": "2"}
    assert plan["forecast"]["computers"] == 0
    assert [one["reason"] for one in plan["forecast"]["exclusions"]] == ["is quarantined: its rollback failed"]
    assert mended["counts"]["succeeded"] == 1
    assert archive_version(fleet.folder / "pc2-root", "lantern") == "4"
    fleet.sopwith("log", "verify")


def computer(fleet: Fleet, name: str) -> dict[str, Any]:
    [found] = [one for one in fleet.json("computer", "list") if one["name"] == name]
    return dict(found)


def written(fleet: Fleet, text: str) -> Any:
    path = fleet.folder / "held.yaml"
    path.write_text(text, encoding="utf-8")
    return path
