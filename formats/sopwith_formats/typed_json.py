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
    if not isinstance(document, dict):
        raise FormatError(f"is {type(document).__name__}, not a group of keys", where=where)
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    unknown = sorted(document.keys() - known.keys())
    if unknown:
        raise FormatError(f"has the unknown key {unknown[0]!r}", where=where)
    for name, item in known.items():
        if name not in document and item.default is MISSING and item.default_factory is MISSING:
            raise FormatError(f"lacks the key {name!r}", where=where)
    hints = _hints(kind)  # type: ignore[arg-type]  # a class is hashable; TypeVars hide it
    return kind(**{name: _read(hints[name], value, _join(where, name)) for name, value in document.items()})


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    """Return the types of a dataclass's fields; kept, because a plan has a hundred thousand members of one kind."""
    return get_type_hints(kind)


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _read(hint: Any, value: Any, where: str) -> Any:
    origin = get_origin(hint)
    if origin in {Union, types.UnionType}:
        return _read_union(get_args(hint), value, where)
    if origin is tuple:
        _expect(list, value, where)
        return tuple(_read(get_args(hint)[0], item, f"{where}[{index}]") for index, item in enumerate(value))
    if origin is dict:
        _expect(dict, value, where)
        return {key: _read(get_args(hint)[1], item, _join(where, key)) for key, item in value.items()}
    if isinstance(hint, type) and is_dataclass(hint):
        return read_dataclass(hint, value, where)
    if hint is not Any:
        _expect(hint, value, where)
    return value


def _read_union(hints: tuple[Any, ...], value: Any, where: str) -> Any:
    for hint in hints:
        plain = dict if is_dataclass(hint) or get_origin(hint) is dict else list if get_origin(hint) is tuple else hint
        if type(value) is plain:
            return _read(hint, value, where)
    raise FormatError(f"is of type {type(value).__name__}", where=where)


def _expect(kind: type[Any], value: Any, where: str) -> None:
    if type(value) is not kind:
        raise FormatError(f"is of type {type(value).__name__}, not {kind.__name__}", where=where)
