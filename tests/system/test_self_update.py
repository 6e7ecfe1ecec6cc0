"""The agent updates itself: a good version is taken up, a broken one never stays, and everybody says the truth.

Real controller, real agents in real processes, each with versions side by side below its own root (fault case 50).
`make self-updates` ships the crashing agent to twenty computers, and the good one to three; fewer are enough to see
each time.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.system import agent_versions
from tests.system.fleet import OPERATOR, Fleet

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

COUNT = int(os.environ.get("SOPWITH_SELF_UPDATES", "3"))
ROLLOUT = """rollout: {rollout}
release: sopwith-agent@{version}
sop: SU-SOP-001
audience: "who={who}"
baseline: false
"""


@pytest.fixture(scope="module")
def fleet(governed_fleet: Fleet) -> Fleet:
    """Return the fleet with three agent releases: 0.1.1 good, 0.1.2 crashes, 0.1.3 never connects."""
    folder = governed_fleet.folder
    governed_fleet.publish(agent_versions.write_release(folder / "r1", "0.1.1"))
    governed_fleet.publish(agent_versions.write_release(folder / "r2", "0.1.2", agent_versions.CRASHES))
    governed_fleet.publish(agent_versions.write_release(folder / "r3", "0.1.3", agent_versions.CANNOT_CONNECT, "8s"))
    return governed_fleet


def start(fleet: Fleet, *names: str, group: str = "") -> None:
    """Enrol computers and start their agents from the version that their package laid."""
    for name in names:
        fleet.enroll(name, labels=(f"who={group or name}",))
        agent_versions.lay_first(fleet.folder / f"{name}-root", "0.1.0")
        run(fleet, name)
    wanted = set(names)
    fleet.until("all ready", lambda: wanted <= fleet.ready(), seconds=120)


def run(fleet: Fleet, name: str) -> None:
    """Start what the service manager starts."""
    program = fleet.folder / f"{name}-root/opt/sopwith-agent/current/bin/sopwith-agent"
    arguments = ("run", "--state", name, "--root", f"{name}-root")
    fleet.agents[name] = fleet.stage.start(str(program), *arguments, log=f"{name}.log")


def update(fleet: Fleet, who: str, version: str, *, expect: tuple[int, ...] = (0,)) -> str:
    """Bring a version to whom a label names; return the rollout, ended or suspended."""
    rollout = fleet.start(ROLLOUT.format(rollout=f"{who}-{version}", version=version, who=who))
    fleet.finish(rollout, expect=expect)
    return rollout


def versions(fleet: Fleet, name: str) -> tuple[str, list[str], str]:
    """Return which version the link names, which lie there, and which one the running process is."""
    folder = fleet.folder / f"{name}-root/opt/sopwith-agent"
    process = fleet.agents[name]
    assert process.poll() is None, "the process that the service manager started must live"
    environment = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
    home = next(line.partition(b"=")[2] for line in environment if line.startswith(b"SOPWITH_AGENT_HOME="))
    laid = sorted(child.name for child in folder.iterdir() if not child.is_symlink())
    return (folder / "current").readlink().name, laid, Path(os.fsdecode(home)).name


def share(fleet: Fleet, rollout: str) -> dict:
    """Return the one computer's share of a rollout."""
    (found,) = fleet.assignments(rollout)
    return found


def test_good_version_is_taken_up_and_runs_by_itself_afterwards(fleet: Fleet):
    names = tuple(f"good{number}" for number in range(min(COUNT, 3)))
    start(fleet, *names)
    pids = {name: fleet.agents[name].pid for name in names}

    with ThreadPoolExecutor(3) as pool:
        rollouts = dict(zip(names, pool.map(lambda name: update(fleet, name, "0.1.1"), names), strict=True))

    for name in names:
        fleet.until("the new version alone", lambda name=name: versions(fleet, name)[2] == "0.1.1")
        assert versions(fleet, name) == ("0.1.1", ["0.1.0", "0.1.1"], "0.1.1")
        assert fleet.agents[name].pid == pids[name]
        assert share(fleet, rollouts[name])["outcome"] == "SUCCEEDED"
        assert not (fleet.folder / name / "kept/agent/trial.json").exists()
    fleet.until("all connected again", lambda: set(names) <= fleet.ready())


def test_version_that_crashes_at_start_is_taken_back_everywhere_and_says_why(fleet: Fleet):
    names = tuple(f"crash{number}" for number in range(COUNT))
    start(fleet, *names)

    with ThreadPoolExecutor(4) as pool:
        rollouts = dict(zip(names, pool.map(lambda n: update(fleet, n, "0.1.2", expect=(0, 5)), names), strict=True))

    for name in names:
        fleet.until("the old version alone", lambda name=name: versions(fleet, name)[2] == "0.1.0")
        assert versions(fleet, name) == ("0.1.0", ["0.1.0"], "0.1.0")
        ended = share(fleet, rollouts[name])
        assert (ended["outcome"], ended["symptom"]) == ("ROLLED_BACK", "AGENT_CRASH_LOOP")
        assert "did not stay up in 3 starts (exit code 1" in ended["detail"]
        assert "built without its engine" in ended["detail"]
        assert "agent 0.1.0 runs again" in ended["detail"]
    severities = {i["severity"] for i in fleet.json("incident", "list") if "AGENT_CRASH_LOOP" in str(i)}
    assert severities == {1}
    fleet.until("all connected again", lambda: set(names) <= fleet.ready())


def test_version_that_cannot_connect_is_taken_back_in_time(fleet: Fleet):
    start(fleet, "mute")

    rollout = update(fleet, "mute", "0.1.3", expect=(0, 5))

    assert versions(fleet, "mute") == ("0.1.0", ["0.1.0"], "0.1.0")
    ended = share(fleet, rollout)
    assert (ended["outcome"], ended["symptom"]) == ("ROLLED_BACK", "AGENT_CRASH_LOOP")
    assert "was not connected and confirmed within 8 s" in ended["detail"]


def test_canary_is_forced_and_saves_everybody_else(fleet: Fleet):
    names = tuple(f"herd{number}" for number in range(3))
    start(fleet, *names, group="herd")
    everybody = ROLLOUT.format(rollout="herd", version="0.1.2", who="herd") + "waves: [{name: all, size: 100%}]\n"

    rollout = fleet.start(everybody)
    fleet.finish(rollout, expect=(5,))

    outcomes = [ended["outcome"] or ended["state"] for ended in fleet.assignments(rollout)]
    assert sorted(outcomes) == ["PENDING", "PENDING", "ROLLED_BACK"]
    assert fleet.json("rollout", "show", rollout, who=OPERATOR)["state"] == "SUSPENDED"
