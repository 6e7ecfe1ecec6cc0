"""`sopwith release`: write, publish and withdraw releases."""

import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click

from sopwith.v1 import release_service_pb2 as pb
from sopwith_controller.cli.output import (
    Column,
    emit,
    emit_document,
    enum_name,
    escape,
    print_facts,
    print_table,
    tell,
    time_text,
    to_document,
)
from sopwith_controller.cli.passphrases import Passphrases, passphrase_option
from sopwith_controller.cli.verbs import agree, connected, noun, reasoned, state, verb

group = noun("release", "Write, publish and withdraw releases.")

COLUMNS = (
    Column("RELEASE", lambda release: f"{release.name}@{release.version}"),
    Column("STATE", lambda release: enum_name(release, "state")),
    Column("SEVERITY", lambda release: release.severity),
    Column("PUBLISHED", lambda release: time_text(release, "published_time")),
    Column("BY", lambda release: release.published_by),
    Column("SUMMARY", lambda release: release.summary),
    Column("MANIFEST DIGEST", lambda release: release.manifest_sha256[:16], wide=True),
    Column("WITHDRAWN BECAUSE", lambda release: release.withdrawn_reason, wide=True),
)
yes_option = click.option("--yes", is_flag=True, help="Answer the question with yes.")
reason_option = click.option("--reason", default="", metavar="TEXT", help="Why; it is recorded.")
keys_folder = click.Path(path_type=Path, file_okay=False)


