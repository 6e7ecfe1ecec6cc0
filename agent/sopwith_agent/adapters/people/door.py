"""The door for people at the computer: a local socket on which `sopwith-agent defer`, `feedback` and others ask.

Decides who may ask what, by the identity that the kernel vouches for; what is granted is the desk's. Rules:

- Anybody who has an account on the computer may see the public status and give feedback, so much a minute.
- Whoever is logged in, root, and the agent's own user may put off and agree; others have nobody's work to protect.
- One request in one line, one answer in one line, both short; a caller who dawdles is hung up on, and at most a few are
  served at a time. What a caller says is data; nothing is run, opened or looked up for them.

The socket lies in a run folder that everybody may enter (`run_folder`), because the state folder is the agent's own.
"""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from sopwith_agent.domain import limits
from sopwith_agent.domain.errors import NotDeferrableError

SOCKET_FILE = "people.sock"
_CREDENTIALS = struct.Struct("3i")
_log = structlog.get_logger()


@dataclass(frozen=True)
class Counter:
    """What stands behind the door."""

    put_off: Callable[[int | None], dict[str, Any]]
    agree: Callable[[], dict[str, Any]]
    feedback: Callable[[str], object]
    status: Callable[[], dict[str, Any]]
    logged_in: Callable[[], set[int]]
    """User ids of the open sessions."""


class _RefusedError(Exception):
    """The caller may not; the text says why."""


class Door:
    """Serves one request per connection."""

    def __init__(self, folder: Path, counter: Counter, monotonic: Callable[[], float]) -> None:
        self._folder = folder
        self._counter = counter
        self._monotonic = monotonic
        self._given: deque[float] = deque(maxlen=limits.feedback_per_hour_max)
        self._guests = asyncio.Semaphore(limits.door_guests_max)
        self.opened = asyncio.Event()
        """Set once callers are served."""

    async def run(self) -> None:
        """Serve until cancelled; a folder that cannot be used costs the door, never the agent."""
        try:
            listener = await asyncio.to_thread(_listen, self._folder)
        except OSError as error:
            _log.warning("door_not_opened", folder=str(self._folder), error=str(error))
            await asyncio.Event().wait()
            return
        server = await asyncio.start_unix_server(self._serve, sock=listener, limit=limits.door_request_max_bytes)
        async with server:
            self.opened.set()
            await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._guests.locked():
                answer = _no("failed", "Too many ask at once; try again in a moment.")
            else:
                async with self._guests, asyncio.timeout(limits.door_timeout_seconds):
                    answer = await self._answer(reader, _caller(writer))
            writer.write(json.dumps(answer).encode() + b"\n")
            async with asyncio.timeout(limits.door_timeout_seconds):
                await writer.drain()
        except (OSError, TimeoutError, ValueError):
            _log.debug("door_hung_up")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, uid: int) -> dict[str, Any]:
        try:
            request = json.loads(await reader.readline())
            kind = request["ask"]
            return {"result": "done", "answer": await asyncio.to_thread(self._do, kind, request, uid)}
        except NotDeferrableError as error:
            return _no("refused" if error.refused else "failed", error.message, error.remedy)
        except _RefusedError as error:
            return _no("refused", str(error))
        except OSError as error:
            return _no("failed", f"It could not be kept: {error.strerror}.", "look at the disk of this computer")
        except (KeyError, TypeError, ValueError):
            return _no("failed", "The request cannot be read.", "use the sopwith-agent of the same version")

    def _do(self, kind: str, request: dict[str, Any], uid: int) -> dict[str, Any]:
        if kind == "status":
            return self._counter.status()
        if kind == "feedback":
            return self._take_feedback(str(request["text"]))
        if kind in {"defer", "install-now"}:
            self._check(uid)
            if kind == "install-now":
                return self._counter.agree()
            seconds = request.get("seconds")
            return self._counter.put_off(None if seconds is None else _bounded(seconds))
        raise ValueError(kind)

    def _check(self, uid: int) -> None:
        if uid in {0, os.geteuid()} or uid in self._counter.logged_in():
            return
        raise _RefusedError("Only who is logged in on this computer may decide when it is updated.")

    def _take_feedback(self, text: str) -> dict[str, Any]:
        said = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        if not said or len(said) > limits.feedback_max_characters:
            raise ValueError(text)
        now = self._monotonic()
        if len(self._given) == self._given.maxlen and now - self._given[0] < limits.feedback_window_seconds:
            raise _RefusedError("So much was said within the last hour that the rest has to wait.")
        self._counter.feedback(said)
        self._given.append(now)
        return {"text": said}


def run_folder(state: Path) -> Path:
    """Return the folder of the socket: the system's for the system's agent, else one below the state folder."""
    return Path("/run/sopwith-agent") if state == Path("/var/lib/sopwith-agent") else state / "run"


def ask(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Ask the running agent; raise OSError where none answers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection, _short(folder) as near:
        connection.settimeout(limits.door_answer_seconds)
        connection.connect(f"{near}/{SOCKET_FILE}")
        connection.sendall(json.dumps(request).encode() + b"\n")
        data = bytearray()
        while piece := connection.recv(2**16):
            data += piece
    answer = json.loads(data or b"{}")
    if not isinstance(answer, dict) or "result" not in answer:
        raise ConnectionError("the agent hung up")
    return answer


def _listen(folder: Path) -> socket.socket:
    """Make folder and socket anew, open to everybody; only the agent can put something in its place."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    folder.chmod(0o755)
    path = folder / SOCKET_FILE
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(folder) as near:
            listener.bind(f"{near}/{SOCKET_FILE}")
        path.chmod(0o666)
        listener.setblocking(False)  # noqa: FBT003  the standard library's own word
    except OSError:
        listener.close()
        raise
    return listener


@contextlib.contextmanager
def _short(folder: Path) -> Any:
    """Give a short name of a folder: addresses of sockets hold about a hundred characters."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _caller(writer: asyncio.StreamWriter) -> int:
    connection = writer.get_extra_info("socket")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, _gid = _CREDENTIALS.unpack(credentials)
    return int(uid)


def _bounded(seconds: Any) -> int:
    if type(seconds) is not int or not 0 < seconds <= limits.defer_max_seconds:
        raise ValueError(seconds)
    return seconds


def _no(result: str, message: str, remedy: str = "") -> dict[str, Any]:
    return {"result": result, "message": message, "remedy": remedy}
