"""Rebooting the computer, where its owner leaves that to the agent.

Decides nothing about when; `steps.reboot` does. Rules: only what stands in the computer's own agent.toml is run. With
`reboot = "systemctl"` an agent that installs below a root of its own never reboots the computer; with `reboot =
"command"` it runs `reboot_command`, whose owner knows what lives below that root.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from sopwith_agent.adapters.processes import escape_text
from sopwith_agent.domain.errors import StepError
from sopwith_formats.vocabulary import Symptom

_MARKS = ("run/reboot-required", "var/run/reboot-required")
_TIMEOUT_SECONDS = 30
_SHOWN_MAX = 400
SYSTEMCTL = ("systemctl", "reboot")


class SystemPower:
    """Reboots by a command; answers from the mark files that Debian's packages leave."""

    def __init__(self, root: Path, command: Sequence[str] = ()) -> None:
        """Reboot by `command`; an empty one leaves it to people."""
        self._root = root
        self._command = tuple(command) if tuple(command) != SYSTEMCTL or root == Path("/") else ()

    def reboot_pending(self) -> bool:
        """Tell whether the computer asks for a reboot."""
        return any((self._root / mark).exists() for mark in _MARKS)

    def may_reboot(self) -> bool:
        """Tell whether the agent may reboot this computer by itself."""
        return bool(self._command)

    def reboot(self) -> None:
        """Start the reboot; raise StepError when that fails."""
        try:
            finished = subprocess.run(
                self._command,
                check=False,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_TIMEOUT_SECONDS,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise _failed(str(error)) from error
        if finished.returncode:
            raise _failed(finished.stderr.decode(errors="replace"))


def _failed(words: str) -> StepError:
    detail = escape_text(words)[-_SHOWN_MAX:]
    return StepError(
        Symptom.REBOOT_FAILED, f"The reboot could not be started: {detail}.", remedy="reboot the computer by hand"
    )
