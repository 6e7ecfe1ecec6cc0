r"""One entry of the update log: its fields, its exact bytes, and the digest that links it to all before it.

This module decides how an entry is written, escaped and linked. When an entry is made, and what it says, is the
controller's; the tree over the entries is `merkle`'s, whose leaf is the entry's canonical bytes.

Rules: an entry is canonical JSON with exactly the fields of `LogEntry` and `format`; `entry_sha256` is the digest of
`PREFIX`, the 32 bytes of the previous entry's digest (zeros before the first) and those bytes. Text from outside cannot
break a line or steer a terminal: control, format and separator characters are stored as visible escapes, so one entry
is one line wherever it is printed. Text longer than `TEXT_CHARACTERS_MAX` is cut, and says so.

>>> escape("a\x1b[2J\nb")
'a\\u001b[2J\\u000ab'
"""

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta, timezone
from json.encoder import encode_basestring
from typing import Any

from sopwith_formats import canonical_json
from sopwith_formats.units import format_time

FORMAT = 1
PREFIX = b"sopwith-log-entry-v1\n"
FIRST_PREVIOUS = bytes(32)
TEXT_CHARACTERS_MAX = 4096
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_DAY_SECONDS = 86400


@dataclass(frozen=True)
class LogEntry:
    """What one entry says. Absent text is empty, absent numbers are 0."""

    index: int
    time: str
    """When the controller recorded it, RFC 3339 in UTC."""
    date: str
    local_time: str
    """The same moment on the computer's own clock zone; empty where no computer is meant."""
    kind: str
    computer: str
    release: str
    version_before: str
    version_after: str
    outcome: str
    corrected_outcome: str
    symptom: str
    attempts: int
    operator: str
    rollout: str
    ticket: str
    sop_id: str
    sop_revision: int
    receipt_sha256: str
    message: str
    details: dict[str, Any] = field(default_factory=dict)

    def canonical(self) -> bytes:
        """Return the exact bytes that are hashed; raise FormatError for what JSON cannot carry exactly."""
        return canonical_json.encode({"format": FORMAT, **vars(self)})


@dataclass(frozen=True)
class LogRow:
    """One entry as it lies in a store or an export, believed by nobody before `log_verification` compared it.

    The fields are those of `LogEntry`, with `details` as canonical JSON text, then the exact bytes and the digest.
    """

    index: int
    time: str
    date: str
    local_time: str
    kind: str
    computer: str
    release: str
    version_before: str
    version_after: str
    outcome: str
    corrected_outcome: str
    symptom: str
    attempts: int
    operator: str
    rollout: str
    ticket: str
    sop_id: str
    sop_revision: int
    receipt_sha256: str
    message: str
    details: str
    canonical_json: str
    entry_sha256: str


ROW_FIELDS = tuple(item.name for item in fields(LogRow))
_NUMBERS = frozenset({"attempts", "format", "index", "sop_revision"})
_CONTENT_SORTED = sorted({"format", *(item.name for item in fields(LogEntry))})


def link(previous: bytes, canonical: bytes) -> bytes:
    """Return an entry's digest, 32 bytes, from the previous entry's and its own exact bytes."""
    return hashlib.sha256(PREFIX + previous + canonical).digest()


def row_of(entry: LogEntry, previous: bytes) -> tuple[LogRow, bytes]:
    """Return the entry as it is stored after `previous`, and its digest; raise FormatError as `canonical` does."""
    columns = {"format": FORMAT, **vars(entry), "details": canonical_json.encode(entry.details).decode()}
    canonical = text_of(columns) or entry.canonical().decode()
    digest = link(previous, canonical.encode())
    del columns["format"]
    return LogRow(**columns, canonical_json=canonical, entry_sha256=digest.hex()), digest


def text_of(columns: Mapping[str, Any]) -> str:
    """Return the canonical JSON that belongs to these columns, empty when one is of a wrong kind.

    `details` is JSON text already. The text is the one that `canonical_json` writes, composed without a tree, since a
    verification does it a million times. Only `details` goes in unquoted, and the text before and behind it is fixed by
    the other columns, so that one text comes from one set of columns only.
    """
    try:
        parts = [f'"{name}":{_written(name, columns[name])}' for name in _CONTENT_SORTED]
    except (TypeError, KeyError):
        return ""
    return "{" + ",".join(parts) + "}"


def _written(name: str, value: Any) -> str:
    if name in _NUMBERS:
        if type(value) is not int or abs(value) > canonical_json.INTEGER_MAX:
            raise TypeError
        return str(value)
    return value if name == "details" and isinstance(value, str) else encode_basestring(value)


def escape(text: str) -> str:
    r"""Return the text with every character that could break a line or steer a terminal written as \uXXXX."""
    if len(text) > TEXT_CHARACTERS_MAX:
        text = f"{text[:TEXT_CHARACTERS_MAX]} [cut: {len(text)} characters]"
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"\\u{ord(one):04x}" if unicodedata.category(one) in _UNSAFE else one for one in text)


def escape_all(value: Any) -> Any:
    """Return a JSON value with every text in it escaped, keys too."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, Mapping):
        return {escape(str(key)): escape_all(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [escape_all(item) for item in value]
    return value


def local_time(time: datetime, offset_seconds: int | None) -> str:
    """Return the time on a clock with this offset, RFC 3339; empty where there is none or no clock has it."""
    if offset_seconds is None or abs(offset_seconds) >= _DAY_SECONDS:
        return ""
    zone = timezone(timedelta(minutes=round(offset_seconds / 60)))
    return time.astimezone(zone).isoformat(timespec="milliseconds" if time.microsecond else "seconds")


def utc_text(time: datetime) -> tuple[str, str]:
    """Return time and date of an entry as they are written."""
    text = format_time(time)
    return text, text[:10]
