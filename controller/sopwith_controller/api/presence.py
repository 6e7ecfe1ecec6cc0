"""Who is there: the live streams to computers, in memory, and everything that goes down them.

This module decides what is known of a computer's presence and puts messages into its stream; what is sent and when is
the services'. It satisfies the port `AgentGateway`. Nothing here is durable, and nothing has to be: what a computer
missed it gets at its next Hello, from the tables.

Rules: one stream per computer; a newer one replaces it, whichever process dials, because a computer that lost its power
or its link comes back while its old stream still seems to live. An agent process makes its nonce anew at every start:
one that dials again after another one replaced it proves that two live at once, a clone, and both streams end. A stream
whose computer does not read is cut when its queue is full. A heartbeat touches this memory only; last contacts are
flushed to the tables in batches.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from sopwith.v1 import agent_service_pb2
from sopwith_controller.api.briefing import Briefing, sop_update
from sopwith_controller.api.translate import to_timestamp
from sopwith_controller.domain.entities import SopRevision
from sopwith_controller.services.access import Access
from sopwith_controller.services.ports import Clock, Presence, WarrantSigner
from sopwith_controller.services.witnesses import Growth
from sopwith_formats.warrant import Warrant

QUEUE_MAX = 512
REPLACED_MAX = 8
DRAIN_SECONDS = 1
_HEARTBEAT = timedelta(seconds=30)
_HEARTBEAT_LARGE = timedelta(seconds=60)
_LARGE_FLEET = 5000

Message = agent_service_pb2.ControllerMessage
_log = structlog.get_logger()


class Stream:
    """One computer's live stream, seen from the sending side."""

    def __init__(self, computer_id: str, process_nonce: str, opened_time: datetime) -> None:
        self.computer_id = computer_id
        self.process_nonce = process_nonce
        self.opened_time = opened_time
        self.end_reason = ""
        self.log_size = 0
        """Size of the update log that the computer was shown, or remembers."""
        self._messages: deque[Message] = deque()
        self._wake = asyncio.Event()
        self._ended = False

    def send(self, message: Message) -> None:
        """Queue a message; a stream that ended, or does not read, takes none."""
        if self._ended:
            return
        if len(self._messages) >= QUEUE_MAX:
            self.end("it does not read what it is sent")
            return
        self._messages.append(message)
        self._wake.set()

    def end(self, reason: str) -> None:
        """End the stream after what is queued already."""
        if not self._ended:
            self._ended, self.end_reason = True, reason
            self._wake.set()

    async def next(self) -> Message | None:
        """Return the next message to send; None when the stream shall end."""
        while not self._messages:
            if self._ended:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._messages.popleft()


class _Seen:
    """What is known of one computer since this process started."""

    __slots__ = ("asleep", "last_seen_time", "presence", "replaced", "stream", "without_source")

    def __init__(self) -> None:
        self.stream: Stream | None = None
        self.asleep = False
        self.last_seen_time: datetime | None = None
        self.presence: Presence | None = None
        """The answer to who asks, for as long as it holds: whoever sees the same object knows that nothing changed."""
        self.without_source = False
        self.replaced: deque[str] = deque(maxlen=REPLACED_MAX)
        """Nonces of processes that a newer one took the place of."""


