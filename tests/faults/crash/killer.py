"""Kills one process (SIGKILL) just before one of its calls to the kernel; knows by strace which calls there are.

Decides which calls matter: those that change what lies on a disk, bring it there, start a program, or ask the network.
What is done, and what has to hold afterwards, is the steps'. The process is a fork of this one, so that a point costs
no start of Python; strace is attached to its one working thread before it begins. An act may say what it has promised
to the outside (`Promise`): that travels through a pipe and so outlives the process and the disk.
"""

import contextlib
import ctypes
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

CALLS = (
    *("write", "pwrite64", "fsync", "fdatasync", "ftruncate", "sendfile", "copy_file_range", "open", "openat"),
    *("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "symlink", "symlinkat"),
    *("mkdir", "mkdirat", "rmdir", "chmod", "fchmod", "fchmodat", "utimensat", "vfork", "sendto"),
)
LIFE_SECONDS = 120
_FAILED = 70
_SET_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)
_LINE = re.compile(r"(\w+)\((.*)")

Promise = Callable[[str], None]
Act = Callable[[Promise], None]


class HarnessError(Exception):
    """The harness itself could not do its work, or an act failed by itself."""


@dataclass(frozen=True)
class Point:
    """The `number`-th call of its name, counted from 1; `text` is what it looked like."""

    call: str
    number: int
    text: str = ""

    def __str__(self) -> str:
        return f"{self.call}#{self.number} {self.text}"


@dataclass(frozen=True)
class Run:
    """What became of one run: whether it was killed, what it promised before, and its calls where they were wanted."""

    killed: bool
    promises: tuple[str, ...]
    points: tuple[Point, ...] = ()


def can_trace() -> str:
    """Return why no process can be traced here, empty text where one can."""
    if shutil.which("strace") is None:
        return "the program strace is not installed; `make system-tools` installs it"
    try:
        points_of(lambda _promise: None)
    except HarnessError as error:
        return f"this system lets nobody trace a process: {error}"
    return ""


def points_of(act: Act) -> tuple[Point, ...]:
    """Run an act unharmed and return its calls that matter, in their order."""
    return run(act, listing=True).points


def run(act: Act, point: Point | None = None, *, listing: bool = False) -> Run:
    """Run an act in a process of its own, killed before a point where one is given."""
    with tempfile.TemporaryDirectory(prefix="crash-") as folder:
        return _run(act, point, Path(folder), listing=listing)


def _run(act: Act, point: Point | None, folder: Path, *, listing: bool) -> Run:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        _live(act, write_end, folder / "error")
    os.close(write_end)
    try:
        if point is not None or listing:
            with _traced(child, point, folder / "calls"):
                status = _end_of(child)
        else:
            os.waitpid(child, os.WUNTRACED)
            os.kill(child, signal.SIGCONT)
            status = _end_of(child)
        promises = tuple(os.fdopen(read_end, closefd=False).read().splitlines())
    finally:
        os.close(read_end)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL and point is not None:
        return Run(killed=True, promises=promises)
    if os.waitstatus_to_exitcode(status) != 0:
        raise HarnessError((folder / "error").read_text() if (folder / "error").exists() else f"status {status}")
    return Run(False, promises, tuple(_read_calls(folder / "calls")) if listing else ())


def _live(act: Act, write_end: int, error_file: Path) -> None:
    """Be the process: wait for the tracer, act, and end without anything of the test runner."""
    status = _FAILED
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  until the end
        ctypes.CDLL(None).prctl(_SET_PTRACER, _ANYBODY, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        act(partial(_tell, write_end))
        status = 0
    except BaseException:  # noqa: BLE001  told by the parent, which the fork must not become
        error_file.write_text(traceback.format_exc())
    finally:
        os._exit(status)


def _tell(write_end: int, text: str) -> None:
    os.write(write_end, f"{text}\n".encode())


@contextlib.contextmanager
def _traced(child: int, point: Point | None, calls: Path) -> Iterator[None]:
    os.waitpid(child, os.WUNTRACED)
    command = ["strace", "-p", str(child), "-o", str(calls), "-s", "24", "-a", "1"]
    if point is None:
        command += ["-e", "trace=" + ",".join(f"?{name}" for name in CALLS)]
    else:
        command += ["-e", f"trace={point.call}", "-e", f"inject={point.call}:signal=KILL:when={point.number}"]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    assert tracer.stderr is not None
    try:
        said = tracer.stderr.readline()
        if "attached" not in said:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise HarnessError(f"strace: {said.strip()}")
        os.kill(child, signal.SIGCONT)
        yield
    finally:
        tracer.stderr.close()
        tracer.wait(LIFE_SECONDS)


def _end_of(child: int) -> int:
    """Wait for the process, and end with it what it started: the plug is pulled for all."""
    descriptor = os.pidfd_open(child)
    try:
        ended = select.poll()
        ended.register(descriptor, select.POLLIN)
        if not ended.poll(LIFE_SECONDS * 1000):
            os.kill(child, signal.SIGKILL)
            raise HarnessError(f"the process did not end within {LIFE_SECONDS} s")
    finally:
        os.close(descriptor)
    _, status = os.waitpid(child, 0)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return status


def _read_calls(file: Path) -> Iterator[Point]:
    """Return the calls that change something; reading opens and writes to standard streams are only counted."""
    counted: Counter[str] = Counter()
    for line in file.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        name, rest = match.groups()
        counted[name] += 1
        opens = name in ("open", "openat")
        if opens and not re.search(r"O_(WRONLY|RDWR|CREAT)", rest):
            continue
        if rest.startswith(("1,", "2,")) or "/dev/null" in rest or " = -1 " in rest:
            continue  # what failed has changed nothing
        yield Point(name, counted[name], rest[:110])
