"""Who looks at a computer's measurement: nobody where it says again what is known, unless somebody asked for it."""

import asyncio
from typing import Any, cast

import pytest

from sopwith_controller.api.event_writer import EventWriter, Listeners
from sopwith_controller.domain.entities import Readiness, Reason
from sopwith_controller.services.agent_reports import ReadinessReported, Report
from sopwith_controller.services.progress import Progress
from sopwith_controller.services.rollout_records import RolloutRecords
from tests import builders as make
from tests.builders import FixedClock
from tests.fakes.database import FakeDatabase

BUSY = Readiness("NOT_READY", (Reason("LOAD_HIGH", "the load is 9", "wait"),))


class Heard:
    """Stands where rollouts and newcomers are looked at, and where questions are kept."""

    def __init__(self) -> None:
        self.looked_at: list[str] = []
        self.noticed: list[str] = []
        self.answered_requests: list[str] = []
        self.measure_asked: dict[str, Any] = {}

    def poke(self, *_: str) -> None:
        pass

    async def poke_of(self, computer_ids: Any) -> None:
        self.looked_at.extend(computer_ids)

    def notice(self, computer_ids: Any) -> None:
        self.noticed.extend(computer_ids)

    def answered(self, request_id: str) -> None:
        self.answered_requests.append(request_id)

    def acknowledge(self, *_: Any) -> None:
        pass


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
async def say(heard):
    database = FakeDatabase(FixedClock())
    async with database.write() as unit:
        await unit.computers.put(make.computer("pc1", id="c-1"))
        await unit.commit()
    anybody = cast("Any", heard)
    progress = Progress(database, FixedClock(), anybody, RolloutRecords(), lambda *_: False)
    to = Listeners(anybody, anybody, anybody, anybody, views=anybody, access=anybody, newcomers=anybody)
    writer = EventWriter(progress, to)
    writer.start()

    async def said(readiness: Readiness, request_id: str = "") -> list[str]:
        heard.looked_at.clear()
        await writer.put(Report("c-1", 0, "", ReadinessReported(readiness, request_id)))
        await asyncio.wait_for(writer._queue.join(), 10)
        return heard.looked_at

    yield said
    await writer.stop()


async def test_the_first_word_and_every_other_word_are_looked_at(say, heard):
    assert await say(Readiness("READY")) == ["c-1"]
    assert await say(BUSY) == ["c-1"]
    assert await say(Readiness("READY")) == ["c-1"]
    assert heard.noticed == ["c-1"] * 3


async def test_the_same_word_again_is_recorded_and_looked_at_by_nobody(say, heard):
    await say(BUSY)
    heard.noticed.clear()

    assert await say(BUSY) == []
    assert heard.noticed == []


async def test_an_answer_to_a_question_is_looked_at_whatever_it_says(say, heard):
    await say(Readiness("READY"))
    heard.measure_asked["c-1"] = FixedClock().now()

    assert await say(Readiness("READY"), "m-1") == ["c-1"]
    assert heard.answered_requests == ["m-1"]
    assert not heard.measure_asked
