"""Builds the tree of nouns and verbs; each noun's module is imported when the noun is named."""

from importlib import import_module
from importlib.util import find_spec

import click

from sopwith_controller.cli.verbs import State, context_option
from sopwith_formats.version import VERSION


class Nouns(click.Group):
    """A group that knows its nouns by name and loads one at a time."""

    def __init__(self, nouns: dict[str, tuple[str, str]]) -> None:
        super().__init__(
            name="sopwith",
            help="Update a company's computers by its Standard Operating Procedure.\n\nExample: sopwith status",
            params=[context_option(), click.Option(["--version"], is_flag=True, help="Print the version and leave.")],
            callback=_keep_context,
            no_args_is_help=True,
            context_settings={"help_option_names": ["-h", "--help"]},
        )
        self._nouns = nouns

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the nouns that this installation holds, in the order of the contract."""
        return [noun for noun, (module, _) in self._nouns.items() if find_spec(f"sopwith_controller.cli.{module}")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the noun's module and return its group or command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = import_module(f"sopwith_controller.cli.{self._nouns[cmd_name][0]}")
        command: click.Command = module.command if hasattr(module, "command") else module.group
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of nouns without importing any."""
        with formatter.section("Nouns"):
            formatter.write_dl([(noun, self._nouns[noun][1]) for noun in self.list_commands(ctx)])


def _keep_context(context: str | None, *, version: bool) -> None:
    ctx = click.get_current_context()
    if version:
        print(f"sopwith {VERSION}")
        ctx.exit()
    ctx.obj = State(context=context)


def build(nouns: dict[str, tuple[str, str]]) -> click.Group:
    """Return the program."""
    return Nouns(nouns)
