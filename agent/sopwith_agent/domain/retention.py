"""How much of earlier versions stays on a computer: by number, age and room, and never less than a way back needs.

Decides which kept versions of one release go; what a kept version is (a folder, a package) and how it goes is each
installer's. Rules: what runs, and what a rollback in progress or the next one would bring back, always stays, whatever
it takes; of the others the newest stay, as many as the SOP says together with the way back, none that was brought
longer ago than it says, and none that would take more room than it says together with everything that has to stay.

>>> old, older = KeptVersion("1.1", 10, 200.0), KeptVersion("1.0", 10, 100.0)
>>> to_drop([KeptVersion("1.2", 10, 300.0, needed=True), old, older], Retention(versions=2), now=300.0)
('1.0',)
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Retention:
    """The SOP's bounds for the earlier versions of one release."""

    versions: int = 2
    """With the way back."""
    age_seconds: int = 180 * 86400
    size_bytes: int = 5 * 2**30


@dataclass(frozen=True)
class KeptVersion:
    """One earlier version that is kept."""

    name: str
    size_bytes: int
    brought_seconds: float
    """When it was brought to the computer, in seconds since 1970."""
    needed: bool = False
    """It runs, or is the way back."""


def to_drop(kept: Iterable[KeptVersion], bounds: Retention, now: float) -> tuple[str, ...]:
    """Return the names of those that go, oldest first."""
    newest_first = sorted(kept, key=lambda one: (one.needed, one.brought_seconds, one.name), reverse=True)
    number = size = 0
    dropped = []
    for one in newest_first:
        fits = number < bounds.versions and size + one.size_bytes <= bounds.size_bytes
        if one.needed or (fits and now - one.brought_seconds <= bounds.age_seconds):
            number, size = number + 1, size + one.size_bytes
        else:
            dropped.append(one.name)
    return tuple(reversed(dropped))
