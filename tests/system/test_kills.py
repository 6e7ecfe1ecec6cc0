"""Plugs pulled in the middle: every assignment ends in exactly one outcome, and no install is committed twice."""

import time

import pytest

from sopwith_controller.desk.demo_release import write_release
from tests.system.fleet import Fleet, link_version

pytestmark = [pytest.mark.system, pytest.mark.timeout(290)]

NAMES = ("pc1", "pc2", "pc3", "pc4", "pc5")
STATES = ("PREPARING", "DOWNLOADING", "STAGED", "INSTALLING", "CONFIRMING")


def rollout(version: str, *, waves: str = "[{name: all, size: 100%}]") -> str:
    return (
        f"rollout: lamp-{version}\nrelease: lamp@{version}\nsop: SU-SOP-001\nwaves: {waves}\nmax_concurrency: 5\n"
        "error_threshold: {percent: 100, count: 99, lost: 99}\nsuccess_threshold: 0%\n"
    )


@pytest.mark.clause("V.B.1 Initiate", "controller")
def test_controller_killed_ten_times_in_one_rollout(governed_fleet: Fleet):
    fleet = governed_fleet
    fleet.computers(*NAMES)
    fleet.publish(write_release(fleet.folder / "lamp-1", "1", shines=True, summary="The first lamp"))

    waves = "[" + ", ".join(f"{{name: w{n}, size: 1, soak: 1s}}" for n in range(1, 5)) + ", {name: rest, size: 100%}]"
    started = fleet.start(rollout("1", waves=waves))
    for pause in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2):
        time.sleep(pause)  # the moments of the kills are spread on purpose
        fleet.kill_controller()
        fleet.serve()
    shown = fleet.finish(started, timeout=150)

    assert shown["counts"]["succeeded"] == 5
    assert shown["counts"]["unreachable"] == 0
    assert fleet.outcomes(started) == dict.fromkeys(NAMES, "SUCCEEDED")
    assert [link_version(fleet, name) for name in NAMES] == ["1"] * 5
    assert [fleet.commits(name, started) for name in NAMES] == [[1]] * 5
    kinds = {entry["symptom"] for entry in fleet.json("log", "list")}
    assert "LOST_CONTACT" not in kinds
    fleet.sopwith("log", "verify")


@pytest.mark.clause("V.B.1 Initiate", "agents")
def test_agents_killed_in_every_state_end_in_one_outcome(governed_fleet: Fleet):
    fleet = governed_fleet
    for number, good in (("3", True), ("4", True), ("5", False)):
        fleet.publish(write_release(fleet.folder / f"lamp-{number}", number, shines=good, summary=f"Lamp {number}"))
    fleet.finish(fleet.start(rollout("3")))
    for name, state in zip(NAMES, STATES, strict=True):
        fleet.kill_agent(name)
        fleet.run_agent(name, dies_entering=state)
    fleet.until("all again", lambda: fleet.all_ready(5))

    started = fleet.start(rollout("4"))
    for name in NAMES:
        fleet.await_death(name)
        fleet.run_agent(name)
    shown = fleet.finish(started, timeout=90)

    assert shown["state"] == "COMPLETED"
    assert fleet.outcomes(started) == dict.fromkeys(NAMES, "SUCCEEDED")
    assert [link_version(fleet, name) for name in NAMES] == ["4"] * 5
    assert [fleet.commits(name, started) for name in NAMES] == [[1]] * 5

    fleet.kill_agent("pc1")
    fleet.run_agent("pc1", dies_entering="ROLLING_BACK")
    fleet.until("pc1 again", lambda: fleet.all_ready(5))
    started = fleet.start(rollout("5"))
    fleet.await_death("pc1")
    fleet.run_agent("pc1")
    fleet.finish(started, expect=(5,), timeout=90)

    assert fleet.outcomes(started) == dict.fromkeys(NAMES, "ROLLED_BACK")
    assert [link_version(fleet, name) for name in NAMES] == ["4"] * 5
    assert [fleet.commits(name, started) for name in NAMES] == [[1]] * 5
    fleet.sopwith("log", "verify")
