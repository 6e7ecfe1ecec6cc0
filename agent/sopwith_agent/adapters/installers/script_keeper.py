"""Stands between the agent and a release's script: sets its limits, keeps its time, writes down how it ended.

It is run as a program of its own and decides nothing but when time is up. Rules: the script
runs in a session of its own, and whatever it started there ends with it; only the last `_OUTPUT_MAX` bytes
of its output are kept; `<act>.ended` is written whole or not at all, and only once the script has ended.

    python -I -m sopwith_agent.adapters.installers.script_keeper FOLDER ACT SECONDS MEMORY_BYTES PROGRAM [ARGUMENT]...
"""

import contextlib
import os
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from sopwith_formats import canonical_json
from sopwith_formats.durable import durable_write

_OUTPUT_MAX = 2**16
_CANNOT_START = 126
_OPEN_FILES_MAX = 1024
_FILE_BYTES_MAX = 8 * 2**30
_GRACE_SECONDS = 3
_POLL_SECONDS = 0.05


def main(arguments: list[str]) -> int:
    """Keep one run; return 0 when it was kept to its end, however it ended."""
    folder, act, seconds, memory_bytes, *command = arguments
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _limit(int(memory_bytes), int(seconds))
    exit_code, timed_out, output = _run(command, time.monotonic() + int(seconds))
    durable_write(Path(folder) / f"{act}.output", output, 0o600)
    document = {"exit_code": exit_code, "timed_out": timed_out}
    durable_write(Path(folder) / f"{act}.ended", canonical_json.encode(document), 0o600)
    return 0


def _limit(memory_bytes: int, cpu_seconds: int) -> None:
    """Limit this process, and so everything that it starts; a limit that is lower already stays."""
    for what, wanted in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_NOFILE, _OPEN_FILES_MAX),
        (resource.RLIMIT_FSIZE, _FILE_BYTES_MAX),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, cpu_seconds + 1),
    ):
        hard = resource.getrlimit(what)[1]
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(what, (limit, limit))


def _run(command: list[str], deadline: float) -> tuple[int, bool, bytes]:
    """Return exit code, whether time was up, and the end of the output."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
    except OSError as error:
        return _CANNOT_START, False, f"cannot be started: {error}".encode()
    pipe = process.stdout.fileno() if process.stdout else -1
    os.set_blocking(pipe, False)
    output = b""
    term_at = deadline
    while process.poll() is None:
        output = (output + _read(pipe, _POLL_SECONDS))[-_OUTPUT_MAX:]
        now = time.monotonic()
        if now > term_at:
            _signal(process.pid, signal.SIGTERM)
            term_at = float("inf")
        if now > deadline + _GRACE_SECONDS:
            break
    _signal(process.pid, signal.SIGKILL)
    exit_code = process.wait()
    while piece := _read(pipe, 0):
        output = (output + piece)[-_OUTPUT_MAX:]
    return exit_code, term_at != deadline, output


def _read(pipe: int, seconds: float) -> bytes:
    if not select.select([pipe], [], [], seconds)[0]:
        return b""
    with contextlib.suppress(BlockingIOError):
        piece = os.read(pipe, _OUTPUT_MAX)
        if not piece and seconds:
            time.sleep(seconds)  # the script closed its output and goes on
        return piece
    return b""


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
