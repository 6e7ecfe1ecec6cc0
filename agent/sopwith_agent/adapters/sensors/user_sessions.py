"""Tells whether somebody is working on this computer; counted, never named."""

from pathlib import Path

from sopwith_agent.adapters.people.sessions import login_sessions


def user_sessions(root: Path) -> int | None:
    """Return how many people's sessions are open, None where nobody keeps a list of them."""
    found = login_sessions(root)
    return None if found is None else len(found)
