"""Telling everybody who is there: on the desktop where there is one, else on the terminal.

Decides who is told in which way, and that nobody is told the same thing twice; who is there the sessions say. A desktop
that does not answer leaves its user's terminals; people who log in later are told when they are found.
"""

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sopwith_agent.adapters.below_root import below_root
from sopwith_agent.adapters.people.desktop import INSTALL_NOW, LATER, Desktops
from sopwith_agent.adapters.people.sessions import LoginSession, login_sessions
from sopwith_agent.adapters.people.terminals import write_to_terminals
from sopwith_agent.domain import limits
from sopwith_agent.steps.announcer_port import Announcement
from sopwith_formats.units import format_duration

_USUAL = format_duration(timedelta(seconds=limits.defer_usual_seconds))
_HOW_LATER = f"To put it off, for example: sopwith-agent defer --for {_USUAL}"
_HOW_NOW = "To begin now: sopwith-agent install-now"


class SystemAnnouncer:
    """Tells the people who are logged in; used by one thread at a time."""

    def __init__(self, root: Path, *, devices: Path | None = None) -> None:
        self._root = root
        self._devices = devices or below_root(root, "/dev")
        self._desktops = Desktops(root, self._answered)
        self._told: dict[tuple[str, int], dict[LoginSession, str]] = {}
        self._lock = threading.Lock()
        self.put_off: Callable[[str], object] = lambda _key: None
        self.agree: Callable[[str], object] = lambda _key: None
        """Called with the announcement's key, in a thread of their own, when a person pressed Later or Install now."""

    def present(self) -> int:
        """Return how many sessions of people are open."""
        return len(self._sessions())

    def announce(self, announcement: Announcement) -> str:
        """Tell everybody who was not told this yet; return by which ways people were told so far."""
        with self._lock:
            for key, number in list(self._told):
                if key == announcement.key and number != announcement.number:
                    self._forget(key)
            told = self._told.setdefault((announcement.key, announcement.number), {})
            new = [session for session in self._sessions() if session not in told]
            if new:
                told.update(self._tell(new, announcement))
            return " and ".join(sorted({how for how in told.values() if how}))

    def dismiss(self, key: str) -> None:
        """Take back what is still shown."""
        with self._lock:
            self._forget(key)

    def _forget(self, key: str) -> None:
        self._told = {known: told for known, told in self._told.items() if known[0] != key}
        self._desktops.take_back(key)

    def _tell(self, sessions: list[LoginSession], announcement: Announcement) -> dict[LoginSession, str]:
        maybe_desktop = {s.uid for s in sessions if s.uid is not None and (s.graphical or not s.kind)}
        reached = self._desktops.show(sorted(maybe_desktop), announcement)
        lines = [announcement.text]
        lines += [_HOW_LATER] if announcement.may_put_off else []
        lines += [_HOW_NOW] if announcement.may_agree else []
        told: dict[LoginSession, str] = {}
        for session in sessions:
            if session.uid in reached and session.uid in maybe_desktop and session.kind != "tty":
                told[session] = "desktop"
            else:
                took = write_to_terminals(self._devices, [session.terminal], announcement.title, lines)
                told[session] = "terminal" if took else ""
        return told

    def _sessions(self) -> list[LoginSession]:
        try:
            return login_sessions(self._root) or []
        except OSError:
            return []

    def _answered(self, key: str, answer: str) -> None:
        if answer == LATER:
            self.put_off(key)
        elif answer == INSTALL_NOW:
            self.agree(key)
