"""The journal: one file per assignment, written whole and durably before anything acts on it.

Decides how records lie on disk; what they say is `domain.record`'s. Rules: a record is replaced atomically, so a power
cut leaves the old or the new one; a file that cannot be read is set aside under another name, told to the log, and
never guessed at; of the finished assignments only the newest are kept; an agent that cannot write a record does not do
what the record would have announced.
"""

import json
from pathlib import Path

import structlog

from sopwith_agent.domain import limits
from sopwith_agent.domain.errors import JournalError
from sopwith_agent.domain.record import Record, read_record
from sopwith_formats.durable import durable_move, durable_remove, durable_replace, make_private_folder, sweep
from sopwith_formats.errors import FormatError

_log = structlog.get_logger()
_SUFFIX = ".json"
_ORDERS = "orders.json"
_NOTICES = "notices.json"
_REMEDY = "make room on the disk that holds the agent's state folder, and look at its rights"


class FileJournal:
    """Records below one private folder; used by one process at a time."""

    def __init__(self, folder: Path) -> None:
        """Take the folder over; leftovers of power cuts go."""
        self._folder = folder / "assignments"
        self._orders = folder / _ORDERS
        self._notices = folder / _NOTICES
        try:
            make_private_folder(folder)
            make_private_folder(self._folder)
            sweep(folder)
            sweep(self._folder)
        except OSError as error:
            raise JournalError(f"The journal {folder} cannot be used: {error.strerror}.", remedy=_REMEDY) from error

    def save(self, record: Record) -> None:
        """Make the record durable in place of the assignment's older one."""
        data = record.to_json()
        path = self._path(record.warrant.assignment_id)
        try:
            durable_replace(path, data, 0o600)
            if record.ended and record.reported:
                self._forget_oldest()
        except OSError as error:
            raise JournalError(f"The journal cannot write {path}: {error.strerror}.", remedy=_REMEDY) from error

    def load(self, assignment_id: str) -> Record | None:
        """Return the assignment's record, None when there is none or it cannot be read."""
        return self._read(self._path(assignment_id))

    def records(self) -> list[Record]:
        """Return every readable record, oldest first."""
        try:
            paths = sorted(self._folder.glob(f"*{_SUFFIX}"))
        except OSError as error:
            raise JournalError(f"The journal cannot be read: {error.strerror}.", remedy=_REMEDY) from error
        found = [record for path in paths if (record := self._read(path)) is not None]
        return sorted(found, key=lambda record: (record.started_time, record.warrant.assignment_id))

    def kept_orders(self) -> bytes | None:
        """Return the orders as they were last kept, None before the first."""
        try:
            return self._orders.read_bytes()
        except FileNotFoundError:
            return None

    def keep_orders(self, data: bytes) -> None:
        """Make the orders durable; raise OSError when the disk refuses."""
        durable_replace(self._orders, data, 0o600)

    def kept_notices(self) -> bytes | None:
        """Return what people were told and answered, as it was last kept; None before the first."""
        try:
            return self._notices.read_bytes()
        except FileNotFoundError:
            return None

    def keep_notices(self, data: bytes) -> None:
        """Make it durable; raise OSError when the disk refuses."""
        durable_replace(self._notices, data, 0o600)

    def _path(self, assignment_id: str) -> Path:
        return self._folder / f"{assignment_id}{_SUFFIX}"

    def _read(self, path: Path) -> Record | None:
        try:
            return read_record(path.read_bytes())
        except FileNotFoundError:
            return None
        except FormatError as error:
            self._set_aside(path, error)
            return None
        except OSError as error:
            raise JournalError(f"The journal cannot read {path}: {error.strerror}.", remedy=_REMEDY) from error

    def _set_aside(self, path: Path, error: FormatError) -> None:
        """Keep a broken record for a person; the controller hands the assignment out again or ends it."""
        _log.error("journal_record_broken", path=str(path), error=error.message)
        try:
            durable_move(path, path.with_name(f"{path.name}.broken"))
        except OSError as failure:
            raise JournalError(f"The journal cannot set {path} aside: {failure.strerror}.", remedy=_REMEDY) from failure

    def _forget_oldest(self) -> None:
        """Keep the newest finished assignments only; their receipts live in the outbox."""
        paths = sorted(self._folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime_ns)
        if len(paths) <= limits.journal_finished_max:
            return
        finished = [path for path in paths if _is_finished(path)]
        for path in finished[: len(finished) - limits.journal_finished_max]:
            durable_remove(path)


def _is_finished(path: Path) -> bool:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and bool(document.get("reported"))
