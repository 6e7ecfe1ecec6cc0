"""The model checker's findings in our words: what is wrong, and how the writer mends it.

Decides wording only. pydantic reports types and limits in its own terms; a person who writes a SOP wants to read what
the value should have been. A FormatError raised by one of our own value types is passed on as it is.

Rules: every message is a sentence about the value at its key; every message has a mend; an unknown key is answered with
the nearest known one.
"""

import difflib
import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from sopwith_formats.errors import FormatError

_SHOWN_CHARACTERS = 60

_PLAIN = {
    "int_type": ("is {input}, not a whole number", "write a whole number without quotes"),
    "bool_type": ("is {input}, neither true nor false", "write true or false"),
    "string_type": ("is {input}, not a text", "write a text; put it into quotes where it looks like a number"),
    "list_type": ("is {input}, not a list", "write [a, b] or lines that begin with -"),
    "dict_type": ("is {input}, not a group of keys", "write indented key: value lines"),
    "model_type": ("is {input}, not a group of keys", "write indented key: value lines"),
    "greater_than_equal": ("is {input}, below {ge}", "write at least {ge}"),
    "greater_than": ("is {input}, not above {gt}", "write more than {gt}"),
    "less_than_equal": ("is {input}, above {le}", "write at most {le}"),
    "string_too_short": ("is empty or too short", "write at least {min_length} character(s)"),
    "string_too_long": ("is {length} characters long", "write at most {max_length} characters"),
    "too_short": ("has too few entries", "write at least {min_length}"),
    "too_long": ("has too many entries", "write at most {max_length}"),
    "literal_error": ("is {input}, which is not known here", "write {expected}"),
    "enum": ("is {input}, which is not known here", "write {expected}"),
    "string_pattern_mismatch": ("is {input}, which does not fit its form", "write it to the form {pattern}"),
}


def explain(fault: Mapping[str, Any], place: Sequence[str | int], model: type[BaseModel]) -> tuple[str, str]:
    """Return message and remedy for one of pydantic's findings."""
    kind = fault["type"]
    context = dict(fault.get("ctx") or {})
    if kind == "missing":
        return "is missing", f"add {place[-1]}: with its value"
    if kind == "extra_forbidden":
        return _unknown_key(place, model)
    error = context.get("error")
    if isinstance(error, FormatError):
        return error.message, error.remedy
    if kind in _PLAIN:
        message, remedy = _PLAIN[kind]
        words = {**context, "input": show(fault["input"]), "length": len(str(fault["input"]))}
        return message.format(**words), remedy.format(**words)
    return f"is {show(fault['input'])}: {fault['msg']}", "see the description of this key"


def show(value: Any) -> str:
    """Return a value as a short piece of a sentence."""
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a group of keys"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _unknown_key(place: Sequence[str | int], model: type[BaseModel]) -> tuple[str, str]:
    known = sorted(_keys_at(model, place[:-1]))
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    if near:
        return "is not known here", f"did you mean {near[0]}?"
    return "is not known here", f"delete it; known keys: {', '.join(known)}" if known else "delete it"


def _keys_at(model: type[BaseModel], place: Sequence[str | int]) -> set[str]:
    """Return the keys that the models at a place know; several where a value may have several shapes."""
    shapes: list[Any] = [model]
    for part in place:
        inner: list[Any] = []
        for shape in shapes:
            if isinstance(shape, type) and issubclass(shape, BaseModel):
                named = shape.model_fields.get(str(part))
                inner.extend(_shapes(named.annotation) if named else [])
            elif get_origin(shape) in {list, tuple}:
                inner.extend(_shapes(get_args(shape)[0]))
            elif get_origin(shape) is dict:
                inner.extend(_shapes(get_args(shape)[1]))
        shapes = inner
    models = [shape for shape in shapes if isinstance(shape, type) and issubclass(shape, BaseModel)]
    return {name for shape in models for name in shape.model_fields}


def _shapes(annotation: Any) -> list[Any]:
    if get_origin(annotation) in {Union, types.UnionType}:
        return [shape for part in get_args(annotation) for shape in _shapes(part)]
    if hasattr(annotation, "__metadata__"):
        return _shapes(get_args(annotation)[0])
    return [annotation]
