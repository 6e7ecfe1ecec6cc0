"""`sopwith-controller`: making a controller, running it, checking its settings.

This module decides what the commands are called and what they print; the work is done by `data_folder`, `serving` and
the database. Rules: results on stdout, messages on stderr; exit 0 done, 1 failed, 2 usage,
3 cancelled; never a traceback.
"""

import asyncio
import errno
import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click

from sopwith_formats.errors import FormatError
from sopwith_formats.version import VERSION

DATA_DEFAULT = Path("/var/lib/sopwith")
P = ParamSpec("P")
_FAILED, _CANCELLED = 1, 3
_MENDS = {
    errno.ENOENT: "the folder is not whole: restore it from a backup, or make another with `sopwith-controller init`",
    errno.EADDRINUSE: "end what uses this port, or change the port in sopwith.toml",
    errno.EADDRNOTAVAIL: "name an address of this machine as listen in sopwith.toml",
    errno.ENOSPC: "make room on that disk",
}

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DATA_DEFAULT,
    show_default=True,
    envvar="SOPWITH_DATA",
    help="Data folder of the controller.",
)


def told(function: Callable[P, None]) -> Callable[P, None]:
    """Turn the errors that the controller raises on purpose into one message and exit 1."""

    @wraps(function)
    def command(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except click.ClickException:
            raise
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  nobody is shown a traceback
            for line in _words(error):
                click.echo(line, err=True)
            sys.exit(_CANCELLED if isinstance(error, KeyboardInterrupt) else _FAILED)

    return command


def _words(error: BaseException) -> list[str]:
    """Return what is said of an error."""
    from sopwith_certs.errors import CertsError
    from sopwith_controller.config import ConfigError
    from sopwith_controller.domain.errors import SopwithError

    if isinstance(error, KeyboardInterrupt):
        return ["cancelled"]
    if isinstance(error, ConfigError):
        return [f"{error.path}: {fault}" for fault in error.faults]
    if isinstance(error, SopwithError | CertsError):
        return [f"error: {error.message}", *([f"mend: {error.remedy}"] if error.remedy else [])]
    if isinstance(error, FormatError):
        return [f"error: {error}"]
    if isinstance(error, OSError):
        what = f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"
        return [f"error: {what}", f"mend: {_MENDS.get(error.errno or 0, 'check the path, its rights and its disk')}"]
    return [f"error: an unexpected {type(error).__name__}: {error}", "mend: this is a mistake in Sopwith; report it"]


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]}, epilog="Example: sopwith-controller serve --data c"
)
@click.version_option(VERSION, prog_name="sopwith-controller", message="%(prog)s %(version)s")
def program() -> None:
    """Operate a Sopwith controller."""


