"""The controller's error tree: few kinds, by who can act.

    SopwithError
    ├── DomainError            the caller can act
    │   ├── NotFoundError      names something that is not there
    │   ├── InvalidInputError  names a value that breaks a rule
    │   ├── TransitionNotAllowedError  the thing's state does not allow the command
    │   ├── ConflictError      somebody else was first
    │   └── RefusedError       a gate of the SOP or a role says no; carries a Refusal that teaches
    ├── TrustError             someone lies: stop and escalate
    └── UnavailableError       try again later

The api turns each kind into one gRPC status, the console into one HTTP status, the command line into one exit code.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """Why a gate says no: gate id, SOP clause, one sentence, the command that mends it, who may grant a deviation."""

    gate: str
    clause: str
    reason: str
    remedy: str = ""
    deviation: str = ""


class SopwithError(Exception):
    """Base of all errors that the controller raises on purpose; `remedy` says what to do, empty when nothing helps."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(message)


class DomainError(SopwithError):
    """The caller asked for something that cannot be; the caller can act."""


class NotFoundError(DomainError):
    """What the caller named is not there."""


class InvalidInputError(DomainError):
    """A value breaks a rule."""


class TransitionNotAllowedError(DomainError):
    """The thing's state does not allow the command."""


class ConflictError(DomainError):
    """Somebody else was first, or the same request id came with other content."""


class RefusedError(DomainError):
    """A gate says no."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.reason, remedy=refusal.remedy)


class TrustError(SopwithError):
    """A signature, digest or identity does not hold; `symptom` classifies it."""

    def __init__(self, message: str, *, symptom: str = "SIGNATURE_INVALID", remedy: str = "") -> None:
        self.symptom = symptom
        super().__init__(message, remedy=remedy)


class UnavailableError(SopwithError):
    """Something outside does not answer; trying later may help."""
