"""A controller whose disk is really full: people are told before, nothing is acknowledged that is not durable, and it
goes on by itself once there is room."""

import os
import shutil
from pathlib import Path

import pytest

from tests.faults.tiny_disk import on_tiny_disk
from tests.system.at_the_computer import queued, record, touch
from tests.system.fleet import Fleet, read_json_lines
from tests.system.packages import build_archive

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]

ROLLOUT = "rollout: beacon-1\nrelease: beacon@1\nsop: SU-SOP-001\nwaves: [{name: all, size: 100%}]\n"


def test_case_53_full_disk_of_the_controller_acknowledges_nothing_and_loses_nothing(
    tmp_path: Path, governed_template: tuple[Path, int]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()

    def act() -> None:
        fleet = Fleet(tmp_path)
        fleet.reads_here = False
        try:
            fleet.copy_of(*governed_template)
            shutil.move(fleet.folder / "c", disk / "c")
            (fleet.folder / "c").symlink_to(disk / "c")
            _fill_up_during_an_update(fleet, disk / "somebody-elses-file")
        finally:
            fleet.stop()

    on_tiny_disk(disk, "size=192m,mode=700", act)


def _fill_up_during_an_update(fleet: Fleet, filler: Path) -> None:
    fleet.serve()
    fleet.publish(build_archive(fleet.folder, "1", waits=True))
    fleet.computers("pc1")
    before = [one["symptom"] for one in fleet.json("incident", "list")]
    fill(filler, leave=64 * 2**20)
    fleet.kill_controller()
    fleet.serve()
    fleet.until("the alarm's mail", lambda: any("DISK_FULL" in mail for mail in fleet.mails()))
    fleet.until("readiness", lambda: fleet.all_ready(1))
    started = fleet.start(ROLLOUT)
    fleet.until("the commit", lambda: record(fleet, "pc1", started).get("state") == "CONFIRMING")

    fill(filler, leave=0)
    touch(fleet, "pc1", "go")
    fleet.until("the end", lambda: record(fleet, "pc1", started).get("reported"))
    fleet.until("a refused report", lambda: events(fleet) & {"report_not_recorded", "reports_not_recorded"})
    fleet.sopwith("status")
    held = queued(fleet, "pc1")
    filler.unlink()
    done = fleet.finish(started)
    fleet.until("every acknowledgement", lambda: not queued(fleet, "pc1"))

    assert before == []
    assert held
    assert done["counts"]["succeeded"] == 1
    assert fleet.outcomes(started) == {"pc1": "SUCCEEDED"}
    assert fleet.commits("pc1", started) == [1]
    fleet.sopwith("log", "verify")


def fill(filler: Path, *, leave: int) -> None:
    """Take the disk's room but for so many bytes."""
    with filler.open("ab") as file:
        free = os.statvfs(filler.parent).f_bavail * os.statvfs(filler.parent).f_frsize
        piece = bytes(2**16)
        try:
            while free > leave:
                file.write(piece)
                file.flush()
                free -= len(piece)
            if not leave:
                while True:
                    file.write(bytes(512))
                    file.flush()
        except OSError:
            pass


def events(fleet: Fleet) -> set[str]:
    return {str(line.get("event")) for line in read_json_lines(fleet.folder / "controller.log")}
