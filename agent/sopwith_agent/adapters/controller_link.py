"""The way to the controller: one mutually authenticated gRPC stream, dialled by the agent.

Decides how a connection is made and how its failures are told apart; when to dial again, and what to say, is the
session's. Rules: the computer's own certificate is looked at before dialling, so that an expired identity is named as
that and not as a dead network; every open has a deadline; a channel lives as long as one stream, so that a new
certificate is taken up with the next dial; a refusal by the controller is told in its own words.
"""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import grpc

from sopwith.v1 import agent_service_pb2 as pb
from sopwith.v1 import agent_service_pb2_grpc as pb_grpc
from sopwith_agent.adapters.identity_store import IdentityStore
from sopwith_agent.adapters.wire import from_wire, to_wire
from sopwith_agent.domain import limits
from sopwith_agent.domain.messages import Incoming, Outgoing
from sopwith_agent.steps.link_port import LinkError, Stream
from sopwith_certs.credentials import channel_credentials

if TYPE_CHECKING:
    Call = grpc.aio.StreamStreamCall[pb.AgentMessage, pb.ControllerMessage]

_OPTIONS: list[tuple[str, int]] = [
    ("grpc.keepalive_time_ms", limits.keepalive_seconds * 1000),
    ("grpc.keepalive_timeout_ms", limits.keepalive_timeout_seconds * 1000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", limits.message_size_max_bytes),
    ("grpc.max_send_message_length", limits.message_size_max_bytes),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
]
_REFUSALS = frozenset(
    {
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)


class GrpcLink:
    """Dials the fleet port that enrolment named."""

    def __init__(self, identity: IdentityStore, now: Callable[[], datetime]) -> None:
        self._identity = identity
        self._now = now

    @property
    def address(self) -> str:
        """HOST:PORT of the fleet port."""
        return self._identity.trust().fleet_address

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Stream]:
        """Dial; raise LinkError, with the reason that a person can act on."""
        self._check_dates()
        async with self._channel() as channel:
            stub = pb_grpc.AgentServiceStub(channel)
            call: Call = stub.Connect()
            try:
                yield _GrpcStream(call)
            except grpc.aio.AioRpcError as error:
                raise self._told(error) from error
            except (asyncio.InvalidStateError, grpc.aio.UsageError, grpc.aio.InternalError) as error:
                raise LinkError("The stream ended in the middle of a message.") from error
            finally:
                call.cancel()

    async def renew_certificate(self) -> None:
        """Exchange the living certificate for a new one for the same key, and keep it."""
        from sopwith_certs.est_messages import make_request

        request = pb.RenewCertificateRequest(certificate_request=make_request(self._identity.pair().key))
        async with self._channel() as channel:
            stub = pb_grpc.AgentServiceStub(channel)
            try:
                answer = await stub.RenewCertificate(request, timeout=limits.unary_timeout_seconds)
            except grpc.aio.AioRpcError as error:
                raise self._told(error) from error
        self._identity.replace_certificate(answer.certificate_pem)
        if answer.trust_bundle_pem:
            self._identity.keep_authorities(answer.trust_bundle_pem)

    async def recover_certificate(self) -> None:
        """Get a certificate for the enrolled key over the web port, and keep it."""
        await asyncio.to_thread(self._recover)

    def _recover(self) -> None:
        from sopwith_certs.errors import CertsError, EnrolmentRefusedError
        from sopwith_certs.est import EstClient
        from sopwith_certs.est_messages import make_request

        trust = self._identity.trust()
        client = EstClient(trust.web_host, trust.web_port, self._identity.authorities())
        try:
            issued = client.reenrol(make_request(self._identity.pair().key))
        except CertsError as error:
            refused = isinstance(error, EnrolmentRefusedError)
            raise LinkError(error.message, remedy=error.remedy, refused=refused) from error
        self._identity.replace_certificate(issued.certificate_pem)

    def _channel(self) -> grpc.aio.Channel:
        credentials = channel_credentials(self._identity.pair(), self._identity.authorities())
        address = self.address
        proxy = [("grpc.enable_http_proxy", 0)] if _is_loopback(address) else []
        return grpc.aio.secure_channel(address, credentials, options=[*_OPTIONS, *proxy])

    async def probe(self) -> bool:
        """Tell whether the fleet port can be reached and takes this computer's certificate; opens no stream."""
        self._check_dates()
        async with self._channel() as channel:
            try:
                async with asyncio.timeout(limits.probe_timeout_seconds):
                    await channel.channel_ready()
            except TimeoutError:
                return False
        return True

    def _check_dates(self) -> None:
        dates, now = self._identity.dates(), self._now()
        if now > dates.not_after:
            raise LinkError(
                f"This computer's certificate ran out at {dates.not_after:%Y-%m-%d %H:%M} UTC.",
                remedy="nothing to do: a new one is asked for with the enrolled key; check the clock if this stays",
            )
        if now < dates.not_before:
            raise LinkError(
                f"This computer's certificate holds only from {dates.not_before:%Y-%m-%d %H:%M} UTC,"
                f" and its clock says {now:%Y-%m-%d %H:%M}.",
                remedy="set the computer's clock",
            )

    def _told(self, error: grpc.aio.AioRpcError) -> LinkError:
        code, details = error.code(), (error.details() or "").strip()
        if code in _REFUSALS:
            return LinkError(
                f"The controller refuses this computer: {details or code.name}.",
                remedy="ask the fleet's operator; `sopwith computer list` shows the computer's state",
                refused=True,
            )
        return LinkError(
            f"The controller at {self.address} does not answer: {details or code.name}.",
            remedy="check the network and that the controller runs; the agent goes on trying",
        )


class _GrpcStream:
    """One call, spoken in messages."""

    def __init__(self, call: "Call") -> None:
        self._call = call

    async def send(self, message: Outgoing) -> None:
        """Say something; returns when it is on its way."""
        with _remote_cut():
            await self._call.write(to_wire(message))

    async def finish(self) -> None:
        """Say that nothing more will be said."""
        with _remote_cut():
            await self._call.done_writing()

    async def received(self) -> AsyncIterator[Incoming]:
        """Give what the controller says, until the stream ends."""
        while True:
            with _remote_cut():
                message = await self._call.read()
            if not isinstance(message, pb.ControllerMessage):
                return
            yield from_wire(message)


@contextmanager
def _remote_cut() -> Iterator[None]:
    """Tell a stream that the other side ended from a task of ours that is cancelled: gRPC raises the same for both.

    A write after the end raises InvalidStateError: a controller that is killed between two messages shows so.
    """
    try:
        yield
    except asyncio.InvalidStateError as error:
        raise LinkError("The stream has ended.", remedy="nothing to do: the agent dials again") from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise LinkError("The controller cut the stream.", remedy="nothing to do: the agent dials again") from error


def _is_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
