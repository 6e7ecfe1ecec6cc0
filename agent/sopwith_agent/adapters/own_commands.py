"""Runs the commands of a release and of the computer's own agent.toml: drain, undrain, snapshot.

Decides order and surroundings. Rules: no shell, a clean environment, a time limit each, and everything that a command
started ends with it; the release's commands are found below the root, as its health checks are, the computer's own are
taken as its agent.toml writes them. To take work away the release speaks first, to give it back the computer does.
"""

from collections.abc import Mapping, Sequence

from sopwith_agent.adapters.below_root import below_root
from sopwith_agent.adapters.processes import run_program
from sopwith_agent.domain.errors import StepError
from sopwith_agent.steps.command_port import Moment, Said
from sopwith_agent.steps.health_port import HealthContext
from sopwith_formats.manifest import Command, Manifest

_SHOWN_MAX = 400


class OwnCommands:
    """The real commands."""

    def __init__(self, own: Mapping[Moment, Sequence[Command]]) -> None:
        """Run the computer's `own` commands beside those of a release."""
        self._own = own

    def run(self, moment: Moment, manifest: Manifest | None, context: HealthContext) -> Said:
        """Run them in order, up to the first that refuses."""
        signed = [_below(context, command) for command in _of(moment, manifest)]
        own = list(self._own.get(moment, ()))
        commands = [*own, *signed] if moment is Moment.UNDRAIN else [*signed, *own]
        for command in commands:
            refusal = _run(command, moment, manifest, context)
            if refusal:
                return Said(len(commands), refusal)
        return Said(len(commands))


def _of(moment: Moment, manifest: Manifest | None) -> tuple[Command, ...]:
    if manifest is None:
        return ()
    return {Moment.DRAIN: manifest.drain, Moment.UNDRAIN: manifest.undrain, Moment.SNAPSHOT: manifest.snapshot}[moment]


def _below(context: HealthContext, command: Command) -> Command:
    program = command.exec[0]
    if not program.startswith("/"):
        return command
    return Command((str(below_root(context.root, program)), *command.exec[1:]), command.timeout_seconds)


def _run(command: Command, moment: Moment, manifest: Manifest | None, context: HealthContext) -> str:
    environment = {
        "SOPWITH_ROOT": str(context.root),
        "SOPWITH_COMPUTER": context.computer_name,
        "SOPWITH_RELEASE": manifest.name if manifest else "",
        "SOPWITH_VERSION": manifest.version if manifest else "",
        "SOPWITH_STEP": moment.value,
    }
    name = command.exec[0]
    try:
        finished = run_program(
            command.exec,
            timeout_seconds=command.timeout_seconds,
            environment=environment,
            folder=context.root,
            end_children=True,
        )
    except StepError as error:
        return f"{moment.value}: {error.message}"
    words = f": {finished.line[-_SHOWN_MAX:]}" if finished.line else ""
    if finished.timed_out:
        return f"{moment.value}: {name} did not end within {command.timeout_seconds} s{words}"
    return "" if finished.ok else f"{moment.value}: {name} ended with {finished.exit_code}{words}"
