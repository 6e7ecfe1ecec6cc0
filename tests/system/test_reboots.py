"""Computers that really go down and come back: leave, budget, drains, the way back, and rollouts that only reboot."""

import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from sopwith_controller.desk.demo_release import write_release
from sopwith_controller.desk.demo_stage import program_path
from tests.agent.logins import log_in_by_record
from tests.system.at_the_computer import is_told, told_before, typed
from tests.system.fleet import OPERATOR, Fleet, link_version

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

COMPUTER = Path(__file__).with_name("computer_that_reboots.py")
ROLLOUT = (
    "rollout: {name}\nrelease: lamp@{version}\nsop: SU-SOP-001\naudience: {audience}\nbaseline: false\n"
    "waves: [{{name: all, size: 100%}}]\nerror_threshold: {{percent: 100, count: 9, lost: 9}}\nsuccess_threshold: 0%\n"
    "disruption_budget: {{group_by: [site], max_unavailable: {away}}}\n"
)


def computers(fleet: Fleet, *names: str, site: str, settings: str = "") -> dict[str, subprocess.Popen[bytes]]:
    """Enrol and switch on computers that can reboot; return them once they are connected."""
    fleet.enroll(*names, labels=(f"site={site}",))
    running = {}
    for name in names:
        (fleet.folder / name / "more.toml").write_text(settings)
        (fleet.folder / f"{name}-root").mkdir(exist_ok=True)
        agent, root = program_path("sopwith-agent"), f"{name}-root"
        running[name] = fleet.stage.start(sys.executable, str(COMPUTER), agent, name, root, log=f"{name}.log")
    fleet.until("all connected", lambda: connected(fleet) >= set(names), seconds=60)
    return running


def connected(fleet: Fleet) -> set[str]:
    return {computer["name"] for computer in fleet.json("computer", "list") if computer["connected"]}


def publish(fleet: Fleet, version: str, reboot: str = "always") -> None:
    folder = write_release(fleet.folder / f"lamp-{version}", version, shines=True, summary=f"Lamp {version}")
    with (folder / "release.yaml").open("a") as manifest:
        manifest.write(f"reboot: {reboot}\n")
    fleet.publish(folder)


def events(fleet: Fleet, name: str) -> list[tuple[str, float]]:
    lines = (fleet.folder / name / "events").read_text().splitlines()
    return [(word, float(time)) for word, time in (line.split() for line in lines)]


def away(fleet: Fleet, name: str) -> list[tuple[float, float]]:
    """Return when a computer was down: from going down to coming up."""
    return [(a[1], b[1]) for a, b in pairwise(events(fleet, name)) if (a[0], b[0]) == ("down", "up")]


def waits(fleet: Fleet, rollout: str, name: str) -> dict[str, str]:
    (found,) = fleet.json("rollout", "explain", rollout, "--computer", name, who=OPERATOR)["explanations"]
    return {key: str(value) for key, value in found.items()}


def state(fleet: Fleet, rollout: str, name: str) -> str:
    return next(str(one["state"]) for one in fleet.assignments(rollout) if one["computer"] == name)


def test_never_two_of_a_group_are_away_and_old_versions_roll_back(governed_fleet: Fleet) -> None:
    fleet, names = governed_fleet, ("pc1", "pc2", "pc3")
    computers(fleet, *names, site="berlin")
    publish(fleet, "1", reboot="never")
    publish(fleet, "2")
    fleet.finish(fleet.start(ROLLOUT.format(name="lamp-1", version=1, away=3, audience='"site=berlin"')))
    (fleet.folder / "pc2-root" / "boots-old").write_text("1")

    second = fleet.start(ROLLOUT.format(name="lamp-2", version=2, away=1, audience='"site=berlin"'))
    fleet.finish(second, expect=(0, 5))

    spans = sorted(span for name in names for span in away(fleet, name))
    assert len(spans) == 3
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert fleet.outcomes(second) == {"pc1": "SUCCEEDED", "pc2": "ROLLED_BACK", "pc3": "SUCCEEDED"}
    assert [link_version(fleet, name) for name in names] == ["2", "1", "2"]
    (wrong,) = [one for one in fleet.json("log", "list") if one["outcome"] == "ROLLED_BACK"]
    assert wrong["symptom"] == "REBOOT_FAILED"


