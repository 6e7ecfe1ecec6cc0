"""The update files themselves on the controller's disk, under the names by which computers ask for them.

This module decides where a file lies and how it gets there whole; which files are signed is the metadata's business. A
target `hello/2.10-3/hello.deb` lies at `hello/2.10-3/<sha256>.hello.deb`. Content is checked when it is uploaded, and
served as it lies ever after: computers prove it themselves.
"""

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

from sopwith_controller.domain.errors import InvalidInputError, UnavailableError
from sopwith_formats.durable import durable_move, flush_folder, make_private_folder

LENGTH_MAX = 64 * 2**30
SPACE_MARGIN_BYTES = 64 * 2**20
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._~:-]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PARTS = 3


class TargetFiles:
    """The folder of update files, and a private one for uploads on their way."""

    def __init__(self, folder: Path, staging: Path) -> None:
        self._folder = folder
        self._staging = staging

    def path(self, target: str, sha256: str) -> Path:
        """Return where a target lies; raise InvalidInputError for names that no release has."""
        parts = target.split("/")
        if len(parts) != _PARTS or not all(_PART.fullmatch(part) for part in parts):
            raise InvalidInputError(f"{target!r} is no name of a target", remedy="it reads name/version/file")
        if not _SHA256.fullmatch(sha256):
            raise InvalidInputError(f"{target}: sha256 is no digest")
        return self._folder / parts[0] / parts[1] / f"{sha256}.{parts[2]}"

    def has(self, target: str, length: int, sha256: str) -> bool:
        """Tell whether a file of the right size lies there; its content is not looked at."""
        try:
            return self.path(target, sha256).stat().st_size == length
        except OSError:
            return False

    def read(self, target: str, length: int, sha256: str) -> bytes | None:
        """Return a small file whose content is what was signed, None for any other."""
        try:
            data = self.path(target, sha256).read_bytes()
        except OSError:
            return None
        return data if len(data) == length and hashlib.sha256(data).hexdigest() == sha256 else None

    async def store(self, target: str, length: int, sha256: str, pieces: AsyncIterator[bytes]) -> bool:
        """Store a file; return False when the same content lay there already."""
        path = self.path(target, sha256)
        if not 0 <= length <= LENGTH_MAX:
            raise InvalidInputError(f"{target}: {length} bytes are out of range")
        if await asyncio.to_thread(_is_whole, path, length, sha256):
            return False
        temporary = self._staging / f"{secrets.token_hex(8)}.upload"
        try:
            await asyncio.to_thread(self._prepare, path, length)
            await self._receive(temporary, target, length, sha256, pieces)
            await asyncio.to_thread(durable_move, temporary, path)
        except OSError as error:
            raise UnavailableError(
                f"the controller cannot store {target}: {error.strerror}", remedy="free space on the controller's disk"
            ) from error
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def sweep(self) -> None:
        """Remove uploads that a killed controller left behind."""
        for leftover in self._staging.glob("*.upload"):
            leftover.unlink(missing_ok=True)

    def _prepare(self, path: Path, length: int) -> None:
        make_private_folder(self._staging)
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self._folder, path.parent.parent, path.parent):
            flush_folder(folder)
        disk = os.statvfs(self._staging)
        if disk.f_bavail * disk.f_frsize < length + SPACE_MARGIN_BYTES:
            raise UnavailableError("the controller's disk is too full for this file", remedy="free space there")

    async def _receive(
        self, temporary: Path, target: str, length: int, sha256: str, pieces: AsyncIterator[bytes]
    ) -> None:
        received, digest = 0, hashlib.sha256()
        with temporary.open("wb") as file:
            async for piece in pieces:
                received += len(piece)
                if received > length:
                    break
                digest.update(piece)
                await asyncio.to_thread(file.write, piece)
        if received != length or digest.hexdigest() != sha256:
            raise InvalidInputError(
                f"{target}: what arrived is not what was announced", remedy="publish again; the file changed meanwhile"
            )


def _is_whole(path: Path, length: int, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != length:
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False
