"""Running a program for the agent: argument list, clean environment, a time limit, its output kept and made harmless.

Decides how a program is started, ended and heard; what its exit code means is the caller's. Rules: no shell; a session
of its own, so that everything it started ends with it when time is up; no standard input; output goes to a file, so
that a package tool does not die of a closed pipe when the agent does; at most `output_max` bytes of its end are kept,
control characters escaped, so that one message is one line in every log.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sopwith_agent.domain.errors import StepError
from sopwith_formats.vocabulary import Symptom

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OUTPUT_MAX = 8 * 2**10
_LINE_MAX = 1500
_RUNAWAY_OUTPUT_MAX = 64 * 2**20
_POLL_SECONDS = 0.2
_END_GRACE_SECONDS = 3


@dataclass(frozen=True)
class Finished:
    """How a program ended."""

    exit_code: int
    """Negative: ended by that signal."""
    output: str
    """The end of what it wrote to standard output and standard error, escaped unless asked for raw."""
    timed_out: bool

    @property
    def ok(self) -> bool:
        """Tell whether it ended by itself with 0."""
        return self.exit_code == 0 and not self.timed_out

    @property
    def line(self) -> str:
        """Return the end of the output as one harmless line for messages."""
        return escape_text(self.output)[-_LINE_MAX:]


def run_program(
    arguments: Sequence[str | Path],
    *,
    timeout_seconds: float,
    environment: Mapping[str, str] | None = None,
    folder: Path = Path("/"),
    output_max: int = OUTPUT_MAX,
    end_children: bool = False,
    raw_output: bool = False,
) -> Finished:
    """Run a program to its end or its time limit; raise StepError when it cannot be started.

    `end_children` also ends what it left running, for checks that may start nothing that stays. `raw_output` keeps line
    ends and tabs for tools whose answer is read; it must not reach a log.
    """
    with tempfile.TemporaryFile() as output:
        process = _start([str(argument) for argument in arguments], environment, folder, output)
        timed_out = not _wait(process, time.monotonic() + timeout_seconds, output)
        if timed_out:
            _end_group(process)
        elif end_children:
            _signal_group(process, signal.SIGKILL)
        text = _read_end(output, output_max)
        return Finished(process.returncode, text if raw_output else escape_text(text), timed_out)


def escape_text(text: str) -> str:
    """Return one harmless line: line ends become spaces that separate, other control characters are written out."""
    joined = " | ".join(line.strip() for line in text.splitlines() if line.strip())
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in joined)


def _start(
    arguments: list[str], environment: Mapping[str, str] | None, folder: Path, output: IO[bytes]
) -> subprocess.Popen[bytes]:
    clean = {"PATH": PATH, "LANG": "C.UTF-8", **(environment or {})}
    try:
        return subprocess.Popen(
            arguments,
            cwd=folder,
            env=clean,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o022,
        )
    except PermissionError as error:
        raise StepError(Symptom.PERMISSION_DENIED, f"{arguments[0]} may not be started: {error.strerror}") from error
    except (OSError, ValueError) as error:
        raise StepError(Symptom.UNKNOWN, f"{arguments[0]} cannot be started: {error}") from error


def _wait(process: subprocess.Popen[bytes], deadline: float, output: IO[bytes]) -> bool:
    while True:
        rest = deadline - time.monotonic()
        if rest <= 0 or os.fstat(output.fileno()).st_size > _RUNAWAY_OUTPUT_MAX:
            return process.poll() is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(min(rest, _POLL_SECONDS))
            return True


def _end_group(process: subprocess.Popen[bytes]) -> None:
    _signal_group(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_GRACE_SECONDS)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _read_end(output: IO[bytes], output_max: int) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - output_max))
    text = output.read(output_max).decode(errors="replace")
    return f"... {text}" if size > output_max else text
