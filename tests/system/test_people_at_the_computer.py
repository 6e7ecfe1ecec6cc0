"""Real agents on computers that people use: told, put off, let go, and what the controller knows of it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sopwith_controller.desk.demo_release import write_release
from tests.agent.buses import Logind, NotificationServer, bus_at, short_folder
from tests.agent.logins import log_in, log_in_by_record
from tests.system.at_the_computer import is_told, people, told_before, typed
from tests.system.fleet import OPERATOR, Fleet, link_version

pytestmark = [pytest.mark.system, pytest.mark.timeout(400)]

_LAPTOPS = "window: always, notice: 15m, deferrals_max: 3, defer_at_most: 5d}"
_QUICK = "window: always, notice: 10m, deferrals_max: 2, defer_at_most: 1d, grace: 3s}"


@pytest.fixture(scope="module")
def people_fleet(governed_template: tuple[Path, int]) -> Iterator[Fleet]:
    """Return a fleet whose SOP lets people at laptops put an update off twice, and gives them three seconds then."""
    with short_folder() as folder:
        made = Fleet(folder)
        try:
            made.copy_of(*governed_template)
            made.serve()
            document = made.sopwith("sop", "show", "SU-SOP-001", "--document").out
            assert _LAPTOPS in document
            document = document.replace("\nrevision: 1\n", "\nrevision: 2\n").replace(_LAPTOPS, _QUICK)
            (folder / "sop.md").write_text(document, encoding="utf-8")
            made.sopwith("sop", "submit", "sop.md")
            made.sign_revision()
            for version in ("1", "2"):
                made.publish(write_release(folder / f"lamp-{version}", version, shines=True, summary="a lamp"))
            yield made
        finally:
            made.stop()


def names_nobody(fleet: Fleet, name: str) -> bool:
    """Tell whether the person's name stands nowhere: state folder, outbox, logs, and what the controller keeps."""
    files = [path for path in (fleet.folder / name).rglob("*") if path.is_file()]
    files += [fleet.folder / f"{name}.log", fleet.folder / "controller.log", *(fleet.folder / "c").glob("sopwith.db*")]
    return not any(b"anna-katharina" in path.read_bytes() for path in files)


def rollout(fleet: Fleet, name: str, version: str) -> str:
    return fleet.start(
        f"rollout: {name}-{version}\nrelease: lamp@{version}\nsop: SU-SOP-001\naudience: owner={name}\n"
        "baseline: false\nwaves: [{name: all, size: 100%}]\n"
    )


@pytest.mark.needs_tool("dbus-daemon")
def test_person_puts_an_update_off_on_the_desktop_and_lets_it_begin_by_hand(people_fleet: Fleet) -> None:
    fleet, root = people_fleet, people_fleet.folder / "lap1-root"
    log_in(root, "1", os.geteuid(), user="anna-katharina")
    with bus_at(root / f"run/user/{os.geteuid()}/bus") as address:
        desktop = NotificationServer(address)
        fleet.computers("lap1", labels=("kind=laptop", "owner=lap1"))
        started = rollout(fleet, "lap1", "1")

        shown = desktop.shown()
        assert shown["text"].startswith("lamp 1 will be installed on this computer in 10m.")
        desktop.press("later")
        fleet.until("the deferral", lambda: fleet.assignments(started)[0]["deferrals"] == 1)
        why = fleet.json("rollout", "explain", started, who=OPERATOR)
        status = typed(fleet, "lap1", "status").out
        typed(fleet, "lap1", "feedback", "please", "not", "before", "noon")
        typed(fleet, "lap1", "install-now")
        done = fleet.finish(started)
        desktop.close()

    assert names_nobody(fleet, "lap1")
    assert why["explanations"][0]["waits_for"] == "deferral"
    assert "The update lamp 1 is put off until" in status
    assert done["counts"]["succeeded"] == 1
    assert link_version(fleet, "lap1") == "1"
    log = fleet.json("log", "list")
    [deferred] = [entry for entry in log if entry["kind"] == "ASSIGNMENT_DEFERRED"]
    assert (deferred["computer"], deferred["rollout"]) == ("lap1", started)
    assert "feedback from lap1: please not before noon" in [
        entry["message"] for entry in log if entry["kind"] == "COMPUTER_FEEDBACK"
    ]


