"""Tells whether somebody is working on this computer; counted, never named.

Answers from systemd's list of sessions below the agent's root, else from the older login records there. Where there is
neither, the question has no answer.
"""

import struct
from pathlib import Path

from sopwith_agent.adapters.below_root import below_root

_RECORD = struct.Struct("hxxi32s4s32s256s4xi8x16x20x")
_LOGGED_IN = 7


def user_sessions(root: Path) -> int | None:
    """Return how many people's sessions are open."""
    folder = below_root(root, "/run/systemd/sessions")
    if folder.is_dir():
        return sum(_is_open(path) for path in folder.iterdir() if path.suffix != ".ref")
    records = below_root(root, "/run/utmp")
    if not records.is_file():
        return None
    data = records.read_bytes()
    whole = data[: len(data) // _RECORD.size * _RECORD.size]
    return sum(1 for kind, *_ in _RECORD.iter_unpack(whole) if kind == _LOGGED_IN)


def _is_open(path: Path) -> bool:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return False  # closed, or no session file
    facts = dict(line.partition("=")[::2] for line in lines)
    return facts.get("CLASS") == "user" and facts.get("STATE") in ("active", "online")
