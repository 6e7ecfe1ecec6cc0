"""The export of an update log: one ZIP file that proves itself anywhere, long after the controller is gone.

This module decides the files inside and their lines; what they must say to each other is `log_verification`'s. Rules:
entries, hashes and notes are written as they lie in the store, so that a falsified one is exported falsified and found;
one entry is one line of JSON, readable without Sopwith; reading is bounded and unpacks nothing to the disk.
"""

import base64
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

from sopwith_formats.errors import FormatError
from sopwith_formats.log_entry import ROW_FIELDS, LogRow
from sopwith_formats.merkle import TreeNode
from sopwith_formats.receipt_verification import SignedRecord

ENTRIES = "entries.jsonl"
NODES = "nodes.txt"
CHECKPOINTS = "checkpoints.json"
LOG_KEY = "log_key.txt"
RECEIPTS = "receipts.jsonl"
README = "README.txt"
_LINE_BYTES_MAX = 2**20
_SMALL_BYTES_MAX = 64 * 2**20
_NODE_PARTS = 3
_REMEDY = "export it again with `sopwith log export --out FILE`"

_README_TEXT = """\
This is the export of a Sopwith update log: the record of which update was installed where, when, by whose leave, and
how it ended.

{entries}
  One entry per line, oldest first, as JSON. "time" is UTC, "local_time" the computer's own clock. "canonical_json" is
  the entry's exact text; "entry_sha256" is the SHA-256 digest of the line "sopwith-log-entry-v1" with its line end, the
  32 bytes of the previous entry's digest (zeros before the first), and that text.
{nodes}
  The hash tree over the entries (RFC 6962, SHA-256): level, index, hash. Level 0 are the entries' own hashes.
{checkpoints}
  Signed statements of how many entries there were and what their tree's root was (C2SP tlog-checkpoint).
{log_key}
  The public key that signed them. Compare it with the one that you got by another way: a key that comes with the file
  proves nothing about the file's origin.

{receipts}
  What computers signed about themselves, one record per line, by computer and number: "payload" is the signed text,
  "signature" is by the computer's receipt key over the line "sopwith-receipt-v1" with its line end and the payload. The
  keys stand in the entries RECEIPT_KEY_BOUND and RECEIPT_KEY_CHANGED; other entries cite a record by its digest.

To check everything:  sopwith log verify FILE --log-key KEY
Without a key the check says whether the file is consistent in itself, not where it comes from.
"""


