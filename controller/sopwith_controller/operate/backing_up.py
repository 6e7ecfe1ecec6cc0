"""Making a backup while the controller runs: one moment of everything that cannot be made again.

Decides what belongs to a controller and in which order it is copied, so that the parts fit together whatever happens
meanwhile; the file's form is `backup_file`'s. Rules: the published checkpoints are read before the database, because
the log may be ahead of what it promised and never behind it; the database is copied by SQLite's own online backup in
one step, and checked; the source's metadata is read until it stood still, and its files after it, because it lists
nothing that is not there. What the next start makes anew is left out: the server's own certificate, locks, uploads,
`endpoints.json`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sopwith_controller.bootstrap.paths import DataPaths
from sopwith_controller.config import DATABASE_FILE, SETTINGS_FILE, Config
from sopwith_controller.domain.errors import InvalidInputError, UnavailableError
from sopwith_controller.operate.backup_file import BackupWriter, Manifest, sha256_of
from sopwith_formats.units import format_time
from sopwith_formats.version import VERSION

BUSY_TIMEOUT_SECONDS = 30
_READINGS_MAX = 20
_TIMESTAMP = "timestamp.json"


@dataclass(frozen=True)
class BackedUp:
    """What was written."""

    path: Path
    sha256: str
    length: int
    manifest: Manifest


def back_up(data: Path, config: Config, path: Path, now: datetime) -> BackedUp:
    """Write the backup; raise DomainError, FormatError or OSError and leave nothing behind when anything is wrong."""
    if config.database:
        raise InvalidInputError(
            "this controller keeps its tables in another database than the data folder's",
            remedy="use the database's own backup (pg_dump), and copy the data folder while the controller is stopped",
        )
    paths = DataPaths(data)
    writer = BackupWriter(path)
    try:
        for name, checkpoint in _small_files(data, paths.checkpoints):
            writer.add_bytes(name, checkpoint, 0o644)
        card = _add_database(writer, data / DATABASE_FILE)
        for folder in (paths.pki, paths.owner):
            for name, file in _files(data, folder):
                if paths.controller_pair not in file.parents:
                    writer.add_file(name, file)
        writer.add_file(SETTINGS_FILE, data / SETTINGS_FILE)
        _add_source(writer, data, paths.source)
        manifest = writer.finish(version=VERSION, created_time=format_time(now), **card)
    except BaseException:
        writer.give_up()
        raise
    return BackedUp(path, sha256_of(path), path.stat().st_size, manifest)


def _add_database(writer: BackupWriter, database: Path) -> dict[str, str | int]:
    """Copy the tables as they are in one moment; return what they say of themselves."""
    copy = writer.folder / f".{database.name}.{id(writer):x}.copy"
    copy.touch(0o600)
    try:
        with closing(sqlite3.connect(database, timeout=BUSY_TIMEOUT_SECONDS)) as source:
            source.execute("PRAGMA query_only=ON")
            with closing(sqlite3.connect(copy)) as target:
                source.backup(target)
                target.execute("PRAGMA journal_mode=DELETE")
                card = _card(target)
        writer.add_file(DATABASE_FILE, copy)
    except sqlite3.Error as error:
        raise UnavailableError(
            f"the database cannot be copied: {error}", remedy="look at its disk; the backup before this one still holds"
        ) from error
    finally:
        copy.unlink(missing_ok=True)
    return card


def _card(copy: sqlite3.Connection) -> dict[str, str | int]:
    [(said,)] = copy.execute("PRAGMA quick_check(1)").fetchall()
    if said != "ok":
        raise UnavailableError(
            f"the database is damaged: {said}", remedy="stop the controller and restore the backup before this one"
        )
    [(organization, trust_domain)] = copy.execute("SELECT organization, trust_domain FROM settings").fetchall()
    [(size,)] = copy.execute("SELECT count(*) FROM update_log").fetchall()
    newest = copy.execute("SELECT checkpoint FROM update_log_checkpoints ORDER BY size DESC LIMIT 1").fetchone()
    return {
        "organization": organization,
        "trust_domain": trust_domain,
        "log_size": size,
        "log_checkpoint": newest[0] if newest else "",
    }


def _add_source(writer: BackupWriter, data: Path, source: Path) -> None:
    """Copy the signed source: metadata of one moment, then the files."""
    for name, metadata in _metadata(data, source).items():
        writer.add_bytes(name, metadata, 0o644)
    key = source / "online_key.pem"
    if key.exists():
        writer.add_file(key.relative_to(data).as_posix(), key)
    for name, file in _files(data, source / "targets"):
        with suppress(FileNotFoundError):
            writer.add_file(name, file, stored=True)


def _metadata(data: Path, source: Path) -> dict[str, bytes]:
    """Return the metadata between two equal readings of the timestamp, which is the last thing that changes."""
    folders = [source / "metadata", source / "pending"]
    for _ in range(_READINGS_MAX):
        try:
            before = _bytes_of(folders[0] / _TIMESTAMP)
            found = {name: content for folder in folders for name, content in _small_files(data, folder)}
            if before == _bytes_of(folders[0] / _TIMESTAMP):
                return found
        except FileNotFoundError:
            continue
    raise UnavailableError("the source changes all the time", remedy="try again when nobody publishes")


def _bytes_of(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _small_files(data: Path, folder: Path) -> Iterator[tuple[str, bytes]]:
    for name, path in _files(data, folder):
        yield name, path.read_bytes()


def _files(data: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Give the files below a folder, with their names below the data folder, without what is on its way."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(data).as_posix()
        if path.is_file() and not path.is_symlink() and not any(part.startswith(".") for part in name.split("/")):
            yield name, path
