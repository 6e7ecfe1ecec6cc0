"""What can go wrong on a person's own machine, by what the person does next.

DeskError                the command failed; the message says what, where and how to mend it
├── RefusedError         identity, role or SOP gate says no; carries gate, clause, remedy, deviation
├── UnreachableError     no controller answers
└── TimedOutError        the controller answers, but not in time
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """Why a gate says no, as the controller sent it."""

    gate: str
    clause: str
    reason: str
    remedy: str = ""
    deviation: str = ""


class DeskError(Exception):
    """The command failed; `remedy` says what to do, empty when nothing can be advised."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(message)


class RefusedError(DeskError):
    """Identity, role or a gate of the SOP says no."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.reason, remedy=refusal.remedy)


class UnreachableError(DeskError):
    """No controller answers."""


class TimedOutError(DeskError):
    """The answer did not come in time."""
