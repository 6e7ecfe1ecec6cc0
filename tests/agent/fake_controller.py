"""A controller that speaks the real wire over real mutual TLS, and remembers what it heard."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc

from sopwith.v1 import agent_service_pb2 as pb
from sopwith.v1 import agent_service_pb2_grpc as pb_grpc
from sopwith_agent.adapters.identity_store import IdentityStore, Trust
from sopwith_certs.authority import Authority, Subject, certificate_pem
from sopwith_certs.est_messages import read_request
from sopwith_certs.identity import Kind
from sopwith_certs.pair import Pair
from sopwith_certs.signing import new_key, private_key_pem, public_key_pem, sign
from sopwith_formats.receipt import read_receipt
from sopwith_formats.warrant import PREFIX, Warrant

TRUST_DOMAIN = "example.test"


class FakeController(pb_grpc.AgentServiceServicer):
    """Welcomes every computer, acknowledges what it is told, and says what the test asks it to."""

    def __init__(self) -> None:
        self.now = lambda: datetime.now(UTC)
        self.authority = Authority.create("Example", TRUST_DOMAIN, self.now())
        self.warrant_key = new_key()
        self.hellos: list[pb.Hello] = []
        self.heard: list[pb.AgentMessage] = []
        self.recorded: dict[int, bytes] = {}
        self.contradictions: list[int] = []
        self.acknowledges = True
        self.frozen = False
        self.newest_receipt: tuple[int, str] | None = None
        """What Welcome says of the newest signed record; None says nothing."""
        self.clock_ahead = timedelta(0)
        """By how much the time is off that a Welcome tells."""
        self.sop: pb.SopUpdate | None = None
        """The SOP that Welcome names."""
        self.heartbeat_seconds = 30
        self.refuses: tuple[grpc.StatusCode, str] | None = None
        self.renewals = 0
        self.port = 0
        self._changed = asyncio.Condition()
        self._speaking: asyncio.Queue[pb.ControllerMessage | None] | None = None
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Serve on loopback; a second start takes the port of the first."""
        key = new_key()
        subject = Subject(Kind.CONTROLLER, "k-1", ("localhost",), ("127.0.0.1",))
        pair = Pair(private_key_pem(key), certificate_pem(self.authority.issue(key.public_key(), subject, self.now())))
        credentials = grpc.ssl_server_credentials(
            [(pair.key_pem, pair.certificate_pem)], self.authority.trust_bundle_pem, require_client_auth=True
        )
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        pb_grpc.add_AgentServiceServicer_to_server(self, self._server)
        self.port = self._server.add_secure_port(f"127.0.0.1:{self.port}", credentials)
        await self._server.start()

    async def stop(self) -> None:
        """Go away at once; what was heard stays known."""
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    def enrol(self, folder: Path, *, days_ago: float = 0) -> IdentityStore:
        """Lay an identity of this fleet into a folder, with a certificate that was issued so many days ago."""
        identity = IdentityStore(folder)
        key = new_key()
        identity.keep_enrolling_key(key)
        issued = self.authority.issue(
            key.public_key(), Subject(Kind.COMPUTER, "c-1"), self.now() - timedelta(days=days_ago)
        )
        trust = Trust(f"127.0.0.1:{self.port}", TRUST_DOMAIN, "127.0.0.1", 1, "", "Example", "pc1")
        identity.keep_enrolment(
            certificate_pem(issued),
            self.authority.trust_bundle_pem,
            public_key_pem(self.warrant_key.public_key()),
            trust,
        )
        return identity

    async def say(self, message: pb.ControllerMessage) -> None:
        """Say something on the newest stream."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._speaking is not None)
        assert self._speaking is not None
        self._speaking.put_nowait(message)

    async def send_warrant(self, warrant: Warrant) -> None:
        """Sign a warrant and send it."""
        payload = warrant.payload()
        signature = sign(self.warrant_key, PREFIX + payload)
        await self.say(pb.ControllerMessage(warrant=pb.Warrant(payload=payload, signature=signature)))

    async def until(self, found: object, seconds: float = 20) -> None:
        """Wait until a condition over what was heard holds."""
        assert callable(found)
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(found)

    def progress(self) -> list[str]:
        """Return the states that were told, in order, each once."""
        states: list[str] = []
        for message in self.heard:
            if message.HasField("progress") and message.sequence and states[-1:] != [message.progress.state]:
                states.append(message.progress.state)
        return states

    def receipts(self) -> list[pb.Receipt]:
        """Return the receipts as they were recorded: each sequence once."""
        return [one for one in self.signed() if read_receipt(one.payload).kind == "ENDED"]

    def signed(self) -> list[pb.Receipt]:
        """Return started records and receipts as they were recorded."""
        messages = [pb.AgentMessage.FromString(data) for _, data in sorted(self.recorded.items())]
        return [message.receipt for message in messages if message.HasField("receipt")]

    def readiness(self) -> list[pb.ReadinessReport]:
        """Return the readiness reports."""
        return [message.readiness_report for message in self.heard if message.HasField("readiness_report")]

    async def Connect(  # noqa: N802  the wire's name
        self, request_iterator: AsyncIterator[pb.AgentMessage], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.ControllerMessage]:
        """Hold one stream."""
        if self.refuses:
            await context.abort(*self.refuses)
        first = await anext(aiter(request_iterator))
        speaking: asyncio.Queue[pb.ControllerMessage | None] = asyncio.Queue()
        async with self._changed:
            self.hellos.append(first.hello)
            self._speaking = speaking
            self._changed.notify_all()
        welcome = pb.Welcome(
            computer_id="c-1",
            name="pc1",
            heartbeat_seconds=self.heartbeat_seconds,
            sop=self.sop,
            acknowledged_sequence=max(self.recorded, default=0) if self.acknowledges else 0,
            version="0.1.0",
            frozen=self.frozen,
        )
        welcome.controller_time.FromDatetime(self.now() + self.clock_ahead)
        if self.newest_receipt is not None:
            welcome.newest_receipt.number, welcome.newest_receipt.payload_sha256 = self.newest_receipt
        yield pb.ControllerMessage(welcome=welcome)
        listening = asyncio.create_task(self._listen(request_iterator, speaking))
        try:
            while (message := await speaking.get()) is not None:
                yield message
        finally:
            listening.cancel()
            if self._speaking is speaking:
                self._speaking = None

    async def RenewCertificate(  # noqa: N802  the wire's name
        self, request: pb.RenewCertificateRequest, _context: grpc.aio.ServicerContext
    ) -> pb.RenewCertificateResponse:
        """Issue a new certificate."""
        key = read_request(request.certificate_request)
        issued = self.authority.issue(key, Subject(Kind.COMPUTER, "c-1"), self.now())
        async with self._changed:
            self.renewals += 1
            self._changed.notify_all()
        return pb.RenewCertificateResponse(
            certificate_pem=certificate_pem(issued), trust_bundle_pem=self.authority.trust_bundle_pem
        )

    async def _listen(
        self, requests: AsyncIterator[pb.AgentMessage], speaking: "asyncio.Queue[pb.ControllerMessage | None]"
    ) -> None:
        async for message in requests:
            async with self._changed:
                self.heard.append(message)
                if message.sequence:
                    self._record(message)
                self._changed.notify_all()
            if message.sequence and self.acknowledges:
                speaking.put_nowait(pb.ControllerMessage(ack=pb.Ack(sequence=max(self.recorded))))
        speaking.put_nowait(None)

    def _record(self, message: pb.AgentMessage) -> None:
        data = message.SerializeToString(deterministic=True)
        if self.recorded.setdefault(message.sequence, data) != data:
            self.contradictions.append(message.sequence)
