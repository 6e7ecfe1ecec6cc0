"""The one place where an error becomes a gRPC status.

Shape on the wire, for whoever reads it: `details` is the message, then, where there is a mend, a line break and the
mend. When a gate or a role says no, the trailing metadata key `sopwith-refusal-bin` carries a serialised
`sopwith.v1.Refusal`. An error that nobody foresaw becomes INTERNAL with the id of the call, under which the
controller's log tells more; its text never travels.
"""

from dataclasses import dataclass

import grpc

from sopwith.v1 import rollout_service_pb2
from sopwith_certs.errors import CertsError
from sopwith_certs.errors import TrustError as CertsTrustError
from sopwith_certs.errors import UnavailableError as CertsUnavailableError
from sopwith_controller.domain.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    Refusal,
    RefusedError,
    SopwithError,
    TransitionNotAllowedError,
    TrustError,
    UnavailableError,
)
from sopwith_formats.errors import FormatError

REFUSAL_KEY = "sopwith-refusal-bin"

_CODES: tuple[tuple[type[Exception], grpc.StatusCode], ...] = (
    (NotFoundError, grpc.StatusCode.NOT_FOUND),
    (InvalidInputError, grpc.StatusCode.INVALID_ARGUMENT),
    (FormatError, grpc.StatusCode.INVALID_ARGUMENT),
    (TransitionNotAllowedError, grpc.StatusCode.FAILED_PRECONDITION),
    (ConflictError, grpc.StatusCode.ABORTED),
    (RefusedError, grpc.StatusCode.FAILED_PRECONDITION),
    (TrustError, grpc.StatusCode.PERMISSION_DENIED),
    (UnavailableError, grpc.StatusCode.UNAVAILABLE),
    (CertsTrustError, grpc.StatusCode.PERMISSION_DENIED),
    (CertsUnavailableError, grpc.StatusCode.UNAVAILABLE),
    (CertsError, grpc.StatusCode.FAILED_PRECONDITION),
    (SopwithError, grpc.StatusCode.FAILED_PRECONDITION),
)


@dataclass(frozen=True)
class Answer:
    """How a call ends."""

    code: grpc.StatusCode
    details: str
    metadata: tuple[tuple[str, bytes], ...] = ()


def answer_to(error: Exception, call_id: str) -> Answer:
    """Return how a call ends that raised this error."""
    if isinstance(error, RefusedError):
        code = grpc.StatusCode.FAILED_PRECONDITION
        if error.refusal.gate == "operator_role":
            code = grpc.StatusCode.PERMISSION_DENIED
        return Answer(code, _details(error.message, error.remedy), ((REFUSAL_KEY, _refusal(error.refusal)),))
    for kind, code in _CODES:
        if isinstance(error, kind):
            return Answer(code, _details(_message(error), getattr(error, "remedy", "")))
    return Answer(
        grpc.StatusCode.INTERNAL,
        _details("the controller failed at this call", f"its log tells more: look for call {call_id}"),
    )


def refusal_message(refusal: Refusal) -> rollout_service_pb2.Refusal:
    """Return a refusal as it travels."""
    return rollout_service_pb2.Refusal(
        gate=refusal.gate,
        clause=refusal.clause,
        reason=refusal.reason,
        remedy=refusal.remedy,
        deviation=refusal.deviation,
    )


def _refusal(refusal: Refusal) -> bytes:
    return refusal_message(refusal).SerializeToString()


def _message(error: Exception) -> str:
    if isinstance(error, FormatError) and error.where:
        return f"{error.where}: {error.message}"
    return str(getattr(error, "message", error))


def _details(message: str, remedy: str) -> str:
    return f"{message}\n{remedy}" if remedy else message
