"""What Linux says of this computer and of its processes, read where the kernel writes it.

Decides how /proc and /sys are read; what follows from a figure is the sensors'. Rules: a process that ends while it is
looked at is left out; one that has ended and waits for its parent is not running; what this user may not read of
somebody else's process is empty.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sopwith_agent.domain.measurements import Power

_PROC = Path("/proc")
_SUPPLIES = Path("/sys/class/power_supply")
_NAME_MAX = 15
"""The kernel cuts a process's name there; the rest stands in its command line."""


@dataclass(frozen=True)
class Process:
    """One running process."""

    number: int
    name: str
    words: tuple[str, ...]
    """Its command line."""
    program: str
    """Its program file, empty where this user may not see it."""


def processes(proc: Path = _PROC) -> Iterator[Process]:
    """Give the running processes."""
    for folder in sorted(proc.glob("[0-9]*"), key=lambda folder: int(folder.name)):
        try:
            found = _process(folder)
        except OSError:
            continue
        if found is not None:
            yield found


def process_name(number: int, proc: Path = _PROC) -> str:
    """Return the name of a process, empty when it does not run."""
    try:
        found = _process(proc / str(number))
    except OSError:
        return ""
    return found.name if found else ""


def memory_bytes(kind: str, proc: Path = _PROC) -> int:
    """Return one line of the kernel's table of memory, such as MemTotal or MemAvailable; raise ValueError for none."""
    for line in (proc / "meminfo").read_text(encoding="ascii").splitlines():
        name, _, text = line.partition(":")
        if name == kind:
            return int(text.split()[0]) * 1024
    raise ValueError(kind)


def power(supplies: Path = _SUPPLIES) -> Power | None:
    """Return the source of power, None on a computer without a battery of its own."""
    battery = next((folder for folder in _by_type(supplies, "Battery") if _read(folder / "scope") != "Device"), None)
    if battery is None:
        return None
    mains = [_read(folder / "online") for folder in _by_type(supplies, "Mains")]
    on_mains = "1" in mains if any(mains) else _read(battery / "status") != "Discharging"
    return Power(on_mains=on_mains, battery_percent=_percent(battery))


def _process(folder: Path) -> Process | None:
    name = (folder / "comm").read_text(errors="replace").rstrip("\n")
    state = (folder / "stat").read_text(errors="replace").rpartition(") ")[2][:1]
    if state in "ZX":
        return None
    line = (folder / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace")
    words = tuple(line.split("\0")) if line else ()
    if len(name) == _NAME_MAX and words and (whole := Path(words[0]).name).startswith(name):
        name = whole
    try:
        program = str((folder / "exe").readlink()).removesuffix(" (deleted)")
    except OSError:
        program = ""
    return Process(int(folder.name), name, words, program)


def _by_type(supplies: Path, kind: str) -> list[Path]:
    return [folder for folder in sorted(supplies.glob("*")) if _read(folder / "type") == kind]


def _percent(battery: Path) -> int:
    capacity = _read(battery / "capacity")
    if capacity:
        return int(capacity)
    for measure in ("energy", "charge"):
        now, full = _read(battery / f"{measure}_now"), _read(battery / f"{measure}_full")
        if now and full and int(full):
            return int(now) * 100 // int(full)
    raise ValueError(battery)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
