"""Rebooting the computer, where its owner leaves that to the agent.

Decides nothing about when; `steps.reboot` does. Rules: an agent that installs below a root of its own never reboots
the computer; otherwise only where `reboot = "systemctl"` stands in its agent.toml.
"""

import subprocess
from pathlib import Path

from sopwith_agent.domain.errors import StepError
from sopwith_formats.vocabulary import Symptom

_MARKS = ("run/reboot-required", "var/run/reboot-required")
_TIMEOUT_SECONDS = 30


class SystemPower:
    """Reboots by systemctl; answers from the mark files that Debian's packages leave."""

    def __init__(self, root: Path, *, allowed: bool) -> None:
        self._root = root
        self._allowed = allowed and root == Path("/")

    def reboot_pending(self) -> bool:
        """Tell whether the computer asks for a reboot."""
        return any((self._root / mark).exists() for mark in _MARKS)

    def may_reboot(self) -> bool:
        """Tell whether the agent may reboot this computer by itself."""
        return self._allowed

    def reboot(self) -> None:
        """Start the reboot; raise StepError when that fails."""
        try:
            subprocess.run(
                ["systemctl", "reboot"],
                check=True,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=_TIMEOUT_SECONDS,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise StepError(
                Symptom.REBOOT_FAILED, "The reboot could not be started.", remedy="reboot the computer by hand"
            ) from error
