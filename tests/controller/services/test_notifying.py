"""The outbox worker: tries until taken, records every try, never silently gives up."""

import asyncio
from datetime import timedelta
from typing import cast

import pytest

from sopwith_controller.domain.errors import UnavailableError
from sopwith_controller.services.notifying import Notifying, SecondChannel
from sopwith_controller.services.ports import Database
from tests import builders as make
from tests.builders import NOON, FixedClock
from tests.fakes.database import FakeDatabase


class Channel:
    """A channel that refuses as long as it is told to, and keeps what it took."""

    def __init__(self, channel: str = "smtp", error: str = "") -> None:
        self.channel = channel
        self.error = error
        self.taken: list[tuple[str, str, str]] = []
        self.tries = 0

    async def deliver(self, target: str, subject: str, body: str) -> None:
        """Take or refuse."""
        self.tries += 1
        if self.error:
            raise UnavailableError(self.error)
        self.taken.append((target, subject, body))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
async def database(clock):
    database = FakeDatabase(clock)
    async with database.write() as unit:
        await unit.incidents.put(make.incident(rollout_id="r-1", release="hello@2"))
        await unit.notifications.put(make.notification())
        await unit.commit()
    return database


async def messages(database):
    async with database.read() as unit:
        return await unit.notifications.of_incident("i-1")


async def kinds(database):
    async with database.read() as unit:
        return [row.kind for row in await unit.update_log.entries(0, 100)]


async def test_a_due_message_is_delivered_once_and_recorded(database, clock):
    smtp = Channel()
    notifying = Notifying(database, clock, {"smtp": smtp})

    assert await notifying.send_due() == 1
    assert await notifying.send_due() == 0

    (message,) = await messages(database)
    assert smtp.taken == [("manager@localhost", "Incident i-1", "body")]
    assert (message.delivered, message.error, message.attempts, message.dispatched_time) == (True, "", 1, NOON)
    async with database.read() as unit:
        (entry,) = await unit.update_log.entries(0, 10)
    assert (entry.kind, entry.rollout, entry.symptom) == ("NOTIFICATION_DELIVERED", "r-1", "HEALTH_CHECK_FAILED")


async def test_a_refused_message_waits_longer_each_time_and_is_never_given_up(database, clock):
    smtp = Channel(error="down")
    notifying = Notifying(database, clock, {"smtp": smtp})
    waits = []

    for _ in range(10):
        assert await notifying.send_due() == 1
        assert await notifying.send_due() == 0
        (message,) = await messages(database)
        waits.append(round((message.next_try_time - clock.now()).total_seconds()))
        clock.time = message.next_try_time

    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]
    assert (message.delivered, message.error, message.attempts) == (False, "down", 10)


async def test_a_failure_is_logged_once_per_reason_and_the_delivery_after_it(database, clock):
    smtp = Channel(error="down")
    notifying = Notifying(database, clock, {"smtp": smtp})
    for error in ("down", "down", "refused", ""):
        smtp.error = error
        await notifying.send_due()
        clock.advance(minutes=10)

    assert await kinds(database) == ["NOTIFICATION_FAILED", "NOTIFICATION_FAILED", "NOTIFICATION_DELIVERED"]


@pytest.mark.clause("V.E Report at once", "second")
async def test_the_second_channel_gets_the_words_when_the_first_fails(database, clock):
    smtp, file = Channel(error="down"), Channel("file")
    notifying = Notifying(database, clock, {"smtp": smtp, "file": file}, second=SecondChannel("file", "operations"))

    await notifying.send_due()
    await notifying.send_due()
    clock.advance(minutes=1)
    await notifying.send_due()

    assert file.taken == [("operations", "Incident i-1", "body")]
    assert [(one.channel, one.delivered) for one in await messages(database)] == [("smtp", False), ("file", True)]


async def test_a_channel_that_is_not_set_up_is_an_error_and_no_silence(database, clock):
    await Notifying(database, clock, {}).send_due()

    (message,) = await messages(database)
    assert message.error == "no channel 'smtp' is set up"
    assert await kinds(database) == ["NOTIFICATION_FAILED"]


async def test_a_channel_that_breaks_does_not_stop_the_others(database, clock):
    class Broken(Channel):
        async def deliver(self, target: str, subject: str, body: str) -> None:
            raise KeyError("canary-secret")

    async with database.write() as unit:
        await unit.notifications.put(make.notification("n-2", channel="file"))
        await unit.commit()
    file = Channel("file")

    await Notifying(database, clock, {"smtp": Broken(), "file": file}).send_due()

    failed, sent = await messages(database)
    assert failed.error == "the channel failed: KeyError"
    assert sent.delivered


async def test_a_slow_channel_holds_nobody_else_s_transaction(database, clock):
    entered, leave = asyncio.Event(), asyncio.Event()

    class Slow(Channel):
        async def deliver(self, target: str, subject: str, body: str) -> None:
            entered.set()
            await leave.wait()

    sending = asyncio.create_task(Notifying(database, clock, {"smtp": Slow()}).send_due())
    await entered.wait()

    async with asyncio.timeout(5), database.write() as unit:
        await unit.computers.put(make.computer())
        await unit.commit()

    leave.set()
    assert await sending == 1


async def test_the_worker_delivers_when_it_is_woken(database, clock):
    smtp = Channel()
    notifying = Notifying(database, clock, {"smtp": smtp})
    worker = asyncio.create_task(notifying.run())
    try:
        async with asyncio.timeout(5):
            while not smtp.taken:
                await database.wait_for_growth(1)
            async with database.write() as unit:
                await unit.notifications.put(make.notification("n-2", created_time=NOON + timedelta(seconds=1)))
                await unit.commit()
            notifying.wake()
            while len(smtp.taken) < 2:
                await database.wait_for_growth(1)
    finally:
        worker.cancel()

    assert len(smtp.taken) == 2


async def test_the_worker_survives_a_database_that_is_away(clock):
    class Away:
        def __init__(self) -> None:
            self.asked = asyncio.Event()

        def read(self):
            self.asked.set()
            raise UnavailableError("the database does not answer")

    away = Away()
    worker = asyncio.create_task(Notifying(cast(Database, away), clock, {}).run())
    async with asyncio.timeout(5):
        await away.asked.wait()
    await asyncio.sleep(0)

    assert not worker.done()
    worker.cancel()
