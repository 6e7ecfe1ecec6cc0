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
    _check(document, "")
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def decode(data: bytes, *, size_max: int = 4 * 2**20) -> Any:
    """Return the document of JSON bytes; refuse duplicate keys, floats and more than `size_max` bytes."""
    if len(data) > size_max:
        raise FormatError(f"is {len(data)} bytes long; at most {size_max} are read")
    try:
        document = json.loads(data, object_pairs_hook=_no_duplicates)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise FormatError(f"is not JSON: {error}") from error
    _check(document, "")
    return document


def decode_canonical(data: bytes, *, size_max: int = 4 * 2**20) -> Any:
    """Return the document of canonical bytes; refuse any other writing of the same document."""
    document = decode(data, size_max=size_max)
    if encode(document) != data:
        raise FormatError("is JSON, but not in its canonical writing")
    return document


def sha256_hex(document: Any) -> str:
    """Return the digest of the canonical bytes, 64 hexadecimal digits."""
    return hashlib.sha256(encode(document)).hexdigest()


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise FormatError(f"key {key!r} stands twice")
        result[key] = value
    return result


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
