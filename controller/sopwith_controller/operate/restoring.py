"""Bringing a controller back from its backup, in a way that nobody can take for the controller that was lost.

Decides what has to hold before a backup may take the place of a controller, and what is written into it first; the
file's form is `backup_file`'s. Rules: nothing is touched while a controller runs on the folder or answers at its
address, and an existing folder is refused; everything is unpacked and proved beside the final place, which gets its
name in the last step; a log that is not whole is not restored.

What was decided after the backup is lost, and the restored controller does not pretend otherwise: an entry
LOG_RECOVERED says who went on from which size for which reason, computers that remember a longer log are shown it,
rollouts that ran are suspended until a person looks, and the source's own versions leap ahead of any that was served.
"""

import asyncio
import secrets
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sopwith_certs.log_key import load_log_key, verify
from sopwith_controller.adapters.clock import SystemClock
from sopwith_controller.adapters.database.checkpoint_files import CheckpointFiles
from sopwith_controller.adapters.database.lock_file import LockFile
from sopwith_controller.adapters.ids import RandomIds
from sopwith_controller.adapters.scheduler import Scheduler
from sopwith_controller.adapters.source.folder_source import FolderSource
from sopwith_controller.bootstrap.paths import DataPaths, open_store
from sopwith_controller.config import DATABASE_FILE, Config, read_config
from sopwith_controller.domain.errors import ConflictError, InvalidInputError, TrustError, UnavailableError
from sopwith_controller.operate.backup_file import Manifest, read_manifest, sha256_of, unpack
from sopwith_controller.operate.data_folder import refuse_mounted
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.log_recovery import Restored, record_recovery
from sopwith_controller.services.ports import Clock, Database
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_controller.services.update_log import UpdateLogs
from sopwith_formats.durable import durable_move, make_private_folder
from sopwith_formats.units import parse_time

_ANSWERS_WITHIN_SECONDS = 2.0


@dataclass(frozen=True)
class Wish:
    """What `restore` was asked for."""

    backup: Path
    data: Path
    operator: str
    reason: str


@dataclass(frozen=True)
class Back:
    """What was restored."""

    data: Path
    manifest: Manifest
    log_size: int
    suspended: Sequence[str]
    """Names of the rollouts that ran and are suspended."""


def restore(wish: Wish, clock: Clock | None = None) -> Back:
    """Restore; raise DomainError, FormatError or OSError and leave nothing behind when anything is wrong."""
    if not wish.reason.strip() or not wish.operator.strip():
        raise InvalidInputError(
            "a recovery is signed into the log with a name and a reason", remedy='add --operator NAME --reason "TEXT"'
        )
    data = wish.data.absolute()
    _refuse_running(data)
    _refuse_existing(data)
    read_manifest(wish.backup)
    data.parent.mkdir(parents=True, exist_ok=True)
    workshop = data.parent / f".{data.name}.{secrets.token_hex(4)}.restore"
    try:
        make_private_folder(workshop)
        manifest = unpack(wish.backup, workshop)
        config = read_config(workshop)
        _refuse_answering(config)
        for private in ("pki", "source", "log/checkpoints"):
            make_private_folder(workshop / private)
        size, suspended = asyncio.run(_prepare(workshop, config, wish, manifest, clock or SystemClock()))
        (workshop / f"{DATABASE_FILE}.lock").unlink(missing_ok=True)
        if data.exists():
            data.rmdir()
        durable_move(workshop, data)
    except BaseException:
        shutil.rmtree(workshop, ignore_errors=True)
        raise
    return Back(data, manifest, size, suspended)


async def _prepare(
    folder: Path, config: Config, wish: Wish, manifest: Manifest, clock: Clock
) -> tuple[int, Sequence[str]]:
    """Prove what was unpacked and write the recovery into it; return the log's size and what was suspended."""
    paths = DataPaths(folder)
    database = await open_store(paths, config, clock)
    try:
        size, root = await _proved(paths, database, clock)
        incidents = Incidents(
            database, clock, RandomIds(), RolloutRecords(), timers=Scheduler(clock), wake=lambda: None
        )
        suspended = await record_recovery(
            database,
            incidents,
            Restored(
                size=size,
                root=root,
                operator=wish.operator.strip(),
                reason=" ".join(wish.reason.split()),
                backup_sha256=sha256_of(wish.backup),
                backup_time=_time_of(manifest),
                now=clock.now(),
            ),
        )
        await FolderSource(paths.source, clock).leap()
    finally:
        await database.close()
    return size, suspended


async def _proved(paths: DataPaths, database: Database, clock: Clock) -> tuple[int, bytes]:
    """Return size and root of the log that was unpacked; raise TrustError for one that is not whole."""
    logs = UpdateLogs(
        database,
        clock,
        growth=_NobodyWaits(),
        published=CheckpointFiles(paths.checkpoints),
        key=load_log_key(paths.log_key).verifier,
        verify=verify,
    )
    verdict = await logs.verify()
    if verdict.faults:
        raise TrustError(
            f"the update log in this backup is not whole: {verdict.faults[0]}",
            remedy="restore an older backup whose log is whole, and keep this one as evidence",
        )
    return verdict.size, verdict.root


class _NobodyWaits:
    """Stands where a running controller tells that its log grew."""

    async def wait_for_growth(self, timeout_seconds: float) -> None:
        """Return when entries were committed: nobody waits here."""


def _time_of(manifest: Manifest) -> datetime:
    return parse_time(manifest.created_time)


def _refuse_running(data: Path) -> None:
    lock = data / f"{DATABASE_FILE}.lock"
    if lock.exists():
        try:
            LockFile(lock).release()
        except UnavailableError as error:
            raise ConflictError(
                f"a controller runs with {data}", remedy="stop it; then name another folder with --data"
            ) from error


def _refuse_existing(data: Path) -> None:
    if data.is_symlink() or (data.exists() and (not data.is_dir() or any(data.iterdir()))):
        raise ConflictError(
            f"{data} exists already", remedy="name another folder with --data; move this one away if nothing needs it"
        )
    refuse_mounted(data)


def _refuse_answering(config: Config) -> None:
    """Refuse while something answers where the restored controller would: two of them must never speak at once."""
    host = "127.0.0.1" if config.listen in {"", "0.0.0.0", "::"} else config.listen  # noqa: S104  compared with
    try:
        with socket.create_connection((host, config.fleet_port), timeout=_ANSWERS_WITHIN_SECONDS):
            pass
    except OSError:
        return
    raise ConflictError(
        f"something answers at {host}:{config.fleet_port}, where this controller would",
        remedy="stop the controller that this backup is of; two of them must never speak to one fleet",
    )
