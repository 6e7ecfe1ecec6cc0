"""A whole update within 128 MiB and 64 file descriptors."""

import re
import shutil
from pathlib import Path

import pytest

from sopwith_controller.desk.demo_release import write_release
from sopwith_controller.desk.demo_stage import program_path
from tests.system.fleet import Fleet, link_version

pytestmark = [pytest.mark.system, pytest.mark.timeout(300), pytest.mark.needs_tool("prlimit")]

ROLLOUT = """rollout: small
release: lamp@1
sop: SU-SOP-001
audience: ""
baseline: false
"""


def number(pattern: str, text: str) -> int:
    match = re.search(pattern, text)
    assert match
    return int(match[1])


def test_whole_update_needs_little_memory_and_few_descriptors(governed_fleet: Fleet):
    fleet = governed_fleet
    fleet.enroll("small")
    arguments = ("--nofile=64:64", program_path("sopwith-agent"), "run", "--state", "small")
    process = fleet.stage.start(str(shutil.which("prlimit")), *arguments, "--root", "small-root", log="small.log")
    fleet.until("a ready computer", lambda: fleet.all_ready(1), seconds=60)
    fleet.publish(write_release(fleet.folder / "lamp", "1", shines=True, summary="a lamp"))

    fleet.finish(fleet.start(ROLLOUT))

    status = Path(f"/proc/{process.pid}/status").read_text()
    peak, now = (number(rf"{name}:\s+(\d+) kB", status) / 1024 for name in ("VmHWM", "VmRSS"))
    assert link_version(fleet, "small") == "1"
    assert number(r"Max open files\s+(\d+)", Path(f"/proc/{process.pid}/limits").read_text()) == 64
    assert peak <= 128, f"{peak:.0f} MiB at most, {now:.0f} MiB now"
