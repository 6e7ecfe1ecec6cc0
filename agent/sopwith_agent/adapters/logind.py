"""Sleep, as systemd's logind knows it: kept away while the computer is changed, and told of before it comes.

Decides which locks are taken and how the bus is spoken to; when the computer must stay awake is the worker's, what is
said before it sleeps the session's. Rules: while it is changed nobody may put it to sleep, close the lid on it or
switch it off (a lock that an administrator can still override); otherwise sleep is only delayed for the moment in which
it is announced. A lock is an open file: it goes with the process that holds it, however that ends. Where there is no
logind nothing is held, and the record says so.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from sopwith_agent.adapters.below_root import below_root
from sopwith_agent.domain import limits

if TYPE_CHECKING:
    from jeepney.io.blocking import DBusConnection

_BUS = "/run/dbus/system_bus_socket"
_NAME = "org.freedesktop.login1"
_PATH = "/org/freedesktop/login1"
_MANAGER = "org.freedesktop.login1.Manager"
_AWAKE = "sleep:shutdown:handle-lid-switch"
_NO_LOGIND = "no logind on this computer: nothing keeps it awake"
_HELD = "sleep, shutdown and lid are held"
_log = structlog.get_logger()


class SleepInhibitor:
    """Holds at most one lock; used by one thread."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock: int | None = None

    def hold(self, why: str) -> str:
        """Keep the computer awake; return what came of it."""
        if self._lock is not None:
            return _HELD
        socket = below_root(self._root, _BUS)
        if not socket.is_socket():
            return _NO_LOGIND
        try:
            with _connected(socket) as connection:
                self._lock = _inhibit(connection, _AWAKE, why, "block")
        except _failures() as error:
            _log.warning("sleep_not_inhibited", error=str(error))
            return f"logind did not take the lock: {error}"[: limits.detail_max_characters]
        return _HELD

    def release(self) -> None:
        """Let it sleep again."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


class SleepWatch:
    """Tells before the computer sleeps and after it woke, from a thread of its own."""

    def __init__(self, root: Path, going: Callable[[], object], woke: Callable[[], object]) -> None:
        """Call `going` before sleep, which it delays for at most a few seconds, and `woke` after it."""
        self._root = root
        self._going = going
        self._woke = woke
        self._ended = threading.Event()
        self._connection: DBusConnection | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        thread = threading.Thread(target=self._watch, name="sleep", daemon=True)
        thread.start()
        try:
            await asyncio.Event().wait()
        finally:
            self._ended.set()
            if self._connection is not None:
                with contextlib.suppress(OSError):
                    self._connection.sock.shutdown(2)

    def _watch(self) -> None:
        socket = below_root(self._root, _BUS)
        while not self._ended.is_set():
            if socket.is_socket():
                try:
                    self._listen(socket)
                except _failures() as error:
                    if not self._ended.is_set():
                        _log.warning("sleep_not_watched", error=str(error))
            self._ended.wait(limits.sleep_watch_retry_seconds)

    def _listen(self, socket: Path) -> None:
        from jeepney import HeaderFields, MatchRule
        from jeepney.bus_messages import message_bus
        from jeepney.io.blocking import Proxy

        lock: int | None = None
        with _connected(socket) as connection:
            self._connection = connection
            try:
                rule = MatchRule(type="signal", interface=_MANAGER, member="PrepareForSleep", path=_PATH)
                Proxy(message_bus, connection, timeout=limits.bus_call_seconds).AddMatch(rule)
                lock = _inhibit(connection, "sleep", "Tells the fleet that the computer sleeps", "delay")
                while not self._ended.is_set():
                    message = connection.receive()
                    if message.header.fields.get(HeaderFields.member) != "PrepareForSleep":
                        continue
                    if message.body[0]:
                        _log.info("going_to_sleep")
                        self._going()
                        _close(lock)
                        lock = None
                    else:
                        _log.info("woke_up")
                        self._woke()
                        _close(lock)
                        lock = _inhibit(connection, "sleep", "Tells the fleet that the computer sleeps", "delay")
            finally:
                self._connection = None
                _close(lock)


def _connected(socket: Path) -> "DBusConnection":
    from jeepney.io.blocking import open_dbus_connection

    return open_dbus_connection(f"unix:path={socket}", enable_fds=True)


def _inhibit(connection: "DBusConnection", what: str, why: str, mode: str) -> int:
    from jeepney import DBusAddress, new_method_call
    from jeepney.wrappers import unwrap_msg

    address = DBusAddress(_PATH, bus_name=_NAME, interface=_MANAGER)
    call = new_method_call(address, "Inhibit", "ssss", (what, "Sopwith", why, mode))
    answer: tuple[Any, ...] = unwrap_msg(connection.send_and_get_reply(call, timeout=limits.bus_call_seconds))
    descriptor: int = answer[0].to_raw_fd()
    return descriptor


def _failures() -> tuple[type[Exception], ...]:
    """Return what speaking to a bus may raise."""
    from jeepney import DBusErrorResponse

    return (OSError, TimeoutError, ValueError, IndexError, RuntimeError, DBusErrorResponse)


def _close(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)
