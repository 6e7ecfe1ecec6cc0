"""What this computer says on the stream at hand: one task speaks, because a stream has one writer.

Rules: signed records that the controller lacks come first, because it was restored from a backup; then what is passing,
which is lost when the stream ends; then what the outbox holds, in order. The outbox is read when a stream begins and
when it grew, and not at a heartbeat: each reading wakes a thread, and a computer at rest says nothing but heartbeats.
"""

import asyncio

from sopwith_agent.domain import limits
from sopwith_agent.domain.messages import GoingToSleep, Outgoing
from sopwith_agent.steps.link_port import Stream
from sopwith_agent.steps.session_ports import Deliveries


class Speech:
    """Used in the loop's thread alone."""

    def __init__(self, outbox: Deliveries) -> None:
        self._outbox = outbox
        self._passing: asyncio.Queue[Outgoing] = asyncio.Queue()
        self._lacking: list[int] = []
        self._outbox_grew = True
        self._something = asyncio.Event()

    def begin(self, lacking: list[int]) -> None:
        """Begin anew for a stream; `lacking` are the numbers of signed records that the controller lost."""
        self._passing, self._lacking, self._outbox_grew = asyncio.Queue(), lacking, True

    def say(self, message: Outgoing) -> None:
        """Say something that may be lost."""
        self._passing.put_nowait(message)
        self._something.set()

    def outbox_grew(self) -> None:
        """Look into the outbox again."""
        self._outbox_grew = True
        self._something.set()

    async def speak(self, stream: Stream) -> None:
        """Send until the stream ends, or until sleep was announced."""
        sent = 0
        for number in self._lacking:
            again = await asyncio.to_thread(self._outbox.again, number)
            if again is not None:
                await stream.send(again)
        while True:
            self._something.clear()
            while not self._passing.empty():
                message = self._passing.get_nowait()
                await stream.send(message)
                if isinstance(message, GoingToSleep):
                    await stream.finish()
                    return await asyncio.sleep(limits.sleep_farewell_seconds)
            if self._outbox_grew:
                self._outbox_grew = False
                while messages := await asyncio.to_thread(self._outbox.after, sent):
                    for reliable in messages:
                        await stream.send(reliable)
                        sent = reliable.sequence
            if self._passing.empty():
                await self._something.wait()
