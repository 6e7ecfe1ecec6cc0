"""What the steps ask about people at the computer: whether it may be changed under their hands now.

The port decides the question and the form of the answer; who sits there, how they are told, and how often they may put
it off is the adapter's and its rules'. Rules: the answer is given at once and never waited for; asking again is how
time passes; a computer that nobody uses says yes at once.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from sopwith_agent.domain.record import Record


class Disturbance(StrEnum):
    """What is about to happen to them."""

    INSTALL = "install"
    REBOOT = "reboot"


@dataclass(frozen=True)
class Word:
    """Yes, or wait."""

    go: bool
    until: datetime | None = None
    """When to ask again, by the fleet's clock; None: when something wakes the worker."""
    put_off: bool = False
    """A person put it off: whatever the controller lends meanwhile is given back."""
    detail: str = ""
    """One sentence for the record and for `explain`."""


YES = Word(go=True)


class People(Protocol):
    """The people at the computer."""

    def may_disturb(self, record: Record, disturbance: Disturbance, *, last_word: bool) -> Word:
        """Return their word now; with `last_word` they are told, but may not put it off any more."""
        ...


class NobodyAsks:
    """Stands where nobody is asked: every answer is yes."""

    def may_disturb(self, record: Record, disturbance: Disturbance, *, last_word: bool) -> Word:
        """Return yes."""
        return YES
