"""Canonical JSON: one byte sequence for one document, so that digests and signatures mean the same everywhere.

Rules: UTF-8, keys sorted by code point, no white space, no escapes beyond those that JSON demands, no floating-point
numbers (their text differs between writers; a decimal number is written as a string), no duplicate keys, integers
within 53 bits (what every JSON reader keeps exactly).

>>> encode({"b": 1, "a": ["x", None, True]})
b'{"a":["x",null,true],"b":1}'
"""

import hashlib
import json
from typing import Any

from sopwith_formats.errors import FormatError

INTEGER_MAX = 2**53 - 1


def encode(document: Any) -> bytes:
    """Return the canonical bytes of a JSON document; raise FormatError for what JSON cannot carry exactly."""
    if not _is_exact(document):
        _check(document, "")
    return _write(document)


def decode(data: bytes, *, size_max: int = 4 * 2**20) -> Any:
    """Return the document of JSON bytes; refuse duplicate keys, floats and more than `size_max` bytes."""
    if len(data) > size_max:
        raise FormatError(f"is {len(data)} bytes long; at most {size_max} are read")
    try:
        document = json.loads(data, object_pairs_hook=_no_duplicates)
        if not _is_exact(document):
            _check(document, "")
    except FormatError:
        raise
    except (ValueError, RecursionError) as error:  # a number of too many digits is a plain ValueError
        raise FormatError(f"is not JSON: {error}") from error
    return document


def decode_canonical(data: bytes, *, size_max: int = 4 * 2**20) -> Any:
    """Return the document of canonical bytes; refuse any other writing of the same document."""
    document = decode(data, size_max=size_max)
    if _write(document) != data:
        raise FormatError("is JSON, but not in its canonical writing")
    return document


def sha256_hex(document: Any) -> str:
    """Return the digest of the canonical bytes, 64 hexadecimal digits."""
    return hashlib.sha256(encode(document)).hexdigest()


def _write(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise FormatError(f"key {key!r} stands twice")
            seen.add(key)
    return result


def _is_exact(value: Any) -> bool:
    """Tell at a glance whether JSON carries it exactly; a no is `_check`'s to look into, and to say where.

    A plan of a hundred thousand members is a million values: nothing is written down of where each one stands.
    """
    kind = value.__class__
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return bool(-INTEGER_MAX <= value <= INTEGER_MAX)
    if kind is dict:
        return all(key.__class__ is str and (item.__class__ is str or _is_exact(item)) for key, item in value.items())
    return kind in {list, tuple} and all(map(_is_exact, value))


def _check(value: Any, where: str) -> None:
    if value is None or isinstance(value, (str, bool)):
        return
    if isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise FormatError("is an integer of more than 53 bits", where=where)
        return
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]")
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise FormatError(f"has the key {key!r}, which is no text", where=where)
            _check(item, f"{where}.{key}" if where else key)
        return
    remedy = "write a decimal number as text" if isinstance(value, float) else ""
    raise FormatError(f"has a value of type {type(value).__name__}", where=where, remedy=remedy)