def test_deferrals_are_spent_survive_a_kill_and_then_it_is_installed_after_the_grace(people_fleet: Fleet) -> None:
    fleet, root = people_fleet, people_fleet.folder / "lap2-root"
    log_in_by_record(root, ("root", "pts/none"))
    fleet.computers("lap2", labels=("kind=laptop", "owner=lap2"))
    started = rollout(fleet, "lap2", "1")
    fleet.until("the notice", lambda: people(fleet, "lap2"))

    first = typed(fleet, "lap2", "defer", "--for", "1s", "-o", "json").document()
    fleet.until("the second notice", lambda: is_told(fleet, "lap2", after=1))
    second = typed(fleet, "lap2", "defer", "--for", "1h", "-o", "json").document()
    fleet.kill_agent("lap2")
    (fleet.folder / "lap2/status.json").unlink()
    fleet.run_agent("lap2")
    fleet.until("the agent's return", lambda: [one["deferrals_left"] for one in people(fleet, "lap2")] == [0])
    third = typed(fleet, "lap2", "defer", "--for", "1h", expect=(4,))
    typed(fleet, "lap2", "install-now")
    done = fleet.finish(started)

    assert (first["deferrals_left"], second["deferrals_left"]) == (1, 0)
    assert "put off 2 times already" in third.err
    assert done["counts"]["succeeded"] == 1
    assert link_version(fleet, "lap2") == "1"

    again = rollout(fleet, "lap2", "2")
    for used in range(2):
        fleet.until("a notice", lambda used=used: is_told(fleet, "lap2", after=used))
        typed(fleet, "lap2", "defer", "--for", "1s")
    last = fleet.finish(again)

    assert last["counts"]["succeeded"] == 1
    assert link_version(fleet, "lap2") == "2"
    notice = told_before(fleet, "lap2", "2", "notice")
    assert notice.startswith("told 3 times; put off 2 of 2 times by people at the computer; nobody objected")


def test_computer_labelled_do_not_disturb_is_left_in_peace_until_the_label_is_gone(people_fleet: Fleet) -> None:
    fleet = people_fleet
    fleet.computers("lap3", "lap5", labels=("kind=laptop", "owner=lap3"))
    fleet.sopwith("computer", "label", "lap3", "do-not-disturb=exam-week", who=OPERATOR)
    fleet.until("the label's effect", lambda: readiness(fleet, "lap3") == ("NOT_READY", ["DO_NOT_DISTURB"]))

    started = rollout(fleet, "lap3", "1")
    fleet.until("the other one's end", lambda: ended(fleet, started) == {"lap5": "SUCCEEDED"})
    found = fleet.json("rollout", "explain", started, "--computer", "lap3", who=OPERATOR)
    here = typed(fleet, "lap3", "check", expect=(1,)).out
    untouched = link_version(fleet, "lap3")
    fleet.sopwith("computer", "label", "lap3", "--remove", "do-not-disturb", who=OPERATOR)
    done = fleet.finish(started)

    [waits] = found["explanations"]
    assert waits["waits_for"] == "readiness"
    assert "do-not-disturb=exam-week" in waits["message"]
    assert "do-not-disturb=exam-week" in here
    assert untouched == ""
    assert done["counts"]["succeeded"] == 2
    assert link_version(fleet, "lap3") == "1"


@pytest.mark.needs_tool("dbus-daemon")
def test_closed_lid_is_asleep_and_not_lost_and_the_lid_is_held_while_it_installs(people_fleet: Fleet) -> None:
    fleet, root = people_fleet, people_fleet.folder / "lap4-root"
    with bus_at(root / "run/dbus/system_bus_socket") as address:
        logind = Logind(address)
        fleet.computers("lap4", labels=("kind=laptop", "owner=lap4"))
        assert logind.called("Inhibit")[3] == "delay"
        fleet.until("the first stream", lambda: presence(fleet, "lap4") == (True, False))

        logind.prepare_for_sleep(begins=True)
        fleet.until("sleep", lambda: presence(fleet, "lap4") == (False, True))
        assert logind.until_released("delay")
        logind.prepare_for_sleep(begins=False)
        fleet.until("waking", lambda: presence(fleet, "lap4") == (True, False))
        assert logind.called("Inhibit")[3] == "delay"

        done = fleet.finish(rollout(fleet, "lap4", "1"))
        what, _who, why, mode = logind.called("Inhibit")
        assert logind.until_released("block")
        logind.close()

    assert done["counts"]["succeeded"] == 1
    assert (what, mode) == ("sleep:shutdown:handle-lid-switch", "block")
    assert "lamp" in why
    assert not [one for one in fleet.json("incident", "list") if one["symptom"] == "LOST_CONTACT"]


def readiness(fleet: Fleet, name: str) -> tuple[str, list[str]]:
    """Return whether a computer may be updated, and what stands in the way."""
    [found] = [one["readiness"] for one in fleet.json("computer", "list") if one["name"] == name]
    return found["verdict"], [reason["code"] for reason in found["reasons"]]


def ended(fleet: Fleet, started: str) -> dict[str, str]:
    """Return the outcomes so far."""
    return {one["computer"]: one["outcome"] for one in fleet.assignments(started) if one["outcome"]}


def presence(fleet: Fleet, name: str) -> tuple[bool, bool]:
    """Return whether a computer is connected, and whether it sleeps."""
    [found] = [one for one in fleet.json("computer", "list") if one["name"] == name]
    return found["connected"], found["asleep"]
