"""AgentService: the one stream of each computer, and the renewal of its certificate.

This module decides the order of a stream's life: Hello first, then Welcome and what is due to the computer, then
messages both ways until one side goes. What is recorded is the event writer's; what is sent, the services'.

Rules: a stream without a Hello within 10 s ends; the certificate says who speaks, never the message; a second live
agent with one identity is a clone, both streams end and the computer is held apart; heartbeats touch memory only.
"""
# ruff: noqa: N802  gRPC dictates the names of calls

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import structlog

from sopwith.v1 import agent_service_pb2 as wire
from sopwith.v1 import agent_service_pb2_grpc
from sopwith_controller.api.agent_messages import to_arrival, to_report
from sopwith_controller.api.arrivals import Arrivals
from sopwith_controller.api.briefing import Briefing
from sopwith_controller.api.event_writer import EventWriter
from sopwith_controller.api.interceptors import caller
from sopwith_controller.api.presence import PresenceRegister, Stream
from sopwith_controller.domain.agent_versions import refusal_of, served
from sopwith_controller.domain.errors import InvalidInputError, TrustError
from sopwith_controller.services.access import Access, Caller
from sopwith_controller.services.advancing import Advancing
from sopwith_controller.services.dispatch import Dispatch, Reconciliation
from sopwith_controller.services.enrolment import Enrolment
from sopwith_controller.services.newcomers import Newcomers
from sopwith_controller.services.witnesses import Recovered, Witnesses
from sopwith_formats.version import VERSION

HELLO_WITHIN_SECONDS = 10.0
RECONNECT_AFTER_SECONDS = 1

_log = structlog.get_logger()
_ANOTHER_AGENT = "install an agent of the controller's own minor version, or of the one before"


@dataclass(frozen=True)
class AgentTools:
    """What the streams need of the house."""

    presence: PresenceRegister
    writer: EventWriter
    briefing: Briefing
    dispatch: Dispatch
    arrivals: Arrivals
    advancing: Advancing
    newcomers: Newcomers
    access: Access
    enrolment: Enrolment
    witnesses: Witnesses
    show_log_soon: Callable[[], None]
    sop_held: Callable[[str, str, int, str], None]


class AgentApi(agent_service_pb2_grpc.AgentServiceServicer):
    """Serves the computers' calls."""

    def __init__(self, tools: AgentTools) -> None:
        self._tools = tools

    async def Connect(
        self, request_iterator: AsyncIterator[wire.AgentMessage], context: Any
    ) -> AsyncIterator[wire.ControllerMessage]:
        """Hold one computer's stream."""
        who, tools = caller(context), self._tools
        hello = await _first(request_iterator)
        if not served(VERSION, hello.version):
            _log.warning("agent_version_refused", computer=who.name, version=hello.version)
            raise InvalidInputError(refusal_of(VERSION, hello.version), remedy=_ANOTHER_AGENT)
        stream = tools.presence.open(who.id, hello.process_nonce, without_source=not hello.source_root_sha256)
        if stream is None:
            await self._hold_apart(who)
            raise TrustError("two agents use this identity", remedy="retire this computer and enrol it anew")
        reader: asyncio.Task[None] | None = None
        try:
            found = await tools.arrivals.arrive(to_arrival(who.id, hello))
            yield wire.ControllerMessage(
                welcome=await tools.briefing.welcome(found.computer, tools.presence.heartbeat())
            )
            await self._greet(stream, hello, found)
            reader = asyncio.create_task(self._read(stream, request_iterator), name=f"reader of {who.id}")
            tools.advancing.poke(*found.rollouts)
            tools.newcomers.notice([who.id])
            _log.info("computer_connected", computer=who.name, version=hello.version)
            while (message := await stream.next()) is not None:
                yield message
        finally:
            if reader is not None:
                reader.cancel()
            tools.presence.close(stream)
            _log.info("computer_disconnected", computer=who.name, reason=stream.end_reason)
            await tools.advancing.poke_of([who.id])

    async def RenewCertificate(
        self, request: wire.RenewCertificateRequest, context: Any
    ) -> wire.RenewCertificateResponse:
        """Exchange a living certificate for a new one."""
        issued = await self._tools.enrolment.renew(caller(context), request.certificate_request)
        return wire.RenewCertificateResponse(
            certificate_pem=issued.certificate_pem,
            trust_bundle_pem=self._tools.briefing.trust().trust_bundle_pem,
        )

    async def _greet(self, stream: Stream, hello: wire.Hello, found: Reconciliation) -> None:
        """Send what this computer missed."""
        briefing = self._tools.briefing
        stream.send(wire.ControllerMessage(trust_bundle_update=briefing.trust()))
        if not hello.source_root_sha256:
            designation = await briefing.source_designation()
            if designation is not None:
                stream.send(wire.ControllerMessage(source_designation=designation))
        memory = await self._tools.witnesses.remembered(found.computer.name, hello.checkpoint)
        stream.log_size = memory.size
        if memory.recovered is not None:
            stream.send(wire.ControllerMessage(checkpoint_update=_recovery(memory.recovered)))
        self._tools.show_log_soon()

    async def _read(self, stream: Stream, messages: AsyncIterator[wire.AgentMessage]) -> None:
        """Take what the computer says until it goes."""
        presence, reason = self._tools.presence, "the computer ended the stream"
        try:
            async for message in messages:
                presence.touch(stream.computer_id)
                if message.WhichOneof("content") == "going_to_sleep":
                    presence.went_to_sleep(stream.computer_id)
                if message.WhichOneof("content") == "sop_held":
                    held = message.sop_held
                    self._tools.sop_held(stream.computer_id, held.id, held.revision, held.policy_sha256)
                    continue
                report = to_report(stream.computer_id, message)
                if report is not None:
                    await self._tools.writer.put(report)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  a broken stream ends like a closed one
            reason = f"the stream broke: {type(error).__name__}"
        stream.end(reason)

    async def _hold_apart(self, who: Caller) -> None:
        computer = await self._tools.dispatch.is_clone(who.id)
        if computer is not None:
            self._tools.access.refresh_computer(computer)
            await self._tools.advancing.poke_of([computer.id])


def _recovery(recovered: Recovered) -> wire.CheckpointUpdate:
    return wire.CheckpointUpdate(
        checkpoint=recovered.checkpoint,
        recovery=wire.LogRecovery(
            index=recovered.index, entry_json=recovered.entry_json, inclusion_proof=recovered.proof
        ),
    )


async def _first(messages: AsyncIterator[wire.AgentMessage]) -> wire.Hello:
    """Return the Hello that must come first."""
    try:
        async with asyncio.timeout(HELLO_WITHIN_SECONDS):
            async for message in messages:
                if message.WhichOneof("content") == "hello":
                    return message.hello
                break
    except TimeoutError:
        pass
    raise InvalidInputError("a stream begins with Hello", remedy="update the agent")
