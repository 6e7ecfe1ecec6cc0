"""One place turns what went wrong into an exit code and words.

0 done; 1 failed; 2 usage; 3 cancelled or timed out; 4 refused by identity, role or SOP gate; 5 the rollout ended with
failures or needs a person; 6 controller unreachable. Nothing else in the command line chooses an exit code, except a
command that ends with `click.exceptions.Exit(5)` or `Exit(3)` by its own result.
"""

import sys
from collections.abc import Callable

import click

from sopwith_controller.cli.output import escape
from sopwith_controller.desk.errors import DeskError, RefusedError, TimedOutError, UnreachableError
from sopwith_formats.errors import FormatError

DONE, FAILED, USAGE, CANCELLED, REFUSED, NEEDS_PERSON, UNREACHABLE = range(7)


def run(command: Callable[[], object]) -> int:
    """Run a command, print what went wrong, return the exit code."""
    try:
        code = command()
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("cancelled")
        return CANCELLED
    except (click.ClickException, DeskError, FormatError, OSError) as error:
        return _explain(error)
    # Click hands the code of an Exit back as the result.
    return code if isinstance(code, int) else DONE


def _explain(error: Exception) -> int:
    """Print what a failed command means, and return its exit code."""
    if isinstance(error, BrokenPipeError):
        # The reader of a pipe left early, as head does; that is its right.
        sys.stderr.close()
        return DONE
    if isinstance(error, click.ClickException):
        error.show()
        return USAGE if isinstance(error, click.UsageError) else FAILED
    if isinstance(error, RefusedError):
        _refused(error)
    elif isinstance(error, DeskError):
        _say(error.message, error.remedy)
    elif isinstance(error, OSError):
        _say(f"{error.filename or 'the system'}: {error.strerror or error}")
    else:
        _say(str(error))
    codes = {RefusedError: REFUSED, UnreachableError: UNREACHABLE, TimedOutError: CANCELLED}
    return next((code for kind, code in codes.items() if isinstance(error, kind)), FAILED)


def _say(message: str, remedy: str = "") -> None:
    for line in message.splitlines() or [""]:
        print(f"sopwith: {escape(line)}", file=sys.stderr)
    if remedy:
        print(f"  to mend it: {escape(remedy)}", file=sys.stderr)


def _refused(error: RefusedError) -> None:
    refusal = error.refusal
    clause = f" (SOP clause {escape(refusal.clause)})" if refusal.clause else ""
    print(f"sopwith: refused by {escape(refusal.gate)}{clause}: {escape(refusal.reason)}", file=sys.stderr)
    if refusal.remedy:
        print(f"  to mend it: {escape(refusal.remedy)}", file=sys.stderr)
    if refusal.deviation:
        print(f"  a deviation may be granted by: {escape(refusal.deviation)}", file=sys.stderr)