@program.command(
    epilog="Example: sopwith-controller init --data c --organization Example --owner olga --it-manager max "
    "--it-manager-email max@example.org --authority ada"
)
@data_option
@click.option("--organization", required=True, help="Name of the organisation.")
@click.option("--owner", required=True, help="Name of the SOP's owner, who gets the first context.")
@click.option("--it-manager", required=True, help="Name of the IT manager.")
@click.option("--it-manager-email", required=True, help="Where incidents go.")
@click.option("--authority", required=True, help="Name of the approving authority.")
@click.option("--owner-email", default="", help="The owner's mail address.")
@click.option("--authority-email", default="", help="The authority's mail address.")
@click.option("--window", default="", help="When installing is allowed: RRULE/DURATION. Default: always.")
@click.option(
    "--profile", type=click.Choice(["evaluation", "standard", "regulated"]), default="standard", show_default=True
)
@click.option("--listen", default="0.0.0.0", show_default=True, help="Address that both ports are bound to.")  # noqa: S104  a server for a fleet
@click.option(
    "--advertise", default="", help="Name by which computers reach it. Default: the address, or this machine's name."
)
@click.option(
    "--fleet-port", type=click.IntRange(0, 65535), default=7443, show_default=True, help="0 picks a free one."
)
@click.option("--web-port", type=click.IntRange(0, 65535), default=7445, show_default=True, help="0 picks a free one.")
@click.option("--database", default="", help="postgresql://USER@HOST/NAME. Default: SQLite in the data folder.")
@click.option("--smtp", default="", help="Mail server: smtp://[USER@]HOST:PORT.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@told
def init(data: Path, output: str, **given: Any) -> None:
    """Make the data folder of a new controller."""
    from sopwith_controller.operate.founding import found_from_options

    founded = found_from_options(data, given)
    if output == "json":
        click.echo(json.dumps(founded, indent=2, ensure_ascii=False))
        return
    click.echo(f"{founded['data']} holds the controller of {founded['organization']} ({founded['profile']}).")
    click.echo("Go on with:")
    click.echo(f"    sopwith-controller serve --data {founded['data']}")
    click.echo(f"    export SOPWITH_CONTEXT={founded['context']}")
    click.echo("    sopwith status")


@program.command(epilog="Example: sopwith-controller serve --data c")
@data_option
@told
def serve(data: Path) -> None:
    """Run the controller until SIGTERM or SIGINT."""
    from sopwith_controller.config import read_config
    from sopwith_controller.log_setup import set_up_logging
    from sopwith_controller.operate.library_lines import taken_up
    from sopwith_controller.operate.serving import run

    config = read_config(data)
    set_up_logging(config.log_level)
    with taken_up():
        asyncio.run(run(data, config))


@program.command(epilog="Example: sopwith-controller migrate --data c")
@data_option
@told
def migrate(data: Path) -> None:
    """Bring the database's tables up to date; `serve` does it, too."""
    from sopwith_controller.config import read_config
    from sopwith_controller.operate.serving import bring_up_to_date

    asyncio.run(bring_up_to_date(data, read_config(data)))
    click.echo("the database is up to date")


@program.command(epilog="Example: sopwith-controller backup --data c --out monday.backup")
@data_option
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="New file; holds private keys."
)
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@told
def backup(data: Path, out: Path, output: str) -> None:
    """Write everything that cannot be made again into one file, also while the controller runs."""
    from sopwith_controller.adapters.clock import SystemClock
    from sopwith_controller.config import read_config
    from sopwith_controller.operate.backing_up import back_up
    from sopwith_controller.operate.serving import require_database

    config = read_config(data)
    require_database(data, config)
    made = back_up(data, config, out, SystemClock().now())
    if output == "json":
        said = {"path": str(made.path), "sha256": made.sha256, "length": made.length}
        card = {key: value for key, value in vars(made.manifest).items() if key != "files"}
        click.echo(json.dumps({**said, **card, "files": len(made.manifest.files)}, indent=2, ensure_ascii=False))
        return
    click.echo(f"{out} holds the controller of {made.manifest.organization}, {made.manifest.log_size} log entries.")
    click.echo(f"    sha256 {made.sha256}")
    click.echo("It holds private keys: keep it as you keep those, on another machine.")


@program.command(
    epilog='Example: sopwith-controller restore monday.backup --data c --operator olga --reason "the disk died"'
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@data_option
@click.option("--operator", required=True, help="Who restores; recorded in the update log.")
@click.option("--reason", required=True, help="Why; recorded in the update log.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
@told
def restore(file: Path, data: Path, operator: str, reason: str, output: str) -> None:
    """Make a data folder from a backup and sign the recovery into its update log."""
    from sopwith_controller.operate.restoring import Wish, restore

    back = restore(Wish(file, data, operator, reason))
    if output == "json":
        said = {"data": str(back.data), "log_size": back.log_size, "suspended": list(back.suspended)}
        click.echo(json.dumps({**said, "backup_time": back.manifest.created_time}, indent=2, ensure_ascii=False))
        return
    click.echo(f"{back.data} holds the controller of {back.manifest.organization} as of {back.manifest.created_time}.")
    for name in back.suspended:
        click.echo(f"    suspended: {name}")
    click.echo("What people decided since then is lost. Go on with:")
    click.echo(f"    sopwith-controller serve --data {back.data}")
    click.echo("    sopwith incident list")
    click.echo("    publish again what was published since; computers enrolled since then enrol anew")


@program.command(name="check-config", epilog="Example: sopwith-controller check-config --data c")
@data_option
@told
def check_config(data: Path) -> None:
    """Check sopwith.toml and tell every fault."""
    from sopwith_controller.config import SETTINGS_FILE, read_config

    config = read_config(data)
    click.echo(f"{data / SETTINGS_FILE} is right: fleet port {config.fleet_address}, web port {config.web_address}")
