"""A computer that really goes down: runs an agent, and on SIGUSR1 kills it, boots under another id and runs it again.

Called as `computer_that_reboots.py AGENT STATE ROOT`. The root brings a /proc of its own with boot id and uptime, and
the computer's agent.toml tells its agent to reboot by sending this process the signal. `STATE/events` gets one line for
each going down and each coming up, with the monotonic time, which all computers of one machine share. While
`ROOT/stays-down` is there it does not come up; where `ROOT/boots-old` is there, it comes up with what that file names
as the link `/opt/lamp/current`. What asks for a reboot in /run is gone after one, as on any computer.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path


class Computer:
    """One computer under one agent."""

    def __init__(self, agent: str, state: Path, root: Path) -> None:
        self._command = [agent, "run", "--state", str(state), "--root", str(root)]
        self._state, self._root = state, root
        self._signalled: list[int] = []

    def run(self) -> None:
        """Run until SIGTERM."""
        signal.signal(signal.SIGUSR1, lambda *_: self._signalled.append(signal.SIGUSR1))
        signal.signal(signal.SIGTERM, lambda *_: self._signalled.append(signal.SIGTERM))
        kill = f'reboot = "command"\nreboot_command = ["/bin/kill", "-USR1", "{os.getpid()}"]\n'
        more = self._state / "more.toml"
        (self._state / "agent.toml").write_text(kill + (more.read_text() if more.exists() else ""))
        self._boot()
        agent = subprocess.Popen(self._command)
        while signal.SIGTERM not in self._signalled:
            if signal.SIGUSR1 in self._signalled:
                self._signalled.remove(signal.SIGUSR1)
                agent.kill()
                agent.wait()
                self._note("down")
                shutil.rmtree(self._root / "run", ignore_errors=True)
                while (self._root / "stays-down").exists() and signal.SIGTERM not in self._signalled:
                    time.sleep(0.1)
                self._boot()
                agent = subprocess.Popen(self._command)
            time.sleep(0.05)
        agent.terminate()
        agent.wait()

    def _boot(self) -> None:
        random = self._root / "proc/sys/kernel/random"
        random.mkdir(parents=True, exist_ok=True)
        (random / "boot_id").write_text(f"{uuid.uuid4()}\n", encoding="ascii")
        (self._root / "proc/uptime").write_text("5.00 5.00\n", encoding="ascii")
        old = self._root / "boots-old"
        if old.exists():
            link = self._root / "opt/lamp/current"
            link.unlink()
            link.symlink_to(old.read_text().strip())
            old.unlink()
        self._note("up")

    def _note(self, word: str) -> None:
        with (self._state / "events").open("a", encoding="ascii") as events:
            events.write(f"{word} {time.monotonic()}\n")


if __name__ == "__main__":
    Computer(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])).run()
