"""What every verb has in common: `--context`, `-o`, the connection, and the one question before a large act.

`--context` may stand before the noun or after the verb; the later one counts. A question is asked only on a terminal;
in scripts `--yes --reason TEXT` answers it, and the reason is recorded.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

from sopwith_controller.cli.output import FORMATS, tell

Function = Callable[..., Any]


@dataclass
class State:
    """What the command line said so far."""

    context: str | None = None
    output: str = "table"


class Verb(click.Command):
    """A command that takes --context and -o, and whose help ends with an example."""

    def __init__(self, *args: Any, example: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(context_option())
        self.params.append(
            click.Option(
                ["-o", "--output"],
                type=click.Choice(FORMATS),
                default="table",
                help="Form of the result.",
                show_default=True,
            )
        )
        self.epilog = f"Example: {example}" if example else self.epilog
        self.context_settings.setdefault("help_option_names", ["-h", "--help"])

    def invoke(self, ctx: click.Context) -> Any:
        """Keep --context and -o, then run the function with the rest."""
        state = ctx.obj if isinstance(ctx.obj, State) else State()
        state.context = ctx.params.pop("context", None) or state.context
        state.output = ctx.params.pop("output", "table")
        ctx.obj = state
        return super().invoke(ctx)


def context_option() -> click.Option:
    """Return the --context option."""
    return click.Option(["--context"], metavar="FILE", help="Context file to use instead of SOPWITH_CONTEXT.")


def noun(name: str, text: str) -> click.Group:
    """Return an empty group for a noun."""
    return click.Group(
        name=name, help=text, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]}
    )


def verb(group: click.Group, name: str, *, example: str) -> Callable[[Function], click.Command]:
    """Make a function a verb of a noun; its docstring's first line is the help."""
    return group.command(name, cls=Verb, example=example)


def state() -> State:
    """Return what the command line said."""
    found = click.get_current_context().obj
    return found if isinstance(found, State) else State()


@contextmanager
def connected() -> Iterator[Any]:
    """Yield the `desk.connection.Connection` of the context in force, and keep its certificate alive."""
    from sopwith_controller.desk.connection import Connection
    from sopwith_controller.desk.context import context_path, read_context
    from sopwith_controller.desk.enrolling import keep_alive, renew_if_due
    from sopwith_controller.desk.errors import DeskError

    context = read_context(context_path(state().context))
    keep_alive(context)
    with Connection(context) as connection:
        try:
            yield connection
        finally:
            if connection.evaluation:
                tell("EVALUATION: a trial, not for real use; sopwith profile convert standard ends it in place")
        try:
            renew_if_due(connection)
        except DeskError as error:
            # The verb is done; the old certificate still lives, and the next command tries again.
            tell(f"the certificate of {context.person} could not be renewed: {error.message}")


def agree(question: str, *, yes: bool) -> None:
    """Ask once on a terminal; without one the act goes on, as scripts expect, unless it needs --yes."""
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    click.confirm(question, abort=True, err=True)


def reason_asked(reason: str, question: str = "Why? It is recorded") -> str:
    """Return the reason; one that was not given is asked for on a terminal, and left empty in a script."""
    if reason.strip() or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return reason
    return str(click.prompt(question, err=True))


def reasoned(connection: Any, call: Callable[..., Any], request: Any, **options: Any) -> Any:
    """Make a call that needs a reason; the controller looks at the caller's role before it misses the reason."""
    from sopwith_controller.desk.errors import DeskError

    try:
        return connection.call(call, request, **options)
    except DeskError as error:
        if type(error) is not DeskError or request.reason.strip():
            raise
        raise click.UsageError("--reason TEXT is needed: it is recorded in the update log") from error


def key_values(texts: tuple[str, ...], option: str) -> dict[str, str]:
    """Return the dictionary of `k=v` texts; raise a usage error for anything else."""
    result: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise click.UsageError(f"{option} takes KEY=VALUE, not {text!r}")
        result[key] = value
    return result


def duration(text: str, option: str) -> float:
    """Return the seconds of a duration such as 24h; raise a usage error for anything else."""
    from sopwith_formats.errors import FormatError
    from sopwith_formats.units import parse_duration

    try:
        return parse_duration(text).total_seconds()
    except FormatError as error:
        raise click.UsageError(f"{option}: {error}") from error
