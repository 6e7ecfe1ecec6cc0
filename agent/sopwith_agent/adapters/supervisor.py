"""Watches the trial of a new agent version, as the old version, and ends as one of the two.

Decides how the new version's process is started, seen and ended; what is done next is `domain.trial`'s. This process is
what the service manager or a shell started, and stays it: it watches only while a trial is undecided, and then becomes
the version that shall run, so that an agent at rest is one process.

Rules: each start is durable before the new version starts; the new version dies with its watcher, which is started
again by the service manager and counts on; a watcher that is asked to stop ends the new version and takes its start
back; the verdict is durable before the link is switched, and the link before the new version runs by itself.
"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO

from sopwith_agent.adapters import trial_file
from sopwith_agent.adapters.processes import escape_text
from sopwith_agent.adapters.service_manager import notify
from sopwith_agent.adapters.trial_file import HOME_VARIABLE, LINK, PROGRAM, TRIED_VARIABLE
from sopwith_agent.domain import limits
from sopwith_agent.domain.errors import SettingsError
from sopwith_agent.domain.trial import Act, Seen, Trial, Verdict, next_act
from sopwith_formats.durable import durable_symlink, make_private_folder
from sopwith_formats.redaction import redacted_text

_PR_SET_PDEATHSIG = 1
_SHOWN_MAX = 300


class StoppedError(Exception):
    """The watcher was asked to stop; the trial goes on with the next start."""


class Supervisor:
    """One watcher of one trial. `arguments` are those of `run`; `alive` is called while all goes well."""

    def __init__(self, kept: Path, arguments: Sequence[str], alive: Callable[[], None] = lambda: None) -> None:
        self._kept = kept
        self._arguments = list(arguments)
        self._alive = alive
        self._process: subprocess.Popen[bytes] | None = None
        self._began = 0.0
        self._ended = ""
        self._stopped = False

    def watch(self) -> Path:
        """Return the program that shall run now, with the verdict on disk; raise StoppedError when asked to stop."""
        with self._alone(), self._signals(), self._output() as output:
            while True:
                trial = trial_file.read(self._kept)
                if trial is None:
                    raise SettingsError("The trial of a new agent is over.", remedy="start the agent again")
                self._alive()
                act, why = next_act(trial, self._seen(output))
                if act is Act.TAKE_OVER:
                    self._end()
                    return self._taken_over(trial)
                if act is Act.GO_BACK:
                    self._end()
                    return Path(trial.folder) / trial.before / PROGRAM
                if act is Act.FALL_BACK:
                    self._end()
                    trial_file.write(self._kept, self._latest(trial).judged(Verdict.FELL_BACK, why))
                elif act is Act.START:
                    self._start(trial, output)
                else:
                    self._pause(limits.trial_look_seconds, trial)

    def _seen(self, output: IO[bytes]) -> Seen:
        process = self._process
        if process is None:
            return Seen(running=False, ended=self._ended)
        elapsed = time.monotonic() - self._began
        if process.poll() is None:
            if os.fstat(output.fileno()).st_size > limits.trial_output_max_bytes:
                output.truncate(0)
            return Seen(running=True, elapsed_seconds=elapsed)
        self._process = None
        code = process.returncode
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        said = _last_line(output)
        self._ended = f"{how} after {elapsed:.1f} s" + (f", its last words: {said}" if said else "")
        return Seen(running=False, ended=self._ended)

    def _start(self, trial: Trial, output: IO[bytes]) -> None:
        if self._ended:
            self._pause(limits.trial_pause_seconds, None)
        trial_file.write(self._kept, trial.started())
        home = Path(trial.folder) / trial.after
        hidden = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}  # the service manager listens to this process
        environment = {name: text for name, text in os.environ.items() if name not in hidden}
        environment |= {HOME_VARIABLE: str(home), TRIED_VARIABLE: trial.after}
        output.truncate(0)
        self._began = time.monotonic()
        try:
            self._process = subprocess.Popen(
                [home / PROGRAM, *self._arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stderr=output,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  this process has one thread
            )
        except OSError as error:
            self._ended = f"it cannot be started: {error.strerror}"

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(limits.trial_end_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _pause(self, seconds: float, trial: Trial | None) -> None:
        deadline = time.monotonic() + seconds
        while not self._stopped and (rest := deadline - time.monotonic()) > 0:
            if self._process is None:
                time.sleep(rest)
                continue
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(rest)
                break
        if not self._stopped:
            return
        self._end()
        if trial is not None:
            trial_file.write(self._kept, self._latest(trial).interrupted())
        raise StoppedError

    def _latest(self, trial: Trial) -> Trial:
        """Return the trial as it is written: the new version may have said its word before it ended."""
        return trial_file.read(self._kept) or trial

    def _taken_over(self, trial: Trial) -> Path:
        folder = Path(trial.folder)
        link = folder / LINK
        if not link.is_symlink() or str(link.readlink()) != trial.after:
            durable_symlink(trial.after, link)
        trial_file.forget(self._kept)
        return folder / trial.after / PROGRAM

    @contextmanager
    def _alone(self) -> Iterator[None]:
        make_private_folder(trial_file.trial_path(self._kept).parent)
        path = trial_file.trial_path(self._kept).with_name("watcher.lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise SettingsError("Another agent watches the trial already.", remedy="stop it first") from error
        finally:
            os.close(descriptor)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(_number: int, _frame: FrameType | None) -> None:
            self._stopped = True

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            self._end()
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def _output(self) -> Iterator[IO[bytes]]:
        """Give the file that takes the new version's standard error; nobody else writes there, and its end is told."""
        path = trial_file.trial_path(self._kept).with_name("trial.stderr")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as output:
            yield output


def watch_and_become(kept: Path, arguments: Sequence[str]) -> int:
    """Watch a new version, and become the one that shall run; return an exit code only when asked to stop."""
    notify("READY=1")
    try:
        program = Supervisor(kept, arguments, lambda: notify("WATCHDOG=1")).watch()
    except StoppedError:
        return 0
    sys.stdout.flush()
    return os.execve(program, [str(program), *arguments], environment_for(program))  # noqa: S606


def environment_for(program: Path) -> dict[str, str]:
    """Return the environment in which a version runs by itself."""
    kept = {name: text for name, text in os.environ.items() if name != TRIED_VARIABLE}
    return {**kept, HOME_VARIABLE: str(program.parent.parent)}


def _last_line(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - 4096))
    lines = [line for line in output.read(4096).decode(errors="replace").splitlines() if line.strip()]
    return escape_text(redacted_text(lines[-1]))[-_SHOWN_MAX:] if lines else ""


def _die_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
