"""`sopwith completion`: prints the line that a shell needs to complete nouns, verbs and options."""

import click

_LINES = {
    "bash": 'eval "$(_SOPWITH_COMPLETE=bash_source sopwith)"',
    "zsh": 'eval "$(_SOPWITH_COMPLETE=zsh_source sopwith)"',
    "fish": "_SOPWITH_COMPLETE=fish_source sopwith | source",
}


@click.command("completion", epilog="Example: sopwith completion bash >> ~/.bashrc")
@click.argument("shell", type=click.Choice(sorted(_LINES)))
def command(shell: str) -> None:
    """Print shell completion for bash, zsh or fish."""
    print(_LINES[shell])
