"""Desktop notifications, one program per session's user; what they answer comes back by a callback.

Decides where a user's session bus is (below the agent's root) and as whom the program runs that talks to it
(`desktop_program`); what an answer means is the desk's. Rules: a user whose bus does not answer within a few seconds
has no desktop; a program that is not needed any more ends with its input, also when the agent dies.
"""

import contextlib
import json
import os
import pwd
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import structlog

from sopwith_agent.adapters.below_root import below_root
from sopwith_agent.adapters.processes import PATH
from sopwith_agent.steps.announcer_port import Announcement

INSTALL_NOW, LATER = "install-now", "later"
_PROGRAM = "sopwith_agent.adapters.people.desktop_program"
_SHOWN_SECONDS = 8
_END_SECONDS = 3
_LINE_MAX = 64
_log = structlog.get_logger()


class _Shown:
    """One notification on one desktop."""

    def __init__(self, uid: int, process: subprocess.Popen[bytes]) -> None:
        self.uid = uid
        self.process = process

    def end(self) -> None:
        """Take it back."""
        with contextlib.suppress(OSError):
            if self.process.stdin:
                self.process.stdin.close()


class Desktops:
    """Shows notifications to session users; used by one thread, answers come from others."""

    def __init__(self, root: Path, answered: Callable[[str, str], None]) -> None:
        """`answered` is called with the announcement's key and install-now or later."""
        self._root = root
        self._answered = answered
        self._shown: dict[str, list[_Shown]] = {}

    def show(self, uids: Iterable[int], announcement: Announcement) -> set[int]:
        """Show it on the users' desktops; return whose desktop took it."""
        started = {uid: process for uid in uids if (process := self._start(uid, announcement))}
        taken = {uid for uid, process in started.items() if _is_shown(process)}
        for uid, process in started.items():
            if uid in taken:
                shown = _Shown(uid, process)
                self._shown.setdefault(announcement.key, []).append(shown)
                listen = threading.Thread(
                    target=self._listen, args=(announcement.key, shown), name="desktop", daemon=True
                )
                listen.start()
            else:
                _end(process)
                _close_output(process)
        return taken

    def take_back(self, key: str) -> None:
        """Take back what is shown under a key."""
        for shown in self._shown.pop(key, []):
            shown.end()
            threading.Thread(target=_end, args=(shown.process,), name="desktop-end", daemon=True).start()

    def _start(self, uid: int, announcement: Announcement) -> subprocess.Popen[bytes] | None:
        bus = below_root(self._root, f"/run/user/{uid}/bus")
        if not bus.is_socket() or bus.stat().st_uid != uid:
            return None
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-m", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={"PATH": PATH, "LANG": "C.UTF-8", "XDG_RUNTIME_DIR": str(bus.parent)},
                start_new_session=True,
                **_as_user(uid),
            )
            wanted = {
                "bus": f"unix:path={bus}",
                "title": announcement.title,
                "text": announcement.text,
                "urgent": not announcement.may_put_off,
                "actions": _actions(announcement),
            }
            if process.stdin:
                process.stdin.write(json.dumps(wanted).encode() + b"\n")
                process.stdin.flush()
        except (OSError, KeyError, subprocess.SubprocessError) as error:
            _log.warning("desktop_not_reached", error=str(error))
            return None
        return process

    def _listen(self, key: str, shown: _Shown) -> None:
        line = _read_line(shown.process)
        _end(shown.process)
        _close_output(shown.process)
        word, _, answer = line.partition(" ")
        if word == "answer" and answer in {INSTALL_NOW, LATER}:
            self._answered(key, answer)


def _actions(announcement: Announcement) -> list[Sequence[str]]:
    actions = [(INSTALL_NOW, announcement.agree_label)] if announcement.may_agree else []
    return [*actions, (LATER, "Later")] if announcement.may_put_off else [*actions]


def _as_user(uid: int) -> dict[str, Any]:
    if os.geteuid() == uid:
        return {}
    person = pwd.getpwuid(uid)
    return {"user": uid, "group": person.pw_gid, "extra_groups": []}


def _is_shown(process: subprocess.Popen[bytes]) -> bool:
    if process.stdout is None:
        return False
    ready, _, _ = select.select([process.stdout], [], [], _SHOWN_SECONDS)
    return bool(ready) and _read_line(process) == "shown"


def _read_line(process: subprocess.Popen[bytes]) -> str:
    if process.stdout is None:
        return ""
    return process.stdout.readline(_LINE_MAX).decode(errors="replace").strip()


def _close_output(process: subprocess.Popen[bytes]) -> None:
    """Close what was read from; by whoever reads, and by nobody else."""
    if process.stdout is not None:
        process.stdout.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program in its own time, else at once."""
    with contextlib.suppress(OSError):
        if process.stdin:
            process.stdin.close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
