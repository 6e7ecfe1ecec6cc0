"""A controller dies with its disk and comes back from its backup: the computers tell it again what it lacks."""

import json
import shutil

import pytest

from sopwith_controller.desk.demo_release import write_release
from tests.system.fleet import Fleet, link_version

pytestmark = [pytest.mark.system, pytest.mark.timeout(280)]

NAMES = ("pc1", "pc2")
ROLLOUT = """rollout: lamp-{version}
release: lamp@{version}
sop: SU-SOP-001
waves: [{{name: all, size: 100%}}]
max_concurrency: 5
"""


def test_lost_outcomes_come_again_once_and_the_fleet_goes_on(governed_fleet: Fleet) -> None:
    fleet = governed_fleet
    fleet.computers(*NAMES)
    fleet.publish(write_release(fleet.folder / "lamp-1", "1", shines=True, summary="The first lamp"))
    made = fleet.stage.run("sopwith-controller", "backup", "--data", "c", "--out", "monday.backup", "-o", "json")
    backup = made.document()
    lost = fleet.start(ROLLOUT.format(version="1"))
    fleet.finish(lost)
    size = len(fleet.json("log", "list"))
    before = {incident["id"] for incident in fleet.json("incident", "list")}
    grown = backup["log_size"]
    for name in NAMES:  # who dials is shown the grown log within a second, everybody else once a minute
        fleet.kill_agent(name)
        fleet.run_agent(name)
    fleet.until("both remember more", lambda: all(remembered(fleet, name) > grown for name in NAMES), seconds=90)

    fleet.kill_controller()
    shutil.move(fleet.folder / "c", fleet.folder / "lost")
    restored = fleet.stage.run(
        "sopwith-controller", "restore", "monday.backup", "--data", "c",
        "--operator", "owner", "--reason", "the disk died", "-o", "json",
    ).document()  # fmt: skip
    fleet.serve()
    fleet.until("all again", lambda: fleet.all_ready(len(NAMES)), seconds=60)
    fleet.until("both believe the restored log", lambda: all(remembered(fleet, name) < size for name in NAMES))

    entries = fleet.json("log", "list")
    kinds = [entry["kind"] for entry in entries]
    assert restored["log_size"] == backup["log_size"] < size
    assert kinds[backup["log_size"]] == "LOG_RECOVERED"
    assert fleet.outcomes(lost) == dict.fromkeys(NAMES, "SUCCEEDED")
    assert {entry["kind"] for entry in entries if entry["rollout"] == lost} == {"RECEIPT_RECOVERED"}
    assert kinds.count("RECEIPT_RECOVERED") == 2 * len(NAMES)
    assert "RECEIPT_CHAIN_BROKEN" not in kinds
    assert "LOG_LOSS_WITNESSED" in kinds
    fleet.sopwith("log", "verify")
    incidents = [incident for incident in fleet.json("incident", "list") if incident["id"] not in before]
    assert [(incident["symptom"], incident["severity"]) for incident in incidents] == [("LOG_INTEGRITY", 2)]
    assert all(len(list((fleet.folder / name / "abandoned").iterdir())) == 1 for name in NAMES)
    assert [link_version(fleet, name) for name in NAMES] == ["1", "1"]


def remembered(fleet: Fleet, name: str) -> int:
    """Return how many entries a computer's checkpoint covers."""
    status = json.loads((fleet.folder / name / "status.json").read_text())
    lines = str(status["checkpoint"]).splitlines()
    return int(lines[1]) if len(lines) > 1 else 0
