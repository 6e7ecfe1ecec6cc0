"""Tells whether something waits for a reboot.

Answers from the file that Debian's packages leave for it, below the agent's root; which packages asked stands beside.
"""

from pathlib import Path

from sopwith_agent.adapters.below_root import below_root
from sopwith_agent.adapters.processes import escape_text

_FILES = ("/run/reboot-required", "/var/run/reboot-required")
_NAMES_MAX = 10


def pending_reboot(root: Path) -> tuple[str, ...]:
    """Return who asked for a reboot; empty when nobody did."""
    for name in _FILES:
        if below_root(root, name).exists():
            return _who_asked(below_root(root, f"{name}.pkgs"))
    return ()


def _who_asked(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    names = sorted({escape_text(line) for line in lines if line.strip()})
    return tuple(names[:_NAMES_MAX]) or ("the system",)
