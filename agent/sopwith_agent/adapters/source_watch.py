"""Breaks a transfer off that passes its deadline or falls below the floor rate.

Decides when a source is too slow; a thread of its own looks, because a server that sends one byte now and then resets
every timeout of a read. What is transferred is the transport's.
"""

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class TransferLimits:
    """How patient a transfer is."""

    connect_timeout_seconds: float = 10.0
    window_seconds: float = 10.0
    """The floor rate is judged over this time; also the longest gap without a byte."""
    floor_bytes_per_second: int = 1024


class TransferWatch:
    """Cuts the socket of a transfer that passes its deadline or falls below the floor rate.

    Only time spent waiting for the server counts: a slow disk on this side is not the server's fault.
    """

    def __init__(self, limits: TransferLimits, deadline: float) -> None:
        self._limits = limits
        self._deadline = deadline
        self._socket: socket.socket | None = None
        self._stopped, self._stop = os.pipe2(os.O_CLOEXEC)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._waited = 0.0
        self._received = 0
        self._judged = 0
        self._since: float | None = None
        self.reason = ""

    def start(self, sock: socket.socket) -> None:
        """Begin to watch a socket."""
        self._socket = sock
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="source-transfer-watch", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the watch."""
        os.close(self._stop)
        if self._thread is not None:
            self._thread.join()
        os.close(self._stopped)

    def check(self) -> None:
        """Raise ConnectionError when the transfer may not go on; for the reader, which need not wait to be cut."""
        self.reason = self.reason or self._judge(time.monotonic())
        if self.reason:
            raise ConnectionError(self.reason)

    def be_patient_for(self, seconds: float) -> None:
        """Let the next read wait no longer than this."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.settimeout(seconds)

    def hold_back(self, buffer_bytes: int) -> None:
        """Make the system's buffer of what was not read yet this small."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)

    def cut(self) -> None:
        """End all reading from the socket at once; called from other threads."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # The plain socket's method: that of a TLS socket would touch state which the reader is using.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Count the time within as waited for the server."""
        with self._lock:
            self._since = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._waited += time.monotonic() - (self._since or 0.0)
                self._since = None

    def progressed(self, received: int) -> None:
        """Count bytes that came; no lock, because only the reader writes this number and each record counts."""
        self._received += received

    def _run(self) -> None:
        pause = min(0.5, self._limits.window_seconds / 5)
        # A pipe and not an event: programs that shift the clock for tests break timed waits of threads.
        stopped = select.poll()
        stopped.register(self._stopped, select.POLLIN)
        while not stopped.poll(pause * 1000):
            self.reason = self.reason or self._judge(time.monotonic())
            if self.reason:
                self.cut()
                return

    def _judge(self, now: float) -> str:
        if now > self._deadline:
            return "the transfer took longer than its deadline"
        with self._lock:
            waited = self._waited + (now - self._since if self._since is not None else 0.0)
            if waited < self._limits.window_seconds:
                return ""
            received = self._received
            slow = received - self._judged < waited * self._limits.floor_bytes_per_second
            self._waited, self._judged = 0.0, received
            if self._since is not None:
                self._since = now
        return f"the source sends less than {self._limits.floor_bytes_per_second} bytes a second" if slow else ""
