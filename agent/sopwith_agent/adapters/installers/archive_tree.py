"""From a verified archive file to a whole folder on disk: looked through completely, then written, then read again.

Decides the order: the file's own digest, every member against `archive_rules`, only then the first write, into a folder
that nothing reads; afterwards every file is hashed again from the disk. Which folder, and what points to it, is
`archive`'s. Rules: nothing is written through a link (links come last); a member that changed between the two readings
is refused, so that swapping the file in between gains nothing.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from sopwith_agent.adapters.installers import archive_rules
from sopwith_agent.adapters.installers.archive_rules import Entry, Kind, Member, Tree
from sopwith_agent.adapters.installers.archive_stream import CHUNK, Meter, is_zip, open_tar_stream
from sopwith_agent.adapters.installers.tar_reader import read_tar
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_agent.steps.ports import StagedFile
from sopwith_formats.units import format_size
from sopwith_formats.vocabulary import Symptom


@dataclass(frozen=True)
class Limits:
    """How far one archive may go."""

    unpacked_size_max: int
    deadline: float


@dataclass
class Contents:
    """Everything that an archive would lay."""

    tree: Tree = field(default_factory=Tree)
    digests: dict[archive_rules.Path, bytes] = field(default_factory=dict)
    """SHA-256 of every file's content."""
    size: int = 0


def look_through(file: IO[bytes], staged: StagedFile, limits: Limits) -> Contents:
    """Check the file's digest and every member; return what it holds, refuse what breaks a rule; write nothing."""
    _check_digest(file, staged)
    contents = Contents()
    for member, pieces in _members(file, staged.length, limits):
        entry = contents.tree.add(member)
        if entry is not None and entry.kind is Kind.FILE:
            digest = hashlib.sha256()
            for piece in pieces:
                digest.update(piece)
                contents.size += len(piece)
            contents.digests[entry.path] = digest.digest()
    contents.tree.finish()
    return contents


def write_tree(file: IO[bytes], staged: StagedFile, limits: Limits, contents: Contents, folder: Path) -> None:
    """Write the contents into a new folder and check them there; the caller moves it to its name or removes it."""
    _check_room(folder.parent, contents.size)
    make_folders(folder)
    for member, pieces in _members(file, staged.length, limits):
        if member.kind is Kind.FILE:
            _write_file(_expected(contents, member), pieces, contents, folder)
    entries = contents.tree.entries.values()
    for entry in entries:
        path = folder.joinpath(*entry.path)
        if entry.kind is Kind.FOLDER:
            make_folders(path)
        elif entry.kind is Kind.HARD_LINK:
            make_folders(path.parent)
            os.link(folder / entry.target, path, follow_symlinks=False)
    for entry in entries:
        if entry.kind is Kind.LINK:
            path = folder.joinpath(*entry.path)
            make_folders(path.parent)
            path.symlink_to(entry.target)
    if not holds(folder, contents):
        raise TrustError(Symptom.CONTENT_REFUSED, "what was unpacked is not what the archive holds")


def holds(folder: Path, contents: Contents) -> bool:
    """Tell whether the folder holds exactly the contents, every file hashed from the disk."""
    found: set[archive_rules.Path] = set()
    for path in _walk(folder):
        relative = path.relative_to(folder).parts
        found.add(relative)
        entry = contents.tree.entries.get(relative)
        if not _same(path, entry, contents):
            return False
    return found >= contents.tree.entries.keys()


def make_folders(path: Path) -> None:
    """Make the folder and the missing ones above it for everybody to read, whatever the umask says."""
    if not path.is_dir():
        make_folders(path.parent)
        path.mkdir(mode=0o755)
        path.chmod(0o755)


def _same(path: Path, entry: Entry | None, contents: Contents) -> bool:
    if path.is_symlink():
        return entry is not None and entry.kind is Kind.LINK and str(path.readlink()) == str(Path(entry.target))
    if path.is_dir():
        return entry is None or entry.kind is Kind.FOLDER  # a parent that the archive did not list
    if entry is None or not path.is_file():
        return False
    if entry.kind is Kind.HARD_LINK:
        wanted = contents.digests.get(tuple(entry.target.split("/")))
    else:
        wanted = contents.digests.get(entry.path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest() == wanted


def _walk(folder: Path) -> Iterator[Path]:
    for child in folder.iterdir():
        yield child
        if child.is_dir() and not child.is_symlink():
            yield from _walk(child)


def _members(file: IO[bytes], packed_size: int, limits: Limits) -> Iterator[tuple[Member, Iterator[bytes]]]:
    meter = Meter(packed_size, limits.unpacked_size_max, limits.deadline)
    if is_zip(file):
        from sopwith_agent.adapters.installers.zip_reader import read_zip  # most archives are none

        return read_zip(file, meter)
    return read_tar(open_tar_stream(file, meter))


def _write_file(entry: Entry, pieces: Iterator[bytes], contents: Contents, folder: Path) -> None:
    path = folder.joinpath(*entry.path)
    make_folders(path.parent)
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as target:
        for piece in pieces:
            digest.update(piece)
            target.write(piece)
        os.fchmod(target.fileno(), entry.mode)
    if digest.digest() != contents.digests[entry.path]:
        raise TrustError(Symptom.CONTENT_REFUSED, f"the archive changed while it was unpacked, at {entry.path[-1]!r}")


def _expected(contents: Contents, member: Member) -> Entry:
    path = tuple(member.name.removeprefix("./").split("/"))
    entry = contents.tree.entries.get(path)
    if entry is None or entry.kind is not Kind.FILE:
        raise TrustError(Symptom.CONTENT_REFUSED, f"the archive changed while it was unpacked, at {path[-1]!r}")
    return entry


def _check_digest(file: IO[bytes], staged: StagedFile) -> None:
    digest = hashlib.sha256()
    length = 0
    file.seek(0)
    while piece := file.read(CHUNK):
        digest.update(piece)
        length += len(piece)
    if length != staged.length or digest.hexdigest() != staged.sha256:
        raise TrustError(
            Symptom.DOWNLOAD_DIGEST_MISMATCH,
            f"{staged.file} is no longer the file that was verified",
            remedy="find out who changes files in the agent's staging folder",
        )


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise StepError(
            Symptom.DISK_FULL,
            f"unpacking needs {format_size(size)} at {folder}, {format_size(free)} are free",
            remedy=f"free {format_size(size - free)} there",
        )
