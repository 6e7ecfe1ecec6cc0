"""Label selectors: which computers are meant, in the grammar that Kubernetes made common.

Decides grammar and matching over a computer's labels and facts; what a selection is for is its user's business. The
requirements of a selector all have to hold:

    site=berlin   site==berlin   ring!=vip   os in (linux, windows)   arch notin (arm64)   importance   !laptop

A key names a label, or else a fact; facts inside facts are reached by dots (`os.id`). As in Kubernetes `!=` and `notin`
also hold where the key is missing. A fact that is a list matches by any of its items. The empty selector means
everything.

>>> parse_selector("site=berlin, ring!=vip").matches({"site": "berlin"})
True
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sopwith_formats.errors import FormatError

TEXT_MAX = 4096

_KEY = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251})/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_VALUE = r"[A-Za-z0-9._:+~@/-]{1,253}"
_TERM = re.compile(
    rf"\s*(?:(?P<absent>!)\s*(?P<missing>{_KEY})"
    rf"|(?P<key>{_KEY})(?:\s*(?P<operator>==|=|!=)\s*(?P<value>{_VALUE})?"
    rf"|\s+(?P<among>in|notin)\s*\((?P<values>[^()]*)\))?)\s*"
)
_EXAMPLE = "write requirements like site=berlin, ring!=vip, os in (linux, windows), laptop, !laptop"


@dataclass(frozen=True)
class Requirement:
    """One requirement; `operator` is in, notin, exists or absent, and = and != are in and notin of one value."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def holds(self, found: frozenset[str]) -> bool:
        """Tell whether it holds for the values that the key has; an empty set: the key is missing."""
        if self.operator == "exists":
            return bool(found)
        if self.operator == "absent":
            return not found
        return bool(found & self.values) is (self.operator == "in")


@dataclass(frozen=True)
class Selector:
    """A parsed selector; `text` is as it was written."""

    text: str
    requirements: tuple[Requirement, ...]

    def matches(self, labels: Mapping[str, str], facts: Mapping[str, Any] | None = None) -> bool:
        """Tell whether a computer with these labels and facts is meant; a label covers a fact of the same name."""
        return all(item.holds(_values(item.key, labels, facts or {})) for item in self.requirements)


def parse_selector(text: str) -> Selector:
    """Return the selector of a text; raise FormatError that shows where it stops making sense."""
    if len(text) > TEXT_MAX:
        raise FormatError(f"is {len(text)} characters long; at most {TEXT_MAX} are read")
    if not text.strip():
        return Selector("", ())
    requirements = []
    position = 0
    while True:
        match = _TERM.match(text, position)
        if not match:
            raise FormatError(f"{text[position:].strip()!r} is no requirement", remedy=_EXAMPLE)
        requirements.append(_requirement(match))
        position = match.end()
        if position == len(text):
            return Selector(text.strip(), tuple(requirements))
        if text[position] != ",":
            raise FormatError(f"{text[position:].strip()!r} is not understood after a requirement", remedy=_EXAMPLE)
        position += 1


def _requirement(match: re.Match[str]) -> Requirement:
    if match["absent"]:
        return Requirement(match["missing"], "absent")
    key = match["key"]
    if match["among"]:
        values = [value.strip() for value in match["values"].split(",")]
        if not all(re.fullmatch(_VALUE, value) for value in values):
            raise FormatError(f"({match['values']}) is no list of values", where=key, remedy="write (a, b)")
        return Requirement(key, match["among"], frozenset(values))
    if match["operator"]:
        wanted = frozenset({match["value"] or ""})
        return Requirement(key, "notin" if match["operator"] == "!=" else "in", wanted)
    return Requirement(key, "exists")


def _values(key: str, labels: Mapping[str, str], facts: Mapping[str, Any]) -> frozenset[str]:
    if key in labels:
        return frozenset({labels[key]})
    value: Any = facts.get(key)
    if value is None:
        value = facts
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    items = value if isinstance(value, (list, tuple)) else [value]
    return frozenset(_text(item) for item in items if item is not None and not isinstance(item, Mapping))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
