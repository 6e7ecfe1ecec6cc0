"""Reading frozen dataclasses back from canonical JSON, strictly: every key once, known, and of its declared type.

Decides how a dataclass's annotations answer to JSON: `str`, `int`, `bool`, a nested dataclass, `tuple[X, ...]` (a
list), `dict[str, X]` (a group), and unions of these (`int | str`, `X | None`). What values mean is left to the
dataclass, which may check itself in `__post_init__` by raising FormatError. A key may be absent only where the
dataclass has a default.

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True)
... class Wave:
...     name: str
...     soak_seconds: int = 0
>>> read_dataclass(Wave, {"name": "canary"})
Wave(name='canary', soak_seconds=0)
"""

import types
from collections.abc import Callable
from dataclasses import MISSING, asdict, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from sopwith_formats import canonical_json
from sopwith_formats.errors import FormatError

Kind = TypeVar("Kind")


def write_document(value: Any, *, version: int) -> bytes:
    """Return the canonical bytes of a dataclass, with its format's version under the key `format`."""
    return canonical_json.encode({"format": version, **asdict(value)})


def read_document(kind: type[Kind], data: bytes, *, version: int, size_max: int = 2**20) -> Kind:
    """Return the dataclass of canonical bytes; raise FormatError for any other writing, version, key or type."""
    document = canonical_json.decode_canonical(data, size_max=size_max)
    if not isinstance(document, dict) or document.pop("format", None) != version:
        raise FormatError(f"is no document of format {version}")
    return read_dataclass(kind, document)


def read_dataclass(kind: type[Kind], document: Any, where: str = "") -> Kind:
    """Return the dataclass of a JSON group; raise FormatError that names the place of the first fault."""
    try:
        made: Kind = _reader(kind)(document)  # type: ignore[arg-type]  # a class is hashable; TypeVars hide it
    except _FaultError as fault:
        raise FormatError(fault.text, where=fault.place(where)) from None
    return made


_Reader = Callable[[Any], Any]


class _FaultError(Exception):
    """A fault, and the way to it, which is only written down where there is one: a plan has a million values."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._way: list[str | int] = []

    def below(self, step: str | int) -> "_FaultError":
        """Note that it lies under this key, or at this place of a list."""
        self._way.append(step)
        return self

    def place(self, where: str) -> str:
        """Return where it lies, from the outside in."""
        for step in reversed(self._way):
            where = f"{where}[{step}]" if isinstance(step, int) else f"{where}.{step}" if where else step
        return where


@cache
def _reader(hint: Any) -> _Reader:
    """Return what reads a value of this type; made once per type."""
    origin = get_origin(hint)
    if origin in {Union, types.UnionType}:
        return _union_reader(get_args(hint))
    if origin is tuple:
        return _list_reader(_reader(get_args(hint)[0]))
    if origin is dict:
        return _group_reader(_reader(get_args(hint)[1]))
    if isinstance(hint, type) and is_dataclass(hint):
        return _dataclass_reader(hint)
    return _as_it_is if hint is Any else _plain_reader(hint)


def _as_it_is(value: Any) -> Any:
    return value


def _plain_reader(kind: type[Any]) -> _Reader:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise _not_of(kind, value)
        return value

    return read


def _list_reader(read_item: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        if type(value) is not list:
            raise _not_of(list, value)
        items: list[Any] = []
        try:
            for item in value:
                items.append(read_item(item))  # noqa: PERF401  how many are read says where the fault lies
        except _FaultError as fault:
            raise fault.below(len(items)) from None
        return tuple(items)

    return read


def _group_reader(read_item: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise _not_of(dict, value)
        return _read_each(dict.fromkeys(value, read_item), value)

    return read


def _dataclass_reader(kind: type[Any]) -> _Reader:
    known = fields(kind)
    hints = get_type_hints(kind)
    readers: dict[str, _Reader] = {}
    required = [item.name for item in known if item.default is MISSING and item.default_factory is MISSING]

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _FaultError(f"is {type(value).__name__}, not a group of keys")
        if not readers:  # not before it is used: a dataclass may hold its own kind
            readers.update({item.name: _reader(hints[item.name]) for item in known})
        if not value.keys() <= readers.keys():
            raise _FaultError(f"has the unknown key {min(value.keys() - readers.keys())!r}")
        for name in required:
            if name not in value:
                raise _FaultError(f"lacks the key {name!r}")
        return kind(**_read_each(readers, value))

    return read


def _read_each(readers: dict[str, _Reader], value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    name = ""
    try:
        for name, item in value.items():
            found[name] = readers[name](item)
    except _FaultError as fault:
        raise fault.below(name) from None
    return found


def _union_reader(hints: tuple[Any, ...]) -> _Reader:
    readers = [(_plain_kind(hint), _reader(hint)) for hint in hints]

    def read(value: Any) -> Any:
        kind = type(value)
        for plain, read_it in readers:
            if kind is plain:
                return read_it(value)
        raise _FaultError(f"is of type {kind.__name__}")

    return read


def _plain_kind(hint: Any) -> type[Any]:
    """Return the type of the JSON value that a type is read from."""
    if is_dataclass(hint) or get_origin(hint) is dict:
        return dict
    plain: type[Any] = list if get_origin(hint) is tuple else hint
    return plain


def _not_of(kind: type[Any], value: Any) -> _FaultError:
    return _FaultError(f"is of type {type(value).__name__}, not {kind.__name__}")
