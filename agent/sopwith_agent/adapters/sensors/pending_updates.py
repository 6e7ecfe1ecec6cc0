"""Which operating-system updates wait on this computer, as its own apt resolves them.

Decides how apt is asked and how much of its answer is told; what becomes of it is a person's (`release gather`).
Rules: apt only simulates, with the lists that it has; nothing is fetched, locked or changed. It is asked again only
when its lists or dpkg's database changed, in a thread of its own, and a report waits a few seconds for it at most: apt
may take long on a slow computer. At most `_UPDATES_MAX` packages are told, in the order in which apt would install
them, and how many there are. Where there is no apt, or it has no lists, nothing is told.
"""

import re
import shutil
import threading
from pathlib import Path
from typing import Any

from sopwith_agent.adapters.processes import PATH, run_program
from sopwith_agent.domain.errors import StepError

_UPDATES_MAX = 500
_ASK_SECONDS = 120
_WAIT_SECONDS = 3
_OUTPUT_MAX = 4 * 2**20
_INSTALL = re.compile(
    r"Inst (?P<package>\S+)(?: \[(?P<installed>[^\]]+)\])? \((?P<candidate>\S+) .*\[(?P<arch>[^\]]+)\]\)"
)


class PendingUpdates:
    """Remembers apt's newest answer."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._stamp: tuple[int, ...] = ()
        self._asking: threading.Thread | None = None
        self._facts: dict[str, Any] = {}

    def facts(self) -> dict[str, Any]:
        """Return `apt_upgrades` and `apt_upgrades_total` as they are known; nothing where there is no apt."""
        stamp = self._now()
        if not stamp or not shutil.which("apt-get", path=PATH):
            return {}
        with self._lock:
            if stamp != self._stamp and (self._asking is None or not self._asking.is_alive()):
                self._stamp = stamp
                self._asking = threading.Thread(target=self._ask, name="pending-updates", daemon=True)
                self._asking.start()
            asking = self._asking
        if asking is not None:
            asking.join(_WAIT_SECONDS)
        return dict(self._facts)

    def _now(self) -> tuple[int, ...]:
        """Return what changes when apt's answer may have changed; empty: it has no lists."""
        lists = self._root / "var/lib/apt/lists"
        try:
            if not any(path.name.endswith(("_Packages", "_Packages.lz4")) for path in lists.iterdir()):
                return ()
            return (lists.stat().st_mtime_ns, (self._root / "var/lib/dpkg/status").stat().st_mtime_ns)
        except OSError:
            return ()

    def _ask(self) -> None:
        command: list[str | Path] = ["apt-get", "--simulate", "--quiet", "-o", "Debug::NoLocking=1"]
        if self._root != Path("/"):
            status = self._root / "var/lib/dpkg/status"
            command += ["-o", f"Dir={self._root}", "-o", f"Dir::State::status={status}"]
        try:
            finished = run_program(
                [*command, "upgrade", "--with-new-pkgs"],
                timeout_seconds=_ASK_SECONDS,
                environment={"LC_ALL": "C"},
                output_max=_OUTPUT_MAX,
                raw_output=True,
            )
        except StepError:
            return
        if finished.ok:
            self._facts = read_simulation(finished.output)


def read_simulation(output: str) -> dict[str, Any]:
    """Return the facts in the answer of a simulated upgrade."""
    found = [match.groupdict("") for line in output.splitlines() if (match := _INSTALL.match(line))]
    return {"apt_upgrades": found[:_UPDATES_MAX], "apt_upgrades_total": len(found)}
