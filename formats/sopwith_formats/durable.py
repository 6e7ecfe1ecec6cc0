r"""Putting files, folders and links on disk so that a power cut leaves the old or the new, whole, and never less.

This module decides how a name on disk changes its content; what is written, and when, is the caller's. It is the one
place in Sopwith that renames: a test finds no other.

Rules: the new content is written beside the old under a name that nothing reads, flushed to the disk, renamed over the
old in one step, and the folder is flushed too, so that what was reported as written is still there after a power cut.
The mode is exactly what was asked for, from the first byte on, whatever the umask says. When anything fails the old
content stands and nothing is left lying beside it; only a power cut may leave a `.tmp` file, which `sweep` removes.

>>> durable_replace(Path("agent.toml"), b"[agent]\n", 0o600)  # doctest: +SKIP
"""

import contextlib
import glob
import os
import secrets
from pathlib import Path

_SUFFIX = ".tmp"


def durable_replace(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Make `data` the content of the file, new or old; raise OSError and change nothing when that fails."""
    temporary = _beside(path)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        error.filename = str(path)  # nobody knows the other name
        raise
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        _forget(temporary)
        raise
    flush_folder(path.parent)


durable_write = durable_replace
"""The same act under the name that reads better where the file was never there before."""


def durable_move(source: Path, target: Path) -> None:
    """Give a whole, closed file or folder of this file system its final name; a file replaces what stood there.

    The source's content is flushed first: for a folder that means every file in it, so that a finished name never
    stands for unfinished files.
    """
    flush_tree(source)
    source.rename(target)
    flush_folder(target.parent)
    if source.parent != target.parent:
        flush_folder(source.parent)


def durable_symlink(target: str | Path, link: Path) -> None:
    """Make `link` point to `target`, in one step also where it pointed elsewhere; `target` is kept as it is written."""
    temporary = _beside(link)
    temporary.symlink_to(target)
    try:
        temporary.rename(link)
    except BaseException:
        _forget(temporary)
        raise
    flush_folder(link.parent)


def durable_remove(path: Path) -> None:
    """Remove a file or a link for good; an absent one is no error."""
    path.unlink(missing_ok=True)
    flush_folder(path.parent)


def make_private_folder(path: Path) -> None:
    """Make the folder, and those above it that are missing, for this user only (0700); an existing one is tightened."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    flush_folder(path.parent)


def flush_folder(path: Path) -> None:
    """Bring the folder's list of names to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_tree(path: Path) -> None:
    """Bring a file, or every file and folder below a folder, to the disk; links need no flushing of their own."""
    if path.is_symlink():
        return
    if path.is_dir():
        for child in path.iterdir():
            flush_tree(child)
        flush_folder(path)
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> None:
    """Remove what power cuts left in the folder; call it only where nobody else is writing."""
    for leftover in folder.glob(f".*{_SUFFIX}"):
        _forget(leftover)


def sweep_tree(folder: Path) -> None:
    """Sweep the folder and every folder below it; links are not followed."""
    for name, _, files in os.walk(folder):
        for leftover in files:
            if leftover.startswith(".") and leftover.endswith(_SUFFIX):
                _forget(Path(name) / leftover)


def sweep_beside(path: Path) -> None:
    """Remove what power cuts left of this one name's changes, in a folder that is not wholly ours."""
    for leftover in path.parent.glob(f".{glob.escape(path.name[:200])}.*{_SUFFIX}"):
        _forget(leftover)


def _beside(path: Path) -> Path:
    return path.parent / f".{path.name[:200]}.{secrets.token_hex(6)}{_SUFFIX}"


def _forget(temporary: Path) -> None:
    with contextlib.suppress(OSError):
        temporary.unlink()