def test_computer_that_does_not_come_back_keeps_its_group_waiting_and_a_freeze_stops_the_others(
    governed_fleet: Fleet,
) -> None:
    fleet = governed_fleet
    publish(fleet, "3")
    computers(fleet, "pc4", "pc5", site="paris")
    for name in ("pc4", "pc5"):
        (fleet.folder / f"{name}-root" / "stays-down").touch()

    rollout = fleet.start(ROLLOUT.format(name="lamp-3", version=3, away=1, audience='"site=paris"'))
    down = fleet.until("one goes down", lambda: [n for n in ("pc4", "pc5") if events(fleet, n)[-1][0] == "down"])
    (other,) = {"pc4", "pc5"} - set(down)
    fleet.until("the other waits", lambda: state(fleet, rollout, other) in {"PENDING", "AWAITING_REBOOT"})
    blocked = waits(fleet, rollout, other)
    fleet.json("freeze", "start", "--yes", "--reason", "inventory", who=OPERATOR)
    for name in ("pc4", "pc5"):
        (fleet.folder / f"{name}-root" / "stays-down").unlink()
    fleet.until("the first is confirmed", lambda: state(fleet, rollout, down[0]) == "ENDED")
    frozen = waits(fleet, rollout, other)
    before = len(events(fleet, other))
    fleet.json("freeze", "end", "--yes", "--reason", "over")
    fleet.finish(rollout)

    assert len(down) == 1
    assert blocked["waits_for"] == "budget"
    assert frozen["waits_for"] == "freeze"
    assert (before, len(events(fleet, other))) == (1, 3)
    assert fleet.outcomes(rollout) == {"pc4": "SUCCEEDED", "pc5": "SUCCEEDED"}


def test_drain_that_refuses_puts_the_reboot_off_until_a_person_reboots(governed_fleet: Fleet) -> None:
    fleet = governed_fleet
    publish(fleet, "4")
    settings = 'drain = [["/usr/bin/test", "-e", "/nothing/is/here"]]\n'
    running = computers(fleet, "pc6", site="rome", settings=settings)

    rollout = fleet.start(ROLLOUT.format(name="lamp-4", version=4, away=1, audience='"site=rome"'))
    fleet.until("it is put off", lambda: waits(fleet, rollout, "pc6")["waits_for"] == "deferral")
    told = waits(fleet, rollout, "pc6")
    running["pc6"].send_signal(signal.SIGUSR1)
    fleet.finish(rollout)

    assert "1 of 2 times" in told["message"]
    assert "/usr/bin/test ended with 1" in told["message"]
    assert fleet.outcomes(rollout) == {"pc6": "SUCCEEDED"}


def test_rollout_that_only_reboots_takes_those_that_wait_for_it(governed_fleet: Fleet) -> None:
    fleet = governed_fleet
    computers(fleet, "pc7", "pc8", site="oslo")
    marks = fleet.folder / "pc7-root" / "run"
    marks.mkdir()
    (marks / "reboot-required").touch()
    text = (
        'rollout: reboots\nreboot_only: true\nsop: SU-SOP-001\naudience: "site=oslo"\n'
        "disruption_budget: {group_by: [site], max_unavailable: 1}\nwaves: [{name: all, size: 100%}]\n"
    )
    file = fleet.folder / "reboots.yaml"
    file.write_text(text)

    plan = fleet.sopwith("rollout", "plan", "-f", str(file), who=OPERATOR).out
    rollout = fleet.start(text)
    fleet.finish(rollout)
    shown = fleet.json("rollout", "show", rollout, who=OPERATOR)
    started = [
        e["message"] for e in fleet.json("log", "list") if e["kind"] == "ASSIGNMENT_STARTED" and e["rollout"] == rollout
    ]

    assert "computers that wait for a reboot are rebooted" in " ".join(plan.split())
    assert shown["release"] == "reboot@only"
    assert fleet.outcomes(rollout) == {"pc7": "SUCCEEDED", "pc8": "SKIPPED"}
    assert [word for word, _ in events(fleet, "pc7")] == ["up", "down", "up"]
    assert [word for word, _ in events(fleet, "pc8")] == ["up"]
    assert started == ["pc7 began to reboot"]
    assert fleet.json("rollout", "report", rollout, who=OPERATOR)


def test_people_are_told_before_a_reboot_and_it_waits_for_their_word(governed_fleet: Fleet) -> None:
    fleet = governed_fleet
    publish(fleet, "5")
    log_in_by_record(fleet.folder / "pc9-root", ("root", "pts/none"))
    computers(fleet, "pc9", site="bonn")

    rollout = fleet.start(ROLLOUT.format(name="lamp-5", version=5, away=1, audience='"site=bonn"'))
    fleet.until("the notice before the install", lambda: is_told(fleet, "pc9", after=0))
    typed(fleet, "pc9", "install-now")
    fleet.until("the notice before the reboot", lambda: is_told(fleet, "pc9", after=0, purpose="reboot"))
    shown = typed(fleet, "pc9", "status").out
    typed(fleet, "pc9", "defer", "--for", "1s")
    fleet.until("the next notice", lambda: is_told(fleet, "pc9", after=1, purpose="reboot"))
    before = [word for word, _ in events(fleet, "pc9")]
    typed(fleet, "pc9", "install-now")
    fleet.finish(rollout)

    assert "lamp 5" in shown
    assert before == ["up"]
    assert [word for word, _ in events(fleet, "pc9")] == ["up", "down", "up"]
    assert fleet.outcomes(rollout) == {"pc9": "SUCCEEDED"}
    account = told_before(fleet, "pc9", "5", "reboot_notice")
    assert account.startswith(
        "told 2 times; put off 1 of 2 times by people at the computer; a person at the computer said"
    )
