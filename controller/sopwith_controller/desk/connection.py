"""One connection of one person to the controller: mTLS gRPC, with errors that say what to do.

Every call has a deadline. A refused handshake looks like an unreachable server to gRPC, so the person's own certificate
dates are looked at first. What the server refuses comes back as `RefusedError` with the gate's own words.
"""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from google.protobuf.message import Message

from sopwith.v1 import (
    deviation_service_pb2_grpc,
    fleet_service_pb2_grpc,
    incident_service_pb2_grpc,
    people_service_pb2_grpc,
    practice_service_pb2_grpc,
    release_service_pb2_grpc,
    report_service_pb2_grpc,
    rollout_service_pb2,
    rollout_service_pb2_grpc,
    sop_life_service_pb2_grpc,
    sop_service_pb2_grpc,
    update_log_service_pb2_grpc,
)
from sopwith_controller.desk.context import Context
from sopwith_controller.desk.errors import DeskError, Refusal, RefusedError, TimedOutError, UnreachableError
from sopwith_controller.desk.join_strings import split_address

CALL_TIMEOUT_SECONDS = 10.0
CONNECT_TIMEOUT_SECONDS = 1.8
STREAM_SILENCE_SECONDS = 30.0
REFUSAL_KEY = "sopwith-refusal-bin"
PROFILE_KEY = "sopwith-profile"
MESSAGE_SIZE_MAX_BYTES = 64 * 2**20

Reply = TypeVar("Reply")


