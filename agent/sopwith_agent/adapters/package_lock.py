"""The package tool's locks: who holds them, and holding one while Sopwith installs.

Decides how dpkg's and apt's locks below a root are asked for and taken; what follows from a held one is the caller's.
Rules: a lock is never broken and its holder never ended. Asking must not release what this process holds itself, which
POSIX locks do when any descriptor of the file is closed: so the agent holds its own lock on an open file description.
"""

import contextlib
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import psutil

from sopwith_agent.domain.errors import StepError
from sopwith_formats.vocabulary import Symptom

ADMIN_FOLDER = "var/lib/dpkg"
_FRONTEND = "lock-frontend"
_LOCKS = (_FRONTEND, "lock")
_FLOCK = "hhqqi4x"
"""struct flock of 64-bit Linux: type, whence, start, length, process."""
_RPM_FOLDERS = ("usr/lib/sysimage/rpm", "var/lib/rpm")
_RPM_DATABASES = ("rpmdb.sqlite", "Packages", "Packages.db")


def lock_holder(root: Path, *, besides_frontend: bool = False) -> str | None:
    """Return who holds a lock of the package tool, empty: nobody, None: there is no package tool below this root.

    `besides_frontend` leaves out the one that this process holds by `frontend_lock`.
    """
    folder = root / ADMIN_FOLDER
    if not folder.is_dir():
        return rpm_lock_holder(root)
    for name in _LOCKS[1:] if besides_frontend else _LOCKS:
        holder = _holder(folder / name)
        if holder:
            return holder
    return ""


def rpm_database(root: Path) -> str | None:
    """Return the absolute path of rpm's database as the root sees it, None where there is none."""
    for folder in _RPM_FOLDERS:
        if any((root / folder / name).exists() for name in _RPM_DATABASES):
            return f"/{folder}"
    return None


def rpm_lock_holder(root: Path) -> str | None:
    """Return who holds rpm's transaction lock, empty: nobody, None: rpm keeps no database below this root."""
    database = rpm_database(root)
    return None if database is None else _holder(root / database.lstrip("/") / ".rpm.lock")


@contextlib.contextmanager
def frontend_lock(root: Path) -> Iterator[None]:
    """Hold the lock that package tools take first; raise StepError (PACKAGE_LOCK_HELD) where somebody has it."""
    path = root / ADMIN_FOLDER / _FRONTEND
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    except OSError as error:
        message = f"the package tool's lock {path} cannot be opened: {error.strerror}"
        raise StepError(Symptom.PERMISSION_DENIED, message, remedy="run the agent as root") from error
    try:
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        except OSError as error:
            raise held(lock_holder(root) or "another program") from error
        yield
    finally:
        os.close(descriptor)


def held(holder: str) -> StepError:
    """Return the refusal that names the holder."""
    return StepError(
        Symptom.PACKAGE_LOCK_HELD,
        f"the package tool's lock is held by {holder}",
        remedy="wait for it to end; Sopwith never ends it",
    )


def _holder(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    except OSError:
        return _holder_by_inode(path)
    try:
        question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, process = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    except OSError:
        return ""
    finally:
        os.close(descriptor)
    return "" if kind == fcntl.F_UNLCK else _name(process)


def _holder_by_inode(path: Path) -> str:
    """Ask the kernel's list of locks, for a lock file that this user may not open."""
    try:
        inode = path.stat().st_ino
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        words = line.split()
        if len(words) > 5 and words[1] in ("POSIX", "OFDLCK") and words[5].rpartition(":")[2] == str(inode):  # noqa: PLR2004  the columns of /proc/locks
            return _name(int(words[4]))
    return ""


def _name(process: int) -> str:
    if process <= 0:
        return "another program"
    try:
        return f"{psutil.Process(process).name()}, process {process}"
    except psutil.Error:
        return f"process {process}"
