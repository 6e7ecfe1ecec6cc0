"""References from a SOP's body to its front matter: `{{ limits.attempts_max }}`.

Decides how a reference is found and what it leads to: a value as it is written in the front matter; for a parameter
with bounds its default (`.min` and `.max` lead to the bounds); list items by number from 1. The words of `TABLES` stand
for whole tables, which the renderer draws.
"""

import re
from collections.abc import Iterator
from typing import Any

TABLES = (
    *("table.responsibilities", "table.materials", "table.steps", "table.waves", "table.parameters", "table.gates"),
    *("table.troubleshooting", "table.escalation", "table.contacts", "table.references", "table.objectives"),
    *("table.signatures", "table.revisions", "table.distribution", "table.protective_equipment", "table.significant"),
)

_REFERENCE = re.compile(r"\{\{\s*([^{}\n]*?)\s*\}\}")


def find_references(body: str) -> Iterator[tuple[int, str]]:
    """Yield line offset (from 0) and path of every reference."""
    for number, line in enumerate(body.splitlines()):
        for match in _REFERENCE.finditer(line):
            yield number, match[1]


def look_up(values: Any, path: str) -> tuple[bool, str]:
    """Return whether a path leads to one value, and that value as text."""
    here = values
    for part in path.split("."):
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list) and part.isdecimal() and 1 <= int(part) <= len(here):
            here = here[int(part) - 1]
        elif isinstance(here, dict) is False and part in {"min", "max", "default"} and not isinstance(here, list):
            continue  # a bare value is its own bound
        else:
            return False, ""
    if isinstance(here, dict) and "default" in here:
        here = here["default"]
    if isinstance(here, list) and all(isinstance(item, (str, int)) for item in here):
        return True, ", ".join(map(str, here)) or "none"
    if isinstance(here, dict) and not any(isinstance(item, (dict, list)) for item in here.values()):
        return True, ", ".join(f"{key} {written(item)}" for key, item in here.items())
    if isinstance(here, (dict, list)):
        return False, ""
    return True, written(here)


def written(value: Any) -> str:
    """Return a single value as a piece of a sentence."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def replace_references(line: str, values: Any) -> str:
    """Return a line with its references replaced; a reference that leads nowhere stays as it is."""

    def value_of(match: re.Match[str]) -> str:
        found, text = look_up(values, match[1])
        return text if found else match[0]

    return _REFERENCE.sub(value_of, line)
