"""One place turns what went wrong into an exit code and words.

0 done; 1 failed; 2 usage; 3 cancelled or timed out; 4 refused by identity, role or SOP gate; 5 the rollout ended with
failures or needs a person; 6 controller unreachable. Nothing else in the command line chooses an exit code, except a
command that ends with `click.exceptions.Exit(5)` or `Exit(3)` by its own result.
"""

import errno
import os
import sys
from collections.abc import Callable
from typing import TextIO

import click

from sopwith_controller.cli.output import escape
from sopwith_controller.desk.errors import DeskError, RefusedError, TimedOutError, UnreachableError
from sopwith_formats.errors import FormatError

LINE_LENGTH_MAX = 1000
"""A line that is longer quotes somebody's mistake at full length; nobody reads it."""
MENDS = {
    errno.ENOENT: "check the path",
    errno.EISDIR: "name a file, not a folder",
    errno.ENOTDIR: "check the path: a part of it is a file",
    errno.EACCES: "check who may read and write there",
    errno.EPERM: "check who may read and write there",
    errno.ENOSPC: "make room on that disk",
    errno.EROFS: "name a place that can be written",
}
DONE, FAILED, USAGE, CANCELLED, REFUSED, NEEDS_PERSON, UNREACHABLE = range(7)


def run(command: Callable[[], object]) -> int:
    """Run a command, print what went wrong, return the exit code."""
    if sys.stdout is None or sys.stderr is None:
        _replace_closed_streams()
    try:
        code = command()
        sys.stdout.flush()
    except SystemExit:
        # Click ends so, and only so, when the reader of a pipe left early, as head does; that is its right.
        return DONE
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("cancelled")
        return CANCELLED
    except Exception as error:  # noqa: BLE001  nobody is shown a traceback
        return _explain(error)
    # Click hands the code of an Exit back as the result.
    return code if isinstance(code, int) else DONE


def _explain(error: Exception) -> int:
    """Print what a failed command means, and return its exit code."""
    if isinstance(error, BrokenPipeError):
        # The reader of a pipe left early, as head does; that is its right. What is left unsaid goes nowhere.
        _discard_output()
        return DONE
    if isinstance(error, click.ClickException):
        error.show()
        return USAGE if isinstance(error, click.UsageError) else FAILED
    if isinstance(error, RefusedError):
        _refused(error)
    elif isinstance(error, DeskError):
        _say(error.message, error.remedy)
    elif isinstance(error, OSError):
        _say(f"{error.filename or 'the system'}: {error.strerror or error}", MENDS.get(error.errno or 0, ""))
        if error.filename is None:
            _discard_output()  # most often it is the output that could not be written
    elif isinstance(error, FormatError):
        _say(str(error))
    else:
        _say(f"an unexpected {type(error).__name__}: {error}", "this is a mistake in Sopwith; report it")
    codes = {RefusedError: REFUSED, UnreachableError: UNREACHABLE, TimedOutError: CANCELLED}
    return next((code for kind, code in codes.items() if isinstance(error, kind)), FAILED)


def _replace_closed_streams() -> None:
    """Let a caller close what it does not want to read."""
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()


def _discard_output() -> None:
    """Let nothing complain at the end that the output could not be written."""
    sys.stdout = _nowhere()


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  open until the process ends


def _say(message: str, remedy: str = "") -> None:
    for line in message.splitlines() or [""]:
        print(f"sopwith: {escape(_shortened(line))}", file=sys.stderr)
    if remedy:
        print(f"  to mend it: {escape(remedy)}", file=sys.stderr)


def _shortened(line: str) -> str:
    """Return both ends of a long line: the place stands at its beginning, the mend at its end."""
    if len(line) <= LINE_LENGTH_MAX:
        return line
    half = LINE_LENGTH_MAX // 2
    return f"{line[:half]}... {len(line)} characters ...{line[-half:]}"


def _refused(error: RefusedError) -> None:
    refusal = error.refusal
    clause = f" (SOP clause {escape(refusal.clause)})" if refusal.clause else ""
    print(f"sopwith: refused by {escape(refusal.gate)}{clause}: {escape(refusal.reason)}", file=sys.stderr)
    if refusal.remedy:
        print(f"  to mend it: {escape(refusal.remedy)}", file=sys.stderr)
    if refusal.deviation:
        print(f"  a deviation may be granted by: {escape(refusal.deviation)}", file=sys.stderr)
