"""The checkpoint files in `log/checkpoints`: what the log promised, outside the database.

A file holds the newest checkpoint of a block of 256 sizes. Rules: what is written here was committed to the database
before; a size smaller than one published is never written; a file that is no checkpoint is passed over and reported by
the verification, not mended.
"""

from pathlib import Path

import structlog

from sopwith_formats.checkpoint import Checkpoint, read_checkpoint
from sopwith_formats.durable import durable_replace
from sopwith_formats.errors import FormatError

BLOCK = 256
_log = structlog.get_logger()


class CheckpointFiles:
    """Published checkpoints of one controller."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self) -> Checkpoint | None:
        """Return the published checkpoint of the largest size."""
        return max(self._readable(), key=lambda one: one.size, default=None)

    def all(self) -> list[str]:
        """Return what the files hold, by name; also what is no checkpoint."""
        return [path.read_text(encoding="utf-8", errors="replace") for path in sorted(self._folder.glob("[0-9]*"))]

    def publish(self, note: str) -> None:
        """Write a committed checkpoint; a smaller one than published is passed over."""
        fresh = read_checkpoint(note)
        newest = self.newest()
        if newest is not None and newest.size >= fresh.size:
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        durable_replace(self._folder / f"{fresh.size // BLOCK:012d}", note.encode(), 0o644)

    def _readable(self) -> list[Checkpoint]:
        found = []
        for text in self.all():
            try:
                found.append(read_checkpoint(text))
            except FormatError as error:
                _log.warning("checkpoint_file_unreadable", folder=str(self._folder), error=str(error))
        return found
