"""Tells whether somebody is working on this computer; counted, and named only where that is switched on."""

from pathlib import Path

from sopwith_agent.adapters.people.sessions import login_sessions
from sopwith_agent.adapters.processes import escape_text

_NAME_MAX = 100


def user_sessions(root: Path) -> int | None:
    """Return how many people's sessions are open, None where nobody keeps a list of them."""
    found = login_sessions(root)
    return None if found is None else len(found)


def logged_in_names(root: Path) -> list[str]:
    """Return who is logged in; told to the fleet only where the computer's own settings switch it on."""
    return sorted({escape_text(session.user)[:_NAME_MAX] for session in login_sessions(root) or () if session.user})
