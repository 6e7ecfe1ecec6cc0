"""Logged-in people of tests, as systemd and the older login records list them below a root."""

import struct
from pathlib import Path

_RECORD = struct.Struct("hxxi32s4s32s256s4xi8x16x20x")


def log_in_by_record(root: Path, *people: tuple[str, str]) -> None:
    """Write login records: user and terminal of each."""
    (root / "run").mkdir(parents=True, exist_ok=True)
    records = (_RECORD.pack(7, 1, line.encode(), b"1", user.encode(), b"", 0) for user, line in people)
    (root / "run/utmp").write_bytes(b"".join(records))


def log_in(root: Path, number: str, uid: int, *, user: str = "anna", kind: str = "wayland", terminal: str = "") -> Path:
    """Write a session as systemd does; return its file, which is removed to log out."""
    folder = root / "run/systemd/sessions"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / number
    path.write_text(f"UID={uid}\nUSER={user}\nCLASS=user\nSTATE=active\nTYPE={kind}\nTTY={terminal}\n")
    return path
