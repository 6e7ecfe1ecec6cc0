"""The agent's error tree: few kinds, by what the agent does next.

AgentError
├── StepError         a step failed; carries the symptom by which the SOP chooses the remedy
│   └── TrustError    someone lies: refuse, report as severity 1, change nothing
├── JournalError      the disk does not take or give a record: act on nothing, try again later
├── NotDeferrableError  a person asked for what the SOP does not grant, or for nothing that waits: say so
├── SettingsError     the settings or the state folder are wrong; a person must mend them
└── UnavailableError  something outside does not answer; try later
"""

from sopwith_formats.agent_decision import AgentDecision
from sopwith_formats.vocabulary import Symptom


class AgentError(Exception):
    """Base of all errors that the agent raises on purpose; `remedy` says what to do, empty when nothing helps."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(message)


class StepError(AgentError):
    """A step failed with a classified symptom.

    `changed` tells whether the computer may have been changed, `final` that trying again would meet the same answer;
    `decisions` are those of the gates that were asked before the one that failed.
    """

    decisions: tuple[AgentDecision, ...] = ()

    def __init__(
        self, symptom: Symptom, message: str, *, remedy: str = "", changed: bool = False, final: bool = False
    ) -> None:
        self.symptom = symptom
        self.changed = changed
        self.final = final
        super().__init__(message, remedy=remedy)


class TrustError(StepError):
    """A signature, digest or origin does not hold."""


class JournalError(AgentError):
    """The journal cannot be written or read; nothing was begun because of it."""


class NotDeferrableError(AgentError):
    """It may not be put off (`refused`), or nothing waits for a person's word; the message is for who asked."""

    def __init__(self, message: str, *, remedy: str = "", refused: bool = False) -> None:
        self.refused = refused
        super().__init__(message, remedy=remedy)


class SettingsError(AgentError):
    """Settings, identity or state folder are unusable."""


class UnavailableError(AgentError):
    """Something outside does not answer."""
