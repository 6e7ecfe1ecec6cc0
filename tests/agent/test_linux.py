"""What Linux says, compared with another reader of the same files, and from folders like the kernel's."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sopwith_agent.adapters.linux import Process, memory_bytes, power, process_name, processes
from sopwith_agent.domain.measurements import Power


def _supply(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(f"{text}\n")


def _process(proc: Path, number: int, name: str, state: str, *words: str) -> None:
    folder = proc / str(number)
    folder.mkdir(parents=True)
    (folder / "comm").write_text(f"{name}\n")
    (folder / "stat").write_text(f"{number} ({name}) {state} 1 1 1")
    (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in words))


def test_own_process_is_told_as_another_reader_tells_it() -> None:
    mine, other = next(one for one in processes() if one.number == os.getpid()), psutil.Process()

    assert (mine.name, list(mine.words), mine.program) == (other.name(), other.cmdline(), other.exe())
    assert process_name(os.getpid()) == other.name()


def test_process_that_ended_does_not_run_before_and_after_its_parent_looked() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
    assert child.pid not in {one.number for one in processes()}
    assert process_name(child.pid) == ""

    child.wait()
    assert process_name(child.pid) == ""


def test_name_that_the_kernel_cut_is_whole_again(tmp_path: Path) -> None:
    _process(tmp_path, 7, "a-program-with-", "S", "/usr/bin/a-program-with-a-long-name", "-x", "")
    _process(tmp_path, 12, "odd) R (name", "Z", "x")
    _process(tmp_path, 3, "kworker", "I")
    (tmp_path / "9").mkdir()
    (tmp_path / "meminfo").touch()

    found = list(processes(tmp_path))

    assert [one.number for one in found] == [3, 7]
    assert found[0] == Process(3, "kworker", (), "")
    assert found[1].name == "a-program-with-a-long-name"


def test_memory_is_the_kernels_own_figure(tmp_path: Path) -> None:
    assert memory_bytes("MemTotal") == psutil.virtual_memory().total

    (tmp_path / "meminfo").write_text("MemTotal:       16 kB\nMemAvailable:    4 kB\n")
    assert memory_bytes("MemAvailable", tmp_path) == 4096
    with pytest.raises(ValueError, match="Swap"):
        memory_bytes("Swap", tmp_path)


def test_computer_without_battery_has_no_power_to_tell(tmp_path: Path) -> None:
    _supply(tmp_path / "AC", type="Mains", online="1")
    _supply(tmp_path / "hidpp_battery_0", type="Battery", scope="Device", capacity="5", status="Discharging")

    assert power(tmp_path) is None
    assert power(tmp_path / "not-there") is None


@pytest.mark.parametrize(
    ("mains", "battery", "expected"),
    [
        ("1", {"status": "Charging", "capacity": "40"}, Power(on_mains=True, battery_percent=40)),
        ("0", {"status": "Discharging", "capacity": "40"}, Power(on_mains=False, battery_percent=40)),
        ("", {"status": "Discharging", "energy_now": "1", "energy_full": "3"}, Power(False, 33)),
        ("", {"status": "Full", "charge_now": "3", "charge_full": "3"}, Power(True, 100)),
    ],
)
def test_battery_is_told_with_its_charge(mains: str, battery: dict[str, str], expected: Power, tmp_path: Path) -> None:
    _supply(tmp_path / "BAT0", type="Battery", **battery)
    if mains:
        _supply(tmp_path / "ADP1", type="Mains", online=mains)
        _supply(tmp_path / "ADP2", type="Mains", online="0")

    assert power(tmp_path) == expected


def test_battery_that_says_nothing_cannot_be_told(tmp_path: Path) -> None:
    _supply(tmp_path / "BAT0", type="Battery", status="Unknown")

    with pytest.raises(ValueError, match="BAT0"):
        power(tmp_path)