@verb(group, "new", example="sopwith release new hello_2.10-3_amd64.deb")
@click.argument("file", metavar="FILE.deb", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder; default: where the package is.")
def new(file: Path, out: Path | None) -> None:
    """Write release.yaml from what a package says about itself."""
    from sopwith_controller.desk.release_writing import write_release

    path = write_release(file, out)
    if state().output in ("json", "yaml"):
        emit_document(state().output, {"file": str(path)})
        return
    tell(f"wrote {path}; next: read it, then sopwith release publish {path.parent} --keys DIR")


@verb(group, "gather", example="sopwith release gather --from-apt --like pc1 --out os-updates")
@click.option("--from-apt", is_flag=True, help="Take the updates that a computer's apt would install.")
@click.option("--like", required=True, metavar="COMPUTER", help="The computer whose pending updates are meant.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write.")
@click.option("--name", default="os-updates", help="Name of the release; default: os-updates.")
@click.option("--version", default="", help="Version of the release; default: today, as 2026.11.22.")
@click.option(
    "--apt-folder",
    default="/etc/apt",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where the distribution's sources and keys are written down; default: /etc/apt.",
)
def gather(from_apt: bool, like: str, out: Path, name: str, version: str, apt_folder: Path) -> None:
    """Fetch a computer's pending updates, verified by the distribution's own keys, as one release."""
    if not from_apt:
        raise click.UsageError("say where the updates come from: --from-apt")
    from google.protobuf.json_format import MessageToDict

    from sopwith.v1.fleet_service_pb2 import GetComputerRequest
    from sopwith_controller.desk.apt_gathering import gather_updates, read_pending

    with connected() as connection:
        computer = connection.call(connection.fleet.GetComputer, GetComputerRequest(computer=like)).computer
    path = gather_updates(read_pending(computer.name, MessageToDict(computer.facts)), out, name, version, apt_folder)
    if state().output in ("json", "yaml"):
        emit_document(state().output, {"file": str(path)})
        return
    tell(f"wrote {path}; next: read it, then sopwith release publish {path.parent} --keys DIR")


@verb(group, "lint", example="sopwith release lint hello-2.10-3")
@click.argument("folder", type=click.Path(path_type=Path))
def lint(folder: Path) -> None:
    """Name every fault of a release folder, with line and mend."""
    from sopwith_controller.desk.errors import DeskError
    from sopwith_formats.problems import DocumentError
    from sopwith_formats.release_document import read_release_folder

    try:
        release = read_release_folder(folder)
    except DocumentError as error:
        if state().output in ("json", "yaml"):
            emit_document(state().output, [problem.as_dict() for problem in error.problems])
        else:
            for problem in error.problems:
                print(escape(str(problem)))
        count = len(error.problems)
        raise DeskError(f"{folder} cannot be published: {count} fault{'s' if count > 1 else ''}") from error
    if state().output in ("json", "yaml"):
        emit_document(state().output, [])
    tell(f"{release.manifest.release} is ready; next: sopwith release publish {folder} --keys DIR")


@verb(group, "publish", example="sopwith release publish hello-2.10-3 --keys keys")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--keys", required=True, type=keys_folder, help="Folder that holds the release key.")
@passphrase_option
def publish(folder: Path, keys: Path, passphrase_file: Path | None) -> None:
    """Sign a release on this machine, upload it, and put it into force."""
    from sopwith_controller.desk.context import read_context
    from sopwith_controller.desk.publishing import publish as publish_folder
    from sopwith_controller.desk.source_keys import KeysFolder

    with connected() as connection, UploadBars() as bars:
        release = publish_folder(
            connection, folder, KeysFolder(keys), Passphrases(passphrase_file).for_key, bars.progressed
        )
        read_context(connection.context.path).remember_keys(keys)
    if state().output != "table":
        emit(state().output, release, COLUMNS, name=_name)
        return
    _show(release)
    tell("next: sopwith rollout create -f rollout.yaml")


@verb(group, "list", example="sopwith release list")
def list_releases() -> None:
    """List releases."""
    with connected() as connection:
        reply = connection.call(connection.releases.ListReleases, pb.ListReleasesRequest())
    emit(state().output, list(reply.releases), COLUMNS, name=_name, empty="No release is published.")


@verb(group, "show", example="sopwith release show hello@2.10-3")
@click.argument("release", metavar="NAME@VERSION")
def show(release: str) -> None:
    """Show one release and its files."""
    with connected() as connection:
        found = connection.call(connection.releases.GetRelease, pb.GetReleaseRequest(release=release)).release
    if state().output == "table":
        _show(found)
    else:
        emit(state().output, found, COLUMNS, name=_name)


@verb(group, "withdraw", example='sopwith release withdraw hello@2.10-3 --reason "breaks printing" --keys keys')
@click.argument("release", metavar="NAME@VERSION")
@click.option("--keys", type=keys_folder, help="Sign it out of the source, too, with this folder's key.")
@passphrase_option
@reason_option
@yes_option
def withdraw(release: str, keys: Path | None, passphrase_file: Path | None, reason: str, yes: bool) -> None:
    """Stop a release: no computer is told to install it any more."""
    from sopwith_controller.desk.publishing import sign_withdrawal
    from sopwith_controller.desk.source_keys import KeysFolder

    agree(f"{release} will not be installed anywhere any more. Go on?", yes=yes)
    with connected() as connection:
        request = pb.WithdrawReleaseRequest(release=release, reason=reason)
        found = reasoned(connection, connection.releases.WithdrawRelease, request).release
        if keys is not None and not found.withdrawal_signed:
            sign_withdrawal(connection, release, KeysFolder(keys), Passphrases(passphrase_file).for_key)
            found = connection.call(connection.releases.GetRelease, pb.GetReleaseRequest(release=release)).release
    emit(state().output, found, COLUMNS, name=_name)
    if not found.withdrawal_signed:
        tell(f"next: sopwith release withdraw {release} --keys DIR signs it out of the source")


@verb(group, "permit", example="sopwith release permit hello@2.10-3 --computer pc1 --reason mended")
@click.argument("release", metavar="NAME@VERSION")
@click.option("--computer", "computers", multiple=True, help="Name of a computer; default: all that rolled it back.")
@reason_option
def permit(release: str, computers: tuple[str, ...], reason: str) -> None:
    """Let a release be offered again to computers that rolled it back."""
    with connected() as connection:
        request = pb.PermitReleaseRequest(release=release, computers=computers, reason=reason)
        reply = connection.call(connection.releases.PermitRelease, request)
    if state().output in ("json", "yaml"):
        emit_document(state().output, to_document(reply))
        return
    for name in reply.computers:
        print(escape(name))
    if not reply.computers:
        tell(f"{release} was rolled back nowhere")


class UploadBars:
    """Shows one bar per file on a terminal, nothing elsewhere."""

    def __init__(self) -> None:
        self._bars: Any = None
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def progressed(self, name: str, sent: int, total: int) -> None:
        """Move a file's bar; the first one appears only now, so that no passphrase is asked for between bars."""
        if not sys.stderr.isatty():
            return
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bars.start()
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(escape(name), total=total)
        self._bars.update(self._tasks[name], completed=sent)


def _show(release: Any) -> None:
    print_facts(
        [
            ("release", _name(release)),
            ("state", enum_name(release, "state")),
            ("summary", release.summary),
            ("severity", release.severity),
            ("change class", release.change_class),
            ("published", f"{time_text(release, 'published_time')} by {release.published_by}"),
            ("manifest", f"sha256:{release.manifest_sha256}"),
            ("withdrawn", release.withdrawn_reason),
        ]
    )
    print()
    rows = [[file.file, file.installer, str(file.length), file.sha256] for file in release.files]
    print_table(["FILE", "INSTALLER", "BYTES", "SHA256"], rows)


def _name(release: Any) -> str:
    return f"{release.name}@{release.version}"
