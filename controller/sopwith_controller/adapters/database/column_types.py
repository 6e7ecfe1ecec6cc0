"""How values lie in columns, the same on SQLite and PostgreSQL.

A time is an integer of microseconds since 1970 in UTC, which compares alike everywhere. A document is JSON text without
escapes that PostgreSQL refuses. Text from computers may hold what no database takes (NUL, lone surrogates): it is
replaced, never an error, since a report must not be lost over a stray byte. Text compares by code point.
"""

import json
from collections.abc import Callable
from dataclasses import is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Dialect, Text
from sqlalchemy.types import TypeDecorator

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""Text ordered by code point on both."""


def to_microseconds(time: datetime) -> int:
    """Return the time as it is stored."""
    return (time - _BEGINNING) // _MICROSECOND


def from_microseconds(number: int) -> datetime:
    """Return the stored time."""
    return _BEGINNING + timedelta(microseconds=number)


class Time(TypeDecorator[datetime]):
    """A moment."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Store it."""
        return None if value is None else to_microseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read it."""
        return None if value is None else from_microseconds(value)


class Line(TypeDecorator[str]):
    """Text, cleaned of what a database refuses."""

    impl = TEXT
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Store it."""
        if value is None or (value.isascii() and "\x00" not in value):
            return value
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


class Word(TypeDecorator[StrEnum]):
    """One word of a closed vocabulary."""

    impl = TEXT
    cache_ok = True

    def __init__(self, vocabulary: type[StrEnum]) -> None:
        self.vocabulary = vocabulary
        self._members: dict[str, StrEnum] = {member.value: member for member in vocabulary}
        super().__init__()

    def process_bind_param(self, value: StrEnum | str | None, dialect: Dialect) -> str | None:
        """Store it."""
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> StrEnum | None:
        """Read it; a word of a later version is an error that names it."""
        return None if value is None else self._members.get(value) or self.vocabulary(value)


class Document(TypeDecorator[Any]):
    """A JSON document; `read` makes the value from it."""

    impl = TEXT
    cache_ok = True

    def __init__(self, read: Callable[[Any], Any] | None = None) -> None:
        self.read = read
        super().__init__()

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        """Store it."""
        return json.dumps(value, default=_plain, sort_keys=True, separators=(",", ":"), allow_nan=False)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Read it."""
        document = json.loads(value)
        return self.read(document) if self.read else document


def time_in(document: dict[str, Any], key: str) -> datetime | None:
    """Return the time under a key of a stored document."""
    number = document.get(key)
    return None if number is None else from_microseconds(number)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return vars(value)
    if isinstance(value, datetime):
        return to_microseconds(value)
    raise TypeError(f"a {type(value).__name__} cannot be stored in a document")
