"""The errors of identity and enrolment, told apart by who can act.

    CertsError              every error here; `message` says what and where, `remedy` how to mend it
      TrustError            somebody is not who they claim to be: stop, and let a person look
      UnavailableError      the other side did not answer, or asked for patience: try later
      EnrolmentRefusedError the controller said no to this request: a person has to change something

Broken bytes are `sopwith_formats.errors.FormatError`. No message ever holds a token or a key.
"""


class CertsError(Exception):
    """Something went wrong with identity or enrolment; `remedy` says in one sentence how to mend it."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.message = message
        self.remedy = remedy
        super().__init__(message + (f" ({remedy})" if remedy else ""))


class TrustError(CertsError):
    """The other side is not who it should be, or a key does not fit: do not go on."""


class UnavailableError(CertsError):
    """The other side cannot answer now. `retry_after_seconds` is its wish, 0 when it gave none."""

    def __init__(self, message: str, *, remedy: str = "", retry_after_seconds: int = 0) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message, remedy=remedy)


class EnrolmentRefusedError(CertsError):
    """The controller refused a request for a certificate: asking again the same way gets the same answer."""
