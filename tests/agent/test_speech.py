"""What is said on a stream, and how rarely the outbox is read for it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sopwith_agent.domain import limits
from sopwith_agent.domain.messages import GoingToSleep, Heartbeat, Incoming, OutboxMessage, Outgoing
from sopwith_agent.steps.speech import Speech

BEAT = Heartbeat(datetime(2026, 11, 30, 12, tzinfo=UTC))
LAST = Heartbeat(datetime(2026, 11, 30, 13, tzinfo=UTC))
"""Said at the end of a scene: what it is heard behind is all that was said."""


class _Outbox:
    """Messages in memory, two at a reading; counts the readings, and may grow during one."""

    def __init__(self, *sequences: int, kept: tuple[int, ...] = ()) -> None:
        self.held = [_reliable(number) for number in sequences]
        self.kept = kept
        self.readings = 0
        self.meanwhile: Callable[[], None] = lambda: None

    def after(self, sequence: int) -> list[OutboxMessage]:
        self.readings += 1
        found = [message for message in self.held if message.sequence > sequence][:2]
        self.meanwhile()
        return found

    def again(self, number: int) -> OutboxMessage | None:
        return _again(number) if number in self.kept else None


class _Stream:
    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.finished = False
        self._spoke = asyncio.Event()

    async def send(self, message: Outgoing) -> None:
        self.sent.append(message)
        self._spoke.set()

    async def finish(self) -> None:
        self.finished = True

    async def received(self) -> AsyncIterator[Incoming]:
        """Give nothing: the controller is silent in these scenes."""
        silence: tuple[Incoming, ...] = ()
        for message in silence:
            yield message

    async def said(self, count: int) -> None:
        """Wait until so many messages were sent."""
        async with asyncio.timeout(20):
            while len(self.sent) < count:
                self._spoke.clear()
                await self._spoke.wait()


def _reliable(sequence: int) -> OutboxMessage:
    return OutboxMessage(sequence, "progress", {})


def _again(number: int) -> OutboxMessage:
    return OutboxMessage(0, "receipt_again", {"number": number})


def _scene(outbox: Any, play: Callable[[Speech, _Stream], Awaitable[None]], lacking: tuple[int, ...] = ()) -> None:
    """Let somebody speak on one stream while the scene is played."""

    async def scene() -> None:
        speech, stream = Speech(outbox), _Stream()
        speech.begin(list(lacking))
        await _played(speech, stream, play)

    asyncio.run(scene())


async def _played(speech: Speech, stream: _Stream, play: Callable[[Speech, _Stream], Awaitable[None]]) -> None:
    speaking = asyncio.create_task(speech.speak(stream))
    try:
        await play(speech, stream)
    finally:
        speaking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await speaking


async def _ends_with(speech: Speech, stream: _Stream, *messages: Outgoing) -> None:
    """Wait for these messages, and see that they are all."""
    await stream.said(len(messages))
    speech.say(LAST)
    await stream.said(len(messages) + 1)
    assert stream.sent == [*messages, LAST]


def test_everything_held_is_sent_in_order_when_a_stream_begins() -> None:
    async def play(speech: Speech, stream: _Stream) -> None:
        await _ends_with(speech, stream, *map(_reliable, (4, 5, 6, 7, 8)))

    _scene(_Outbox(4, 5, 6, 7, 8), play)


def test_the_next_stream_is_told_again_what_was_not_acknowledged() -> None:
    async def play(speech: Speech, stream: _Stream) -> None:
        await _ends_with(speech, stream, _reliable(4), _reliable(5))

    async def scene() -> None:
        speech: Speech = Speech(_Outbox(4, 5))  # type: ignore[arg-type]  # the rest of the outbox is the session's
        for _ in range(2):
            speech.begin([])
            await _played(speech, _Stream(), play)

    asyncio.run(scene())


def test_heartbeats_do_not_read_the_outbox() -> None:
    outbox = _Outbox(4)

    async def play(speech: Speech, stream: _Stream) -> None:
        await stream.said(1)
        for count in (2, 3, 4):
            speech.say(BEAT)
            await stream.said(count)
        await _ends_with(speech, stream, _reliable(4), BEAT, BEAT, BEAT)

    _scene(outbox, play)
    assert outbox.readings == 2, "once for what it held, once to find no more"


def test_what_comes_in_during_the_last_reading_does_not_wait_for_the_next_message() -> None:
    outbox = _Outbox(4)

    async def play(speech: Speech, stream: _Stream) -> None:
        loop = asyncio.get_running_loop()

        def grow() -> None:
            """Put one behind what this reading found, in the thread that reads."""
            if outbox.readings == 2:
                outbox.held.append(_reliable(5))
                loop.call_soon_threadsafe(speech.outbox_grew)

        outbox.meanwhile = grow
        await _ends_with(speech, stream, _reliable(4), _reliable(5))

    _scene(outbox, play)


def test_growth_is_sent_when_it_is_told() -> None:
    outbox = _Outbox()

    async def play(speech: Speech, stream: _Stream) -> None:
        speech.say(BEAT)
        await stream.said(1)
        outbox.held.append(_reliable(1))
        speech.outbox_grew()
        await _ends_with(speech, stream, BEAT, _reliable(1))

    _scene(outbox, play)


@pytest.mark.parametrize("kept", [(2, 3), (3,)])
def test_records_that_the_controller_lost_come_first_and_what_is_gone_is_left_out(kept: tuple[int, ...]) -> None:
    async def play(speech: Speech, stream: _Stream) -> None:
        speech.say(BEAT)
        await _ends_with(speech, stream, *map(_again, kept), BEAT, _reliable(9))

    _scene(_Outbox(9, kept=kept), play, lacking=(2, 3))


def test_what_was_passing_is_not_said_on_the_next_stream() -> None:
    async def play(speech: Speech, stream: _Stream) -> None:
        await _ends_with(speech, stream)

    async def scene() -> None:
        speech: Speech = Speech(_Outbox())  # type: ignore[arg-type]  # the rest of the outbox is the session's
        speech.say(BEAT)
        speech.begin([])
        await _played(speech, _Stream(), play)

    asyncio.run(scene())


def test_after_sleep_was_announced_nothing_more_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "sleep_farewell_seconds", 0)

    async def scene() -> None:
        speech: Speech = Speech(_Outbox(4))  # type: ignore[arg-type]  # the rest of the outbox is the session's
        stream = _Stream()
        speech.say(GoingToSleep())
        speech.say(BEAT)
        await speech.speak(stream)
        assert stream.sent == [GoingToSleep()]
        assert stream.finished

    asyncio.run(scene())
