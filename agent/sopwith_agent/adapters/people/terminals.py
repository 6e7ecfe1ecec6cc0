"""Telling people on their terminals, as `wall` does: one framed message on each, or nothing.

Decides how a line looks there and that no terminal can hold the agent up. Rules: only terminals are written to, never a
file or a pipe that somebody put in their place; a terminal that does not take the text at once is left alone.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from sopwith_agent.adapters.processes import escape_text

_WIDTH = 79


def write_to_terminals(devices: Path, terminals: Iterable[str], title: str, lines: Iterable[str]) -> int:
    """Write to every terminal below the folder of devices; return how many took it."""
    text = _framed(title, lines).encode(errors="replace")
    return sum(_write(devices / name, text) for name in dict.fromkeys(terminals) if _is_plain(name))


def _framed(title: str, lines: Iterable[str]) -> str:
    body = [escape_text(line) for line in (f"{title} (Sopwith)", *lines) if line]
    rows = ["", "-" * _WIDTH, *body, "-" * _WIDTH, ""]
    return "\r\n".join(rows) + "\r\n"


def _is_plain(name: str) -> bool:
    return bool(name) and not name.startswith("/") and ".." not in name.split("/")


def _write(path: Path, text: bytes) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if not stat.S_ISCHR(os.fstat(descriptor).st_mode) or not os.isatty(descriptor):
            return False
        return os.write(descriptor, text) == len(text)
    except OSError:
        return False
    finally:
        os.close(descriptor)
