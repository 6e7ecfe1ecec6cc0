"""The state folder: one agent at a time, and what `sopwith-agent status` reads without asking anybody.

Decides who may run (a lock that dies with its holder) and what the status says; the numbers come from the running
agent's own parts. The status is for people and scripts, and nothing in the agent reads it back.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sopwith_agent.domain.errors import SettingsError
from sopwith_agent.domain.record import Record
from sopwith_formats import canonical_json
from sopwith_formats.durable import durable_replace, make_private_folder, sweep_tree
from sopwith_formats.errors import FormatError
from sopwith_formats.units import format_time

_STATUS_FILE = "status.json"
_LOCK_FILE = "lock"


@contextmanager
def held(state: Path) -> Iterator[None]:
    """Hold the folder for this process; raise SettingsError when another agent runs on it."""
    try:
        make_private_folder(state)
        descriptor = os.open(state / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SettingsError(
            f"The state folder {state} cannot be used: {error.strerror}.", remedy="check its rights and its disk"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise SettingsError(
            f"An agent runs with {state} already.", remedy="stop it first, or use another --state"
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


def clear_leftovers(state: Path) -> None:
    """Remove the unfinished files that killed agents and power cuts left anywhere in the folder; only while held."""
    sweep_tree(state)


def running(state: Path) -> bool:
    """Tell whether an agent runs with this state folder."""
    try:
        descriptor = os.open(state / _LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def read_status(state: Path) -> dict[str, Any]:
    """Return what the agent last wrote, empty when it never ran."""
    try:
        document = canonical_json.decode((state / _STATUS_FILE).read_bytes())
    except (OSError, FormatError):
        return {}
    return document if isinstance(document, dict) else {}


class FileBoard:
    """Writes the status of a running agent."""

    def __init__(self, state: Path, now: Callable[[], datetime], known: Callable[[], dict[str, Any]]) -> None:
        """`known` gives what does not come from the session: identity, SOP, installed releases, checkpoint."""
        self._path = state / _STATUS_FILE
        self._now = now
        self._known = known
        self._since = now()
        self._connected: bool | None = None
        self._written = b""
        self.connection_error = ""

    def publish(self, *, connected: bool, address: str, unfinished: Sequence[Record]) -> None:
        """Write what is so now; an unchanged status is not written again."""
        if connected != self._connected:
            self._connected, self._since = connected, self._now()
        document = {
            **self._known(),
            "connected": connected,
            "connection": {
                "state": "CONNECTED" if connected else "DISCONNECTED",
                "address": address,
                "since_time": format_time(self._since),
                "error": "" if connected else self.connection_error,
            },
            "assignment": _assignment(unfinished[0]) if unfinished else None,
            "waiting_assignments": max(0, len(unfinished) - 1),
        }
        data = canonical_json.encode(document)
        if data != self._written:
            durable_replace(self._path, data, 0o600)
            self._written = data


def _assignment(record: Record) -> dict[str, Any]:
    warrant = record.warrant
    return {
        "id": warrant.assignment_id,
        "rollout": warrant.rollout_id,
        "release": f"{warrant.release}@{warrant.version}",
        "state": record.state.value,
        "symptom": record.symptom,
        "detail": record.detail,
        "attempts": record.attempts,
        "entered_time": format_time(record.entered_time),
    }
