"""The one file that holds a controller's backup: what is in it, and whether it is whole.

Decides the form and nothing about a controller. It is a ZIP: `backup.json` (canonical JSON: format, version, when,
whose, the update log's size, and every file with its length, digest and mode) and the files themselves below `files/`.
Rules: nothing is in it that `backup.json` does not list, nothing listed is missing, and every byte is hashed again when
it is unpacked; names stay below the folder, whatever the file says; links are none. It holds private keys, so it is
written for its user only.
"""

import hashlib
import json
import os
import re
import secrets
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from sopwith_formats import canonical_json
from sopwith_formats.durable import durable_move
from sopwith_formats.errors import FormatError

FORMAT = 1
MANIFEST = "backup.json"
_FILES = "files/"
_PIECE_BYTES = 2**20
_MANIFEST_BYTES_MAX = 256 * 2**20
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9+._~:@-]{0,254}")
_REMEDY = "take an older backup, or fetch this one again from where it was kept"


@dataclass(frozen=True)
class Kept:
    """One file of a backup."""

    length: int
    sha256: str
    mode: int


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself."""

    version: str
    """Of the program that made it."""
    created_time: str
    organization: str
    trust_domain: str
    log_size: int
    """Entries of the update log."""
    log_checkpoint: str
    """Newest signed checkpoint in it; empty before the first."""
    files: dict[str, Kept]


class BackupWriter:
    """Writes one backup; the file gets its name when it is whole and on the disk."""

    def __init__(self, path: Path) -> None:
        """Begin; raise FileExistsError for a path that is taken."""
        if path.exists():
            raise FileExistsError(17, "is there already; a backup is never overwritten", str(path))
        self._path = path
        self._temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.tmp"
        descriptor = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "w+b")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, allowZip64=True, compresslevel=1)
        self._files: dict[str, Kept] = {}

    @property
    def folder(self) -> Path:
        """Where it is written: room for what has to lie on a disk before it can be copied in."""
        return self._path.parent

    def add_bytes(self, name: str, data: bytes, mode: int = 0o600) -> None:
        """Add a small file."""
        self._zip.writestr(_FILES + _checked(name), data)
        self._files[name] = Kept(len(data), hashlib.sha256(data).hexdigest(), mode)

    def add_file(self, name: str, path: Path, *, stored: bool = False) -> None:
        """Add a file of any size; `stored` leaves out compressing what is compressed already."""
        digest, length = hashlib.sha256(), 0
        entry = zipfile.ZipInfo(_FILES + _checked(name))
        entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
        with path.open("rb") as source, self._zip.open(entry, "w", force_zip64=True) as target:
            mode = os.fstat(source.fileno()).st_mode & 0o777
            while piece := source.read(_PIECE_BYTES):
                digest.update(piece)
                length += len(piece)
                target.write(piece)
        self._files[name] = Kept(length, digest.hexdigest(), mode)

    def finish(self, **said: Any) -> Manifest:
        """Write what the backup says of itself and give the file its name."""
        manifest = Manifest(files=self._files, **said)
        self._zip.writestr(MANIFEST, canonical_json.encode({"format": FORMAT, **asdict(manifest)}))
        self._zip.close()
        self._file.close()
        durable_move(self._temporary, self._path)
        return manifest

    def give_up(self) -> None:
        """Leave nothing behind."""
        with suppress(OSError, ValueError):
            self._zip.close()
        self._file.close()
        self._temporary.unlink(missing_ok=True)


def read_manifest(path: Path) -> Manifest:
    """Return what a backup says of itself; raise FormatError for what is none, OSError when it cannot be read."""
    with _opened(path) as archive:
        return _manifest(archive)


def unpack(path: Path, folder: Path) -> Manifest:
    """Unpack a backup into an empty folder, each file hashed again; raise FormatError for one that is not whole."""
    with _opened(path) as archive:
        manifest = _manifest(archive)
        listed = {_FILES + name for name in manifest.files} | {MANIFEST}
        present = archive.namelist()
        if len(present) != len(set(present)) or set(present) != listed:
            odd = sorted(set(present) ^ listed) or ["a name twice"]
            raise FormatError(f"lists other files than it holds: {', '.join(odd[:3])}", where=str(path), remedy=_REMEDY)
        for name, kept in manifest.files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with archive.open(_FILES + name) as source:
                _copy(source, target, kept, f"{path}, {name}")
    return manifest


def sha256_of(path: Path) -> str:
    """Return the digest of a whole backup, which people keep beside it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def _copy(source: IO[bytes], target: Path, kept: Kept, where: str) -> None:
    digest, length = hashlib.sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while piece := source.read(_PIECE_BYTES):
            length += len(piece)
            if length > kept.length:
                break
            digest.update(piece)
            file.write(piece)
        os.fchmod(file.fileno(), kept.mode & 0o777)
    if (length, digest.hexdigest()) != (kept.length, kept.sha256):
        raise FormatError("is not the file that was backed up", where=where, remedy=_REMEDY)


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    try:
        with archive.open(MANIFEST) as file:
            data = file.read(_MANIFEST_BYTES_MAX + 1)
        document = canonical_json.decode_canonical(data, size_max=_MANIFEST_BYTES_MAX)
        if document.pop("format") != FORMAT:
            raise FormatError("is of a format that this program does not know", remedy="restore with a newer version")
        files = {_checked(name): Kept(**kept) for name, kept in document.pop("files").items()}
        return Manifest(files=files, **document)
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise FormatError(f"is no backup of a controller: {error}", remedy=_REMEDY) from error


def _checked(name: str) -> str:
    """Return a name that stays below its folder."""
    if not all(_PART.fullmatch(part) for part in name.split("/")):
        raise FormatError(f"names a file that no backup holds: {name[:80]!r}", remedy=_REMEDY)
    return name


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise FormatError(f"is damaged or no backup: {error}", where=str(path), remedy=_REMEDY) from error