class Connection:
    """A person's channel; use it as a context manager."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.evaluation = False
        """The controller said that it is an evaluation."""
        key, certificate, bundle = (
            context.read(address) for address in (context.key, context.certificate, context.trust_bundle)
        )
        _check_dates(context, certificate)
        _check_files(context, key, certificate, bundle)
        split_address(context.fleet_address)
        credentials = grpc.ssl_channel_credentials(bundle, key, certificate)
        options = [
            ("grpc.max_receive_message_length", MESSAGE_SIZE_MAX_BYTES),
            ("grpc.enable_http_proxy", 0),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 500),
        ]
        self._channel = grpc.secure_channel(context.fleet_address, credentials, options=options)
        self.fleet = fleet_service_pb2_grpc.FleetServiceStub(self._channel)
        self.people = people_service_pb2_grpc.PeopleServiceStub(self._channel)
        self.releases = release_service_pb2_grpc.ReleaseServiceStub(self._channel)
        self.sops = sop_service_pb2_grpc.SopServiceStub(self._channel)
        self.sop_life = sop_life_service_pb2_grpc.SopLifeServiceStub(self._channel)
        self.rollouts = rollout_service_pb2_grpc.RolloutServiceStub(self._channel)
        self.practice = practice_service_pb2_grpc.PracticeServiceStub(self._channel)
        self.reports = report_service_pb2_grpc.ReportServiceStub(self._channel)
        self.deviations = deviation_service_pb2_grpc.DeviationServiceStub(self._channel)
        self.incidents = incident_service_pb2_grpc.IncidentServiceStub(self._channel)
        self.update_log = update_log_service_pb2_grpc.UpdateLogServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def call(
        self, method: Callable[..., Reply], request: Any, *, timeout_seconds: float = CALL_TIMEOUT_SECONDS
    ) -> Reply:
        """Make one unary or client-streaming call; a connection that fails is tried again for two seconds.

        A request that can carry an id gets one, so that trying it again has no second effect.
        """
        if isinstance(request, Message) and "request_id" in request.DESCRIPTOR.fields_by_name:
            named: Any = request
            named.request_id = named.request_id or str(uuid.uuid4())
        began = time.monotonic()
        while True:
            try:
                answer, call = method.with_call(request, timeout=timeout_seconds)  # type: ignore[attr-defined]
                self._note(call)
                return answer  # type: ignore[no-any-return]
            except grpc.RpcError as error:
                self._note(error)
                if error.code() is not grpc.StatusCode.UNAVAILABLE or _refused(error) or not _is_repeatable(request):
                    raise self.translate(error) from error
                if time.monotonic() - began > CONNECT_TIMEOUT_SECONDS / 2:
                    raise self.translate(error) from error
                time.sleep(0.2)

    def _note(self, call: Any) -> None:
        """Remember that the controller says that it is an evaluation."""
        said: Any = call.initial_metadata() or ()
        self.evaluation = self.evaluation or (PROFILE_KEY, "evaluation") in [(key, value) for key, value in said]

    def stream(self, method: Callable[..., Any], request: Any) -> Iterator[Any]:
        """Yield messages of a server stream; raise TimedOutError after 30 s of silence."""
        call = method(request)
        watch = _Silence(call)
        try:
            for message in call:
                watch.heard()
                self._note(call)
                yield message
        except grpc.RpcError as error:
            if watch.expired:
                raise TimedOutError("the controller was silent for 30 s", remedy="try again") from error
            raise self.translate(error) from error
        finally:
            watch.stop()
            call.cancel()

    def translate(self, error: grpc.RpcError) -> DeskError:
        """Return what a failed call means for the person."""
        refusal = _refused(error)
        if refusal:
            return RefusedError(refusal)
        status, details = error.code(), error.details() or ""
        if status is grpc.StatusCode.UNAVAILABLE:
            return UnreachableError(
                f"the controller at {self.context.fleet_address} cannot be reached ({_short(details)})",
                remedy="is `sopwith-controller serve` running there, and is this context for it?",
            )
        if status is grpc.StatusCode.DEADLINE_EXCEEDED:
            return TimedOutError(
                "the controller did not answer in time", remedy="try again; `sopwith status` tells more"
            )
        if status in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            return RefusedError(Refusal("operator_role", "III", details or "this certificate may not do that"))
        message, _, remedy = details.partition("\n")
        return DeskError(message or f"the controller answered {status.name}", remedy=remedy)


def _is_repeatable(request: Any) -> bool:
    return not isinstance(request, Iterator)


class _Silence:
    """Cancels a stream that says nothing for too long."""

    def __init__(self, call: Any) -> None:
        self.expired = False
        self._call = call
        self._last = time.monotonic()
        self._stopped = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def heard(self) -> None:
        self._last = time.monotonic()

    def stop(self) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        while not self._stopped.wait(1.0):
            if time.monotonic() - self._last > STREAM_SILENCE_SECONDS:
                self.expired = True
                self._call.cancel()
                return


def _refused(error: grpc.RpcError) -> Refusal | None:
    metadata: Any = error.trailing_metadata() or ()
    for key, value in metadata:
        if key == REFUSAL_KEY:
            message = rollout_service_pb2.Refusal.FromString(value)
            return Refusal(message.gate, message.clause, message.reason, message.remedy, message.deviation)
    return None


def _short(details: str) -> str:
    for known in ("Connection refused", "Ssl handshake failed", "SSL_ERROR", "DNS resolution failed", "Timeout"):
        if known.lower() in details.lower():
            return known
    return details.splitlines()[0][:160] if details else "no answer"


def _check_files(context: Context, key: bytes, certificate: bytes, bundle: bytes) -> None:
    """Name the file that would make the handshake fail; gRPC would only say that nobody answers."""
    remedy = f"ask the owner for `sopwith person invite {context.person}` and accept it into another file"
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise DeskError(f"{context.file(context.key)} holds no private key that can be used", remedy=remedy) from error
    if private.public_key() != x509.load_pem_x509_certificate(certificate).public_key():
        raise DeskError(
            f"{context.file(context.key)} and {context.file(context.certificate)} do not belong together", remedy=remedy
        )
    try:
        x509.load_pem_x509_certificates(bundle)
    except ValueError as error:
        raise DeskError(f"{context.file(context.trust_bundle)} holds no authority", remedy=remedy) from error


def _check_dates(context: Context, certificate_pem: bytes) -> None:
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except ValueError as error:
        raise DeskError(f"{context.file(context.certificate)} holds no certificate") from error
    now = datetime.now(UTC)
    if now >= certificate.not_valid_after_utc:
        raise DeskError(
            f"the certificate of {context.person} ended on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC",
            remedy=f"ask the owner for `sopwith person invite {context.person}` and accept it into {context.path}",
        )
    if now < certificate.not_valid_before_utc:
        raise DeskError(
            f"the certificate of {context.person} begins on {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC",
            remedy="set this machine's clock right",
        )
