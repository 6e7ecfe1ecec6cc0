"""Every command of every program explains itself with an example."""

import argparse
from collections.abc import Iterator

import click
import pytest

from sopwith_agent.cli import _parser
from sopwith_controller.cli.nouns import build
from sopwith_controller.cli.program import NOUNS
from sopwith_controller.operate.program import program


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


ALL = [*commands(build(NOUNS), "sopwith"), *commands(program, "sopwith-controller")]


@pytest.mark.parametrize(("path", "command"), ALL, ids=[path for path, _ in ALL])
def test_every_command_shows_an_example_of_itself(path: str, command: click.Command):
    text = " ".join(command.get_help(click.Context(command, info_name=path)).split())

    assert "Example: " in text
    assert text.partition("Example: ")[2].startswith(path)
    assert (command.help or "").strip()


def test_every_agent_command_shows_an_example_of_itself():
    commands_of_agent = next(
        action.choices for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    described = {name: parser.format_help() for name, parser in commands_of_agent.items() if name != "source"}

    assert len(described) >= 5
    assert {
        name for name, text in described.items() if f"sopwith-agent {name}" not in text.partition("example")[2]
    } == set()