class LogExportWriter:
    """Writes an export piece by piece into an open file; call the methods in the order in which they stand here."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        names = {"entries": ENTRIES, "nodes": NODES, "checkpoints": CHECKPOINTS, "log_key": LOG_KEY}
        names["receipts"] = RECEIPTS
        self._zip.writestr(README, _README_TEXT.format(**names))
        self._member: IO[bytes] | None = None
        self._name = ""

    def add_entries(self, rows: Iterable[LogRow]) -> None:
        """Append entries."""
        self._lines(ENTRIES, (json.dumps(vars(row), ensure_ascii=True, separators=(",", ":")) for row in rows))

    def add_nodes(self, nodes: Iterable[TreeNode]) -> None:
        """Append tree nodes."""
        self._lines(NODES, (f"{node.level} {node.index} {node.digest.hex()}" for node in nodes))

    def add_receipts(self, records: Iterable[SignedRecord]) -> None:
        """Append signed records."""
        documents = (
            {
                "computer_id": record.computer_id,
                "number": record.number,
                "payload": record.payload.decode("utf-8", "backslashreplace"),
                "signature": base64.b64encode(record.signature).decode(),
            }
            for record in records
        )
        self._lines(RECEIPTS, (json.dumps(one, ensure_ascii=True, separators=(",", ":")) for one in documents))

    def finish(self, checkpoints: Iterable[str], log_key: str) -> None:
        """Write notes and key, and end the file."""
        self._close_member()
        self._zip.writestr(CHECKPOINTS, json.dumps(list(checkpoints), indent=1))
        self._zip.writestr(LOG_KEY, f"{log_key}\n")
        self._zip.close()

    def _lines(self, name: str, lines: Iterable[str]) -> None:
        if self._name != name or self._member is None:
            self._close_member()
            self._name, self._member = name, self._zip.open(name, "w", force_zip64=True)
        self._member.write("".join(f"{line}\n" for line in lines).encode())

    def _close_member(self) -> None:
        if self._member is not None:
            self._member.close()
            self._member = None


class LogExport:
    """An export that was opened for reading; a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the file; raise FormatError when it is no export, OSError when it cannot be read."""
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError) as error:
            raise FormatError("is no export of an update log", where=str(path), remedy=_REMEDY) from error
        names = set(self._zip.namelist())
        missing = sorted({ENTRIES, NODES, CHECKPOINTS} - names)
        if missing:
            self._zip.close()
            raise FormatError(f"lacks {', '.join(missing)}", where=str(path), remedy=_REMEDY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def entries(self) -> Iterator[LogRow]:
        """Return the entries in order; raise FormatError for a line that is none."""
        for number, line in self._lines(ENTRIES):
            where = f"{ENTRIES}, line {number}"
            try:
                document = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise FormatError("is no JSON", where=where, remedy=_REMEDY) from error
            if not isinstance(document, dict) or document.keys() != set(ROW_FIELDS):
                raise FormatError("is no entry", where=where, remedy=_REMEDY)
            yield LogRow(**document)

    def nodes(self) -> Iterator[TreeNode]:
        """Return the tree's nodes in order; raise FormatError for a line that is none."""
        for number, line in self._lines(NODES):
            parts = line.decode("ascii", "replace").split()
            try:
                if len(parts) != _NODE_PARTS:
                    raise ValueError  # noqa: TRY301  one message for every broken line
                yield TreeNode(int(parts[0]), int(parts[1]), bytes.fromhex(parts[2]))
            except ValueError as error:
                raise FormatError("is no hash", where=f"{NODES}, line {number}", remedy=_REMEDY) from error

    def checkpoints(self) -> list[str]:
        """Return the notes; raise FormatError when there is no list of them."""
        try:
            notes: Any = json.loads(self._small(CHECKPOINTS))
        except ValueError as error:
            raise FormatError("is no JSON", where=CHECKPOINTS, remedy=_REMEDY) from error
        if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
            raise FormatError("is no list of notes", where=CHECKPOINTS, remedy=_REMEDY)
        return notes

    def receipts(self) -> Iterator[SignedRecord]:
        """Return the signed records; none from an export that was made before they were kept."""
        if RECEIPTS not in self._zip.namelist():
            return
        for number, line in self._lines(RECEIPTS):
            try:
                document = json.loads(line)
                yield SignedRecord(
                    str(document["computer_id"]),
                    int(document["number"]),
                    str(document["payload"]).encode(),
                    base64.b64decode(document["signature"], validate=True),
                )
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise FormatError("is no record", where=f"{RECEIPTS}, line {number}", remedy=_REMEDY) from error

    def log_key(self) -> str:
        """Return the key that came with the file, empty without one; it proves nothing by itself."""
        return self._small(LOG_KEY).decode("utf-8", "replace").strip() if LOG_KEY in self._zip.namelist() else ""

    def _small(self, name: str) -> bytes:
        with self._opened(name) as file, _damage_named(name):
            data = file.read(_SMALL_BYTES_MAX + 1)
        if len(data) > _SMALL_BYTES_MAX:
            raise FormatError("is too long", where=name)
        return data

    def _lines(self, name: str) -> Iterator[tuple[int, bytes]]:
        with self._opened(name) as file, _damage_named(name):
            number = 0
            while line := file.readline(_LINE_BYTES_MAX):
                number += 1
                if not line.endswith(b"\n"):
                    raise FormatError("is cut off or too long", where=f"{name}, line {number}", remedy=_REMEDY)
                yield number, line

    def _opened(self, name: str) -> IO[bytes]:
        with _damage_named(name):
            return self._zip.open(name)


@contextmanager
def _damage_named(name: str) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise FormatError(f"is damaged: {error}", where=name, remedy=_REMEDY) from error
