"""The controller's side of all streams: the port `AgentGateway`, as the house's own register of streams keeps it.

Decides who is connected and puts messages into streams. Nothing here outlives the controller. Rules: one stream per
computer, a new one replaces the old one; two agents that live at once with one identity would be clones, and there are
none here; what a computer without a stream missed it gets after its next Hello.
"""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sopwith_controller.domain.entities import SopRevision
from sopwith_controller.services.ports import Clock, Presence
from sopwith_formats.warrant import Warrant
from tests.simulation import messages
from tests.simulation.network import Link


class _Seen:
    """What is known of one computer since this controller started."""

    def __init__(self) -> None:
        self.link: Link | None = None
        self.early: list[object] | None = None
        """What waits for the Welcome to go first; None once it went."""
        self.asleep = False
        self.last_seen_time: datetime | None = None
        self.presence: Presence | None = None
        """The answer to who asks while it has no stream: the same object until something changes."""


class Streams:
    """Implements `AgentGateway`, and what the event writer tells after a commit."""

    def __init__(self, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._loop = loop
        self._started = clock.now()
        self._seen: dict[str, _Seen] = {}
        self._live: set[str] = set()
        self._connected: frozenset[str] | None = None
        self._requests = itertools.count(1)
        self._answers: dict[str, asyncio.Future[None]] = {}

    # What the computers' side does.

    def open(self, link: Link) -> bool:
        """Take a new stream; False where another agent of the same computer lives."""
        seen = self._seen.setdefault(link.computer_id, _Seen())
        before = seen.link
        if before is not None and before.alive and before.nonce != link.nonce:
            return False
        if before is not None:
            before.cut(controller_knows=True)
        seen.link, seen.asleep, seen.early, self._connected = link, False, [], None
        self._live.add(link.computer_id)
        self.touch(link)
        return True

    def hears(self, computer_id: str) -> bool:
        """Tell whether a stream of this computer stands, really and in this controller's knowledge."""
        seen = self._seen.get(computer_id)
        return seen is not None and seen.link is not None and seen.link.alive

    def welcome(self, link: Link, welcome: messages.Welcome) -> None:
        """Send the first message, and after it what was queued meanwhile."""
        seen = self._seen[link.computer_id]
        if seen.link is link:
            link.down(welcome)
            waiting, seen.early = seen.early or [], None
            for message in waiting:
                link.down(message)

    def close(self, link: Link) -> None:
        """Forget a stream that ended, unless a newer one took its place."""
        seen = self._seen.get(link.computer_id)
        if seen is not None and seen.link is link:
            self.touch(link)
            seen.link = self._connected = None
            self._live.discard(link.computer_id)

    def touch(self, link: Link) -> None:
        """Note a sign of life: as late as the stream's own end."""
        seen = self._seen[link.computer_id]
        seen.presence = None
        if link.cut_time is None:
            seen.last_seen_time = self._clock.now()
            return
        silent = self._loop.time() - link.cut_time
        heard = self._clock.now() - timedelta(milliseconds=round(silent * 1000))
        seen.last_seen_time = max(heard, seen.last_seen_time or heard)

    def went_to_sleep(self, link: Link) -> None:
        """Note that a computer announced its silence."""
        seen = self._seen[link.computer_id]
        seen.asleep, seen.presence = True, None

    def seen_times(self) -> dict[str, datetime]:
        """Return last contacts."""
        for seen in self._seen.values():
            if seen.link is not None:
                self.touch(seen.link)
        return {key: seen.last_seen_time for key, seen in self._seen.items() if seen.last_seen_time is not None}

    # What the event writer tells.

    def acknowledge(self, computer_id: str, sequence: int) -> None:
        self._send(computer_id, messages.Ack(sequence))

    def answered(self, request_id: str) -> None:
        waiting = self._answers.pop(request_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def has_source(self, computer_id: str) -> None:
        raise AssertionError("no source is designated in a simulation")

    # The port.

    def presence(self, computer_id: str) -> Presence | None:
        seen = self._seen.get(computer_id)
        if seen is None:
            return None
        if seen.link is not None:
            self.touch(seen.link)
        if seen.presence is None:
            seen.presence = Presence(seen.link is not None, seen.asleep, seen.last_seen_time)
        return seen.presence

    def started_time(self) -> datetime:
        return self._started

    def connected_ids(self) -> frozenset[str]:
        if self._connected is None:
            self._connected = frozenset(self._live)
        return self._connected

    async def send_warrant(self, computer_id: str, warrant: Warrant) -> None:
        self._send(computer_id, messages.WarrantSent(warrant.payload()))

    async def renew_lease(
        self,
        computer_id: str,
        assignment_id: str,
        start_until: datetime | None,
        reason: str = "",
        *,
        despite_freeze: str = "",
    ) -> None:
        self._send(computer_id, messages.LeaseRenewal(assignment_id, start_until, reason, despite_freeze))

    async def lease_reboot(
        self,
        computer_id: str,
        assignment_id: str,
        reboot_until: datetime | None,
        reason: str = "",
        *,
        despite_freeze: str = "",
    ) -> None:
        self._send(computer_id, messages.RebootLease(assignment_id, reboot_until, reason))

    async def withdraw(self, computer_id: str, assignment_id: str, reason: str) -> None:
        self._send(computer_id, messages.Withdraw(assignment_id, reason))

    async def freeze(self, *, active: bool, reason: str) -> None:
        for computer_id in list(self._seen):
            self._send(computer_id, messages.FreezeOrder(active, reason))

    async def measure(self, computer_ids: Sequence[str], wait: timedelta) -> frozenset[str]:
        asked: dict[str, asyncio.Future[None]] = {}
        for computer_id in computer_ids:
            request_id = f"m-{next(self._requests)}"
            if self._send(computer_id, messages.MeasureRequest(request_id)) and wait > timedelta(0):
                asked[computer_id] = self._answers[request_id] = self._loop.create_future()
        if asked:
            await asyncio.wait(asked.values(), timeout=wait.total_seconds())
        return frozenset(computer_id for computer_id, answer in asked.items() if answer.done())

    async def announce_sop(self, revision: SopRevision, listeners: frozenset[str] | None = None) -> None:
        raise AssertionError("no SOP changes in a simulation")

    async def tell_labels(self, computer_id: str, labels: Mapping[str, str]) -> None:
        """Nobody sets labels in a simulation."""

    async def designate_source(self) -> None:
        raise AssertionError("no source is designated in a simulation")

    async def redial_all(self, reason: str) -> None:
        for seen in self._seen.values():
            if seen.link is not None:
                seen.link.cut()

    async def cut(self, subject_id: str, reason: str) -> None:
        self.cut_now(subject_id)

    def cut_now(self, subject_id: str) -> None:
        """Cut a computer's stream."""
        seen = self._seen.get(subject_id)
        if seen is not None and seen.link is not None:
            seen.link.cut()

    def _send(self, computer_id: str, message: object) -> bool:
        seen = self._seen.get(computer_id)
        if seen is None or seen.link is None:
            return False
        if seen.early is not None:
            seen.early.append(message)
        else:
            seen.link.down(message)
        return True