class PresenceRegister:
    """The live streams of this process."""

    def __init__(self, clock: Clock, signer: WarrantSigner, access: Access, briefing: Briefing) -> None:
        self._briefing = briefing
        self._clock = clock
        self._signer = signer
        self._started = clock.now()
        self._seen: dict[str, _Seen] = {}
        self._live: set[str] = set()
        """The computers with a stream."""
        self._connected: frozenset[str] | None = None
        """The answer to who asks, until a stream comes or goes."""
        self._unflushed: dict[str, datetime] = {}
        self._answers: dict[str, asyncio.Future[None]] = {}
        access.on_cut(self._cut)

    # What the agent's side of the house does.

    def open(self, computer_id: str, process_nonce: str, *, without_source: bool = False) -> Stream | None:
        """Return the new stream of a computer; None when it is a clone, and then the other stream ends too."""
        seen = self._seen.setdefault(computer_id, _Seen())
        before = seen.stream
        if process_nonce in seen.replaced:
            if before is not None:
                before.end("another agent uses the same identity")
            return None
        if before is not None:
            if before.process_nonce != process_nonce:
                seen.replaced.append(before.process_nonce)
            before.end("the computer dialled again")
        else:
            self._live.add(computer_id)
            self._connected = None
        seen.without_source = without_source
        seen.stream = Stream(computer_id, process_nonce, self._clock.now())
        self.touch(computer_id)
        return seen.stream

    def close(self, stream: Stream) -> None:
        """Forget a stream that ended, unless a newer one took its place."""
        stream.end("closed")
        seen = self._seen[stream.computer_id]
        if seen.stream is stream:
            seen.stream = seen.presence = self._connected = None
            self._live.discard(stream.computer_id)

    def touch(self, computer_id: str) -> None:
        """Note a sign of life."""
        seen, now = self._seen[computer_id], self._clock.now()
        seen.last_seen_time, seen.asleep, seen.presence = now, False, None
        self._unflushed[computer_id] = now

    def went_to_sleep(self, computer_id: str) -> None:
        """Note that it announced its silence."""
        seen = self._seen[computer_id]
        seen.asleep, seen.presence = True, None

    def acknowledge(self, computer_id: str, sequence: int) -> None:
        """Tell a computer what is durable; one that is gone learns it at its next Hello."""
        self._send(computer_id, Message(ack=agent_service_pb2.Ack(sequence=sequence)))

    def answered(self, request_id: str) -> None:
        """Note that the readiness which somebody waits for was recorded."""
        waiting = self._answers.pop(request_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def take_unflushed(self) -> dict[str, datetime]:
        """Return last contacts that the tables do not know yet, and forget that they were unknown."""
        taken, self._unflushed = self._unflushed, {}
        return taken

    def heartbeat(self) -> timedelta:
        """Return how often computers shall give a sign of life."""
        return _HEARTBEAT_LARGE if len(self._live) > _LARGE_FLEET else _HEARTBEAT

    def broadcast(self, message: Message) -> None:
        """Send to everybody."""
        for seen in self._seen.values():
            if seen.stream is not None:
                seen.stream.send(message)

    def log_sizes(self) -> set[int]:
        """Return the sizes of the update log that connected computers were shown."""
        return {seen.stream.log_size for seen in self._seen.values() if seen.stream is not None}

    def show_log(self, grown: dict[int, Growth]) -> None:
        """Show a newer checkpoint to every connected computer that knows an older one."""
        for seen in self._seen.values():
            growth = grown.get(seen.stream.log_size) if seen.stream is not None else None
            if seen.stream is not None and growth is not None:
                seen.stream.log_size = growth.size
                seen.stream.send(
                    Message(
                        checkpoint_update=agent_service_pb2.CheckpointUpdate(
                            checkpoint=growth.checkpoint, consistency_proof=growth.proof
                        )
                    )
                )

    def drain(self) -> None:
        """Tell every computer that the controller goes away for a moment, and end the streams."""
        self._end_all("the controller stops")

    def _end_all(self, reason: str) -> None:
        self.broadcast(Message(drain=agent_service_pb2.Drain(reconnect_after_seconds=DRAIN_SECONDS)))
        for seen in self._seen.values():
            if seen.stream is not None:
                seen.stream.end(reason)

    def streams(self) -> int:
        """Return how many streams are held."""
        return len(self._live)

    # The port AgentGateway.

    def presence(self, computer_id: str) -> Presence | None:
        """Return what is known since this controller started; None when nothing."""
        seen = self._seen.get(computer_id)
        if seen is None:
            return None
        if seen.presence is None:
            seen.presence = Presence(seen.stream is not None, seen.asleep, seen.last_seen_time)
        return seen.presence

    def started_time(self) -> datetime:
        """Return when this controller began to listen."""
        return self._started

    def connected_ids(self) -> frozenset[str]:
        """Return the computers with a live stream."""
        if self._connected is None:
            self._connected = frozenset(self._live)
        return self._connected

    async def send_warrant(self, computer_id: str, warrant: Warrant) -> None:
        """Sign and send."""
        payload = warrant.payload()
        signed = agent_service_pb2.Warrant(
            payload=payload, signature=self._signer.sign(payload), key_id=self._signer.key_id
        )
        self._send(computer_id, Message(warrant=signed))

    async def renew_lease(
        self,
        computer_id: str,
        assignment_id: str,
        start_until: datetime | None,
        reason: str = "",
        *,
        despite_freeze: str = "",
    ) -> None:
        """Say until when it may start, None says hold; and the deviation by which no freeze holds it."""
        renewal = agent_service_pb2.LeaseRenewal(
            assignment_id=assignment_id,
            start_until_time=to_timestamp(start_until),
            reason=reason,
            despite_freeze=despite_freeze,
        )
        self._send(computer_id, Message(lease_renewal=renewal))

    async def lease_reboot(
        self,
        computer_id: str,
        assignment_id: str,
        reboot_until: datetime | None,
        reason: str = "",
        *,
        despite_freeze: str = "",
    ) -> None:
        """Say until when it may reboot, None says: not now; and the deviation by which no freeze holds it."""
        lease = agent_service_pb2.RebootLease(
            assignment_id=assignment_id,
            reboot_until_time=to_timestamp(reboot_until),
            reason=reason,
            despite_freeze=despite_freeze,
        )
        self._send(computer_id, Message(reboot_lease=lease))

    async def withdraw(self, computer_id: str, assignment_id: str, reason: str) -> None:
        """Take an assignment back."""
        self._send(
            computer_id, Message(withdraw=agent_service_pb2.Withdraw(assignment_id=assignment_id, reason=reason))
        )

    async def freeze(self, *, active: bool, reason: str) -> None:
        """Tell every connected computer."""
        self.broadcast(Message(freeze=agent_service_pb2.Freeze(active=active, reason=reason)))

    async def measure(self, computer_ids: Sequence[str], wait: timedelta) -> frozenset[str]:
        """Ask for fresh readiness; return who answered (and was recorded) within the wait."""
        asked: dict[str, asyncio.Future[None]] = {}
        for computer_id in computer_ids:
            request_id = secrets.token_hex(8)
            message = Message(measure_request=agent_service_pb2.MeasureRequest(request_id=request_id))
            if self._send(computer_id, message) and wait > timedelta(0):
                asked[computer_id] = self._answers[request_id] = asyncio.get_running_loop().create_future()
        if asked:
            await asyncio.wait(asked.values(), timeout=wait.total_seconds())
        done = frozenset(computer_id for computer_id, answer in asked.items() if answer.done())
        pending = {id(answer) for answer in asked.values() if not answer.done()}
        self._answers = {key: answer for key, answer in self._answers.items() if id(answer) not in pending}
        return done

    async def announce_sop(self, revision: SopRevision, listeners: frozenset[str] | None = None) -> None:
        """Tell connected computers which revision is effective: these ids, None: everybody."""
        message = Message(sop_update=sop_update(revision))
        if listeners is None:
            self.broadcast(message)
        for computer_id in listeners or ():
            self._send(computer_id, message)

    async def designate_source(self) -> None:
        """Tell every connected computer that has no source."""
        designation = await self._briefing.source_designation()
        for seen in self._seen.values():
            if designation is not None and seen.without_source and seen.stream is not None:
                seen.stream.send(Message(source_designation=designation))

    async def tell_labels(self, computer_id: str, labels: Mapping[str, str]) -> None:
        """Tell a connected computer what people say about it now."""
        self._send(computer_id, Message(labels_update=agent_service_pb2.LabelsUpdate(labels=dict(labels))))

    def has_source(self, computer_id: str) -> None:
        """Note that a computer accepted the designation."""
        self._seen[computer_id].without_source = False

    async def redial_all(self, reason: str) -> None:
        """End every stream; the computers dial again within a second or so."""
        self._end_all(reason)

    async def cut(self, subject_id: str, reason: str) -> None:
        """Cut the live stream of a computer at once."""
        self._cut(subject_id, reason)

    def _cut(self, subject_id: str, reason: str) -> None:
        seen = self._seen.get(subject_id)
        if seen is not None and seen.stream is not None:
            seen.stream.end(reason)

    def _send(self, computer_id: str, message: Message) -> bool:
        seen = self._seen.get(computer_id)
        if seen is None or seen.stream is None:
            return False
        seen.stream.send(message)
        return True
