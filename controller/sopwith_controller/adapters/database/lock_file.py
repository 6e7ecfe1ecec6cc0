"""The lock beside a SQLite file: one controller process only; others may read the file while it runs.

The lock is the operating system's, so it ends with the process, however that ends; the file's text only names the
holder. It stands beside the database, because locking the database file itself would disturb SQLite's own locks.
"""

import contextlib
import fcntl
import os
from pathlib import Path

from sopwith_controller.domain.errors import UnavailableError


class LockFile:
    """An exclusive lock, held until `release`."""

    def __init__(self, path: Path) -> None:
        """Take the lock at once; raise UnavailableError that names the holder."""
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 200, 0).decode("utf-8", "replace").strip() or "another process"
            os.close(self._descriptor)
            raise UnavailableError(
                f"the database {path.with_suffix('')} is in use by {holder}",
                remedy="stop that controller first; one database serves one controller process",
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"process {os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others in."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
