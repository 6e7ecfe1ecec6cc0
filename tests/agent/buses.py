"""Real message buses for tests: dbus-daemon on a socket below a root, and servers of the test's own on it."""

import os
import queue
import select
import shutil
import subprocess
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jeepney import HeaderFields, Message, MessageType, new_error, new_method_return, new_signal
from jeepney.bus_messages import message_bus
from jeepney.fds import FileDescriptor
from jeepney.io.blocking import DBusConnection, Proxy, open_dbus_connection
from jeepney.low_level import MessageFlag
from jeepney.wrappers import DBusAddress

_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy>
</busconfig>"""


@contextmanager
def short_folder() -> Iterator[Path]:
    """Give a folder whose name is short enough for the addresses of sockets below it."""
    folder = Path(tempfile.mkdtemp(prefix="sd-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def bus_at(socket: Path) -> Iterator[str]:
    """Run a bus on a socket; give its address."""
    socket.parent.mkdir(parents=True, exist_ok=True)
    config = socket.with_name(f"{socket.name}.conf")
    config.write_text(_CONFIG.format(socket=socket))
    daemon = subprocess.Popen(
        ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--print-address"], stdout=subprocess.PIPE
    )
    try:
        assert daemon.stdout is not None
        assert daemon.stdout.readline()
        yield f"unix:path={socket}"
    finally:
        daemon.terminate()
        daemon.wait(10)
        daemon.stdout.close()


class BusServer(ABC):
    """Owns a name on a bus and answers calls in a thread of its own."""

    name = ""
    path = "/"
    interface = ""

    def __init__(self, address: str) -> None:
        self._address = address
        self.calls: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._connection = self._connect()
        self._thread = threading.Thread(target=self._serve, name=self.name, daemon=True)
        self._thread.start()

    def _connect(self) -> DBusConnection:
        connection = open_dbus_connection(self._address, enable_fds=True)
        Proxy(message_bus, connection, timeout=5).RequestName(self.name)
        return connection

    def close(self) -> None:
        """Leave the bus as a program that ends does."""
        self._connection.sock.shutdown(2)
        self._thread.join(5)
        self._connection.close()

    @abstractmethod
    def answer(self, method: str, body: Any) -> tuple[str, tuple[Any, ...]] | None:
        """Return signature and body of the reply; None for a method that there is not."""

    def called(self, method: str, seconds: float = 20) -> Any:
        """Wait for the next call of a method; return what it was called with."""
        while True:
            name, body = self.calls.get(timeout=seconds)
            if name == method:
                return body

    def emit(self, member: str, signature: str, body: tuple[Any, ...]) -> None:
        """Send a signal to whoever listens."""
        emitter = DBusAddress(self.path, interface=self.interface)
        self._connection.send(new_signal(emitter, member, signature, body))

    def _serve(self) -> None:
        try:
            while True:
                self._take(self._connection.receive())
        except (OSError, ValueError):
            return

    def _take(self, message: Message) -> None:
        if message.header.message_type is not MessageType.method_call:
            return
        method = message.header.fields[HeaderFields.member]
        reply = self.answer(method, message.body)
        if not message.header.flags & MessageFlag.no_reply_expected:
            unknown = new_error(message, "org.freedesktop.DBus.Error.UnknownMethod")
            self._connection.send(new_method_return(message, *reply) if reply else unknown)
        self.calls.put((method, message.body))  # last, so that a signal of the test follows the reply


class NotificationServer(BusServer):
    """A desktop's notification server whose buttons the test presses."""

    name = "org.freedesktop.Notifications"
    path = "/org/freedesktop/Notifications"
    interface = name

    def __init__(self, address: str) -> None:
        self.newest = 0
        super().__init__(address)

    def answer(self, method: str, body: Any) -> tuple[str, tuple[Any, ...]] | None:
        if method == "Notify":
            self.newest += 1
            return "u", (self.newest,)
        return ("", ()) if method == "CloseNotification" else None

    def shown(self) -> dict[str, Any]:
        """Wait for the next notification."""
        body = self.called("Notify")
        actions = dict(zip(body[5][::2], body[5][1::2], strict=True))
        return {"title": body[3], "text": body[4], "actions": actions, "hints": body[6], "expires": body[7]}

    def press(self, action: str) -> None:
        """Press a button of the newest notification."""
        self.emit("ActionInvoked", "us", (self.newest, action))

    def dismiss(self) -> None:
        """Close the newest notification as a person does."""
        self.emit("NotificationClosed", "uu", (self.newest, 2))


class Logind(BusServer):
    """Gives locks as files, and sees them close."""

    name = "org.freedesktop.login1"
    path = "/org/freedesktop/login1"
    interface = "org.freedesktop.login1.Manager"

    def __init__(self, address: str) -> None:
        self._given: FileDescriptor | None = None
        self.locks: dict[str, int] = {}
        """By mode the end of a pipe that tells whether the other one is still held."""
        super().__init__(address)

    def answer(self, method: str, body: Any) -> tuple[str, tuple[Any, ...]] | None:
        if method != "Inhibit":
            return None
        reader, writer = os.pipe()
        self.locks[body[3]] = reader
        self._given = FileDescriptor(writer)
        return "h", (self._given,)

    def _take(self, message: Message) -> None:
        super()._take(message)
        if self._given is not None:
            self._given.close()  # the caller has it now
            self._given = None

    def is_held(self, mode: str) -> bool:
        ready, _, _ = select.select([self.locks[mode]], [], [], 0)
        return not ready

    def until_released(self, mode: str) -> bool:
        """Wait until the lock is gone, however it went."""
        ready, _, _ = select.select([self.locks[mode]], [], [], 20)
        return bool(ready)

    def prepare_for_sleep(self, *, begins: bool) -> None:
        self.emit("PrepareForSleep", "b", (begins,))
