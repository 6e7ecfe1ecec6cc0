"""Who is logged in: open sessions as systemd lists them, else as the older login records do, below the agent's root.

Decides what counts as a session of a person and on which terminal, bus or screen it can be reached. What is found here
stays on the computer: only the number of sessions leaves it, in a readiness check.
"""

import contextlib
import pwd
import struct
from dataclasses import dataclass
from pathlib import Path

from sopwith_agent.adapters.below_root import below_root

_RECORD = struct.Struct("hxxi32s4s32s256s4xi8x16x20x")
_LOGGED_IN = 7
_GRAPHICAL = frozenset({"x11", "wayland", "mir"})


@dataclass(frozen=True)
class LoginSession:
    """One open session of a person."""

    uid: int | None
    """None where the login record names somebody whom this system does not know."""
    terminal: str = ""
    """Such as pts/3, below /dev; empty: none."""
    kind: str = ""
    """x11, wayland, tty or another word of systemd's; empty: unknown."""
    user: str = ""

    @property
    def graphical(self) -> bool:
        """Tell whether it has a screen of windows."""
        return self.kind in _GRAPHICAL


def login_sessions(root: Path) -> list[LoginSession] | None:
    """Return the open sessions; None where nobody keeps a list of them."""
    folder = below_root(root, "/run/systemd/sessions")
    if folder.is_dir():
        found = [_from_systemd(path) for path in sorted(folder.iterdir()) if path.suffix != ".ref"]
        return [session for session in found if session is not None]
    records = below_root(root, "/run/utmp")
    if not records.is_file():
        return None
    data = records.read_bytes()
    whole = data[: len(data) // _RECORD.size * _RECORD.size]
    return [
        _from_record(_text(line), _text(user), _text(host))
        for kind, _pid, line, _id, user, host, *_ in _RECORD.iter_unpack(whole)
        if kind == _LOGGED_IN
    ]


def _from_systemd(path: Path) -> LoginSession | None:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return None  # closed, or no session file
    facts = dict(line.partition("=")[::2] for line in lines)
    if facts.get("CLASS") != "user" or facts.get("STATE") not in {"active", "online"}:
        return None
    uid = facts.get("UID", "")
    return LoginSession(
        int(uid) if uid.isdigit() else None, facts.get("TTY", ""), facts.get("TYPE", ""), facts.get("USER", "")
    )


def _from_record(line: str, user: str, host: str) -> LoginSession:
    uid = None
    with contextlib.suppress(KeyError):
        uid = pwd.getpwnam(user).pw_uid
    screen = line.startswith(":") or host.startswith(":")
    return LoginSession(uid, "" if line.startswith(":") else line, "x11" if screen else "", user)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")
