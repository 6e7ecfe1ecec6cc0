"""Tells whether the network link costs by volume; NetworkManager knows it, where it runs, and nobody else does."""

import shutil

from sopwith_agent.adapters.processes import PATH, run_program
from sopwith_agent.domain.errors import StepError

_QUESTION = (
    "busctl",
    "--timeout=1",
    "get-property",
    "org.freedesktop.NetworkManager",
    "/org/freedesktop/NetworkManager",
    "org.freedesktop.NetworkManager",
    "Metered",
)
_ANSWERS = {"u 1": True, "u 2": False, "u 3": True, "u 4": False}
"""NetworkManager's yes, no, and its two guesses."""
_TIMEOUT_SECONDS = 2


def metered() -> bool | None:
    """Return whether the link is metered, None where nobody knows."""
    if shutil.which(_QUESTION[0], path=PATH) is None:
        return None
    try:
        finished = run_program(_QUESTION, timeout_seconds=_TIMEOUT_SECONDS)
    except StepError:
        return None
    return _ANSWERS.get(finished.output.strip()) if finished.ok else None
