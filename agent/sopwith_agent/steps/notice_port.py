"""What the steps ask about people at the computer: whether it may be changed under their hands now.

The port decides the question and the form of the answer; who sits there, how they are told, and how often they may put
it off is the desk's (`people`) and its rules'. Rules: the answer is given at once and never waited for; asking again is
how time passes; a computer that nobody uses says yes at once.
"""

from collections.abc import Sequence
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

    def may_disturb(
        self, record: Record, disturbance: Disturbance, *, last_word: bool = False, in_use: bool = False
    ) -> Word:
        """Return their word now; with `last_word` they are told, but may not put it off any more.

        `in_use` says that the computer is in use though nobody is logged in: programs run that the change would meet.
        """
        ...

    def deferral(self, record: Record, disturbance: Disturbance) -> Word | None:
        """Return the deferral that is in force, telling nobody anything; None where there is none."""
        ...

    def account(self, assignment_id: str, disturbance: Disturbance) -> str:
        """Return in one line what people were told and said; empty where nobody was."""
        ...

    def ask_to_close(self, record: Record, programs: Sequence[str]) -> None:
        """Tell people which programs stand in the way; not the same thing again too soon."""
        ...

    def forget(self, assignment_id: str) -> None:
        """Forget an assignment that has ended, and take back what is still shown."""
        ...


class NobodyAsks:
    """Stands where nobody is asked: every answer is yes."""

    def may_disturb(
        self, record: Record, disturbance: Disturbance, *, last_word: bool = False, in_use: bool = False
    ) -> Word:
        """Return yes."""
        return YES

    def deferral(self, record: Record, disturbance: Disturbance) -> Word | None:
        """Return that nothing is put off."""
        return None

    def account(self, assignment_id: str, disturbance: Disturbance) -> str:
        """Return that nobody was told."""
        return ""

    def ask_to_close(self, record: Record, programs: Sequence[str]) -> None:
        """Tell nobody."""

    def forget(self, assignment_id: str) -> None:
        """Know nothing that could be forgotten."""
