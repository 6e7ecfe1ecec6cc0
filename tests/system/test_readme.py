"""The README's way to the first real update of the reader's own computer: at most eight commands, and they work."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.system.fleet import Fleet
from tests.system.packages import build_deb, deb_version

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


EVALUATION, STANDARD = "eight-commands", "standard-commands"
FIRST_GOVERNED_UPDATE_SECONDS_MAX = 300


def commands(name: str) -> list[str]:
    block = re.search(rf"<!-- {name} -->\n```\n(.*?)```", README, re.DOTALL)
    assert block
    return [line for line in block[1].splitlines() if line.strip()]


def test_the_first_update_takes_at_most_eight_commands_and_the_first_governed_one_eighteen():
    assert len(commands(EVALUATION)) <= 8
    assert len(commands(STANDARD)) == 18


@pytest.mark.needs_tool("dpkg")
@pytest.mark.parametrize("name", [EVALUATION, STANDARD])
def test_the_readme_commands_update_a_computer(fleet: Fleet, name: str):
    began = time.monotonic()
    package = next((build_deb(fleet.folder, "1")).glob("*.deb"))
    script = "\n".join(commands(name))
    # The reader's own computer is a folder here, the ports are free ones, and what was started is ended by the test.
    wait = "for i in 1 2 3 4 5 6 7 8 9 10; do sopwith status >/dev/null 2>&1 && break; sleep 1; done"
    for written, meant in (
        ("./hello_2.10-3_amd64.deb", str(package)),
        ("sopwith-agent run --state a", "sopwith-agent run --state a --root r"),
        ("--profile ", "--listen 127.0.0.1 --fleet-port 0 --web-port 0 --profile "),
        ("$PWD/.venv/bin", str(Path(sys.executable).parent)),
        (" &", f" &\necho $! >> pids\n{wait}"),
    ):
        assert written in script
        script = script.replace(written, meant)

    try:
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=fleet.folder,
            env={key: value for key, value in os.environ.items() if not key.startswith("SOPWITH")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )

        assert done.returncode == 0, done.stdout + done.stderr
        assert deb_version(fleet.folder / "r") == "1"
        assert time.monotonic() - began < FIRST_GOVERNED_UPDATE_SECONDS_MAX
        shown = fleet.json("sop", "show", "SU-SOP-001")
        signed = sorted(one["role"] for one in shown["signatures"])
        assert signed == (["authority", "it_manager", "owner"] if name == STANDARD else [])
    finally:
        for pid in (fleet.folder / "pids").read_text().split() if (fleet.folder / "pids").exists() else []:
            subprocess.run(["kill", pid], check=False)
