"""`sopwith update FILE.deb`: the short way from a package to updated computers.

Writes the manifest, publishes, plans, shows the plan, asks once, starts and watches; each step is the one that the long
way takes, with the same gates, and stops with a refusal that teaches wherever the SOP wants a person.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from sopwith.v1 import release_service_pb2, rollout_service_pb2, sop_service_pb2
from sopwith_controller.cli.output import enum_name, tell
from sopwith_controller.cli.passphrases import Passphrases, passphrase_option
from sopwith_controller.cli.plan_view import print_plan
from sopwith_controller.cli.release import UploadBars
from sopwith_controller.cli.rollout import START_TIMEOUT_SECONDS
from sopwith_controller.cli.rollout_watch import show_status
from sopwith_controller.cli.verbs import Verb, agree, connected, duration, state
from sopwith_controller.desk.errors import DeskError


@click.command("update", cls=Verb, example="sopwith update hello_2.10-3_amd64.deb --to site=berlin")
@click.argument("file", metavar="FILE.deb|FOLDER", type=click.Path(path_type=Path, exists=True))
@click.option("--to", "audience", default="", metavar="SELECTOR", help="Which computers; default: all in scope.")
@click.option("--keys", type=click.Path(path_type=Path, file_okay=False), help="Folder of the release key.")
@passphrase_option
@click.option("--ticket", default="", help="Ticket that the update belongs to.")
@click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")
@click.option("--yes", is_flag=True, help="Answer the question with yes.")
@click.option("--timeout", default="24h", metavar="DURATION", help="How long to watch.", show_default=True)
@click.option("--dry-run", is_flag=True, help="Publish nothing and start nothing; only say what would happen.")
def command(
    file: Path,
    audience: str,
    keys: Path | None,
    passphrase_file: Path | None,
    ticket: str,
    reason: str,
    yes: bool,
    timeout: str,
    dry_run: bool,
) -> None:
    """Update computers with one file: publish, plan, ask once, start, watch."""
    from sopwith_formats.release_document import read_release_folder

    seconds = duration(timeout, "--timeout")
    with _release_folder(file) as folder, connected() as connection:
        manifest = read_release_folder(folder).manifest
        tell(f"{manifest.release}: {len(manifest.artifacts)} file(s), manifest without faults")
        if dry_run:
            _show_plan(connection, manifest.release, audience, ticket)
            return
        _publish(connection, folder, manifest, keys, passphrase_file)
        rollout = _create(connection, manifest.release, audience, ticket)
        submitted = connection.call(
            connection.rollouts.SubmitRollout, rollout_service_pb2.SubmitRolloutRequest(id=rollout.id)
        )
        if state().output == "table":
            print_plan(submitted.plan)
        if enum_name(submitted.rollout, "state") != "APPROVED":
            raise DeskError(
                f"{rollout.id} waits for an approval: its change class is {submitted.rollout.change_class}",
                remedy=f"ask for `sopwith rollout approve {rollout.id}`, then sopwith rollout start {rollout.id}",
            )
        agree(f"Start {rollout.id} on {submitted.plan.forecast.computers} computer(s)?", yes=yes)
        why = reason or f"update of {manifest.release} by sopwith update"
        request = rollout_service_pb2.StartRolloutRequest(id=rollout.id, reason=why)
        connection.call(connection.rollouts.StartRollout, request, timeout_seconds=START_TIMEOUT_SECONDS)
        show_status(connection, rollout.id, state().output, wait=True, watch=False, timeout=seconds)


@contextmanager
def _release_folder(file: Path) -> Iterator[Path]:
    """Yield a release folder: the given one, or a temporary one written from the package."""
    from sopwith_controller.desk.release_writing import write_release

    if file.is_dir():
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="sopwith-update-") as temporary:
        folder = Path(temporary)
        shutil.copyfile(file, folder / file.name)
        write_release(folder / file.name)
        yield folder


def _publish(connection: Any, folder: Path, manifest: Any, keys: Path | None, passphrase_file: Path | None) -> None:
    """Publish unless this very release is published already."""
    from sopwith_controller.desk.context import read_context
    from sopwith_controller.desk.publishing import publish
    from sopwith_controller.desk.source_keys import KeysFolder

    listed = connection.call(connection.releases.ListReleases, release_service_pb2.ListReleasesRequest()).releases
    known = [r for r in listed if (r.name, r.version) == (manifest.name, manifest.version)]
    if known and known[0].manifest_sha256 == hashlib.sha256(manifest.to_json()).hexdigest():
        if enum_name(known[0], "state") == "WITHDRAWN":
            raise DeskError(
                f"{manifest.release} was withdrawn: {known[0].withdrawn_reason}",
                remedy="publish a mended release under a new version",
            )
        tell(f"{manifest.release} is published already")
        return
    where = keys or (
        connection.context.file(connection.context.source_keys) if connection.context.source_keys else None
    )
    if where is None:
        raise DeskError(
            f"{manifest.release} is not published, and no release key is known here",
            remedy="name the folder of the release key with --keys DIR; it is remembered",
        )
    with UploadBars() as bars:
        publish(connection, folder, KeysFolder(where), Passphrases(passphrase_file).for_key, bars.progressed)
    read_context(connection.context.path).remember_keys(where)
    tell(f"{manifest.release} is signed and published")


def _show_plan(connection: Any, release: str, audience: str, ticket: str) -> None:
    request = rollout_service_pb2.PlanRolloutRequest(rollout_json=_spec(connection, release, audience, ticket))
    print_plan(connection.call(connection.rollouts.PlanRollout, request).plan)


def _create(connection: Any, release: str, audience: str, ticket: str) -> Any:
    request = rollout_service_pb2.CreateRolloutRequest(rollout_json=_spec(connection, release, audience, ticket))
    return connection.call(connection.rollouts.CreateRollout, request).rollout


def _spec(connection: Any, release: str, audience: str, ticket: str) -> str:
    """Return a rollout that leaves everything to the SOP."""
    from sopwith_formats.rollout_spec import RolloutSpec

    sops = connection.call(connection.sops.ListSops, sop_service_pb2.ListSopsRequest()).sops
    ids = sorted({sop.id for sop in sops if enum_name(sop, "state") != "RETIRED"})
    if len(ids) != 1:
        raise DeskError(
            f"there are {len(ids)} SOPs here",
            remedy="write a rollout file that names one: sopwith rollout create -f FILE",
        )
    name = release.replace("@", "-")
    return RolloutSpec(name, release, ids[0], audience=audience, ticket=ticket).to_json().decode()
