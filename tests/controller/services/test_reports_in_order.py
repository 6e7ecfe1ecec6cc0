"""No report is passed over: what a computer forgets because it was acknowledged is recorded, whatever was lost."""

from typing import Any, cast

import pytest

from sopwith_controller.domain.entities import Readiness
from sopwith_controller.services.agent_reports import Arrival, FactsReported, ReadinessReported, Report
from sopwith_controller.services.dispatch import Dispatch
from sopwith_controller.services.progress import Progress
from sopwith_controller.services.rollout_records import RolloutRecords
from tests import builders as make
from tests.builders import FixedClock
from tests.fakes.database import FakeDatabase


@pytest.fixture
async def database() -> FakeDatabase:
    database = FakeDatabase(FixedClock())
    async with database.write() as unit:
        await unit.computers.put(make.computer("pc1", id="c-1", acknowledged_sequence=4))
        await unit.commit()
    return database


@pytest.fixture
def progress(database: FakeDatabase) -> Progress:
    return Progress(database, FixedClock(), cast("Any", None), RolloutRecords(), lambda *_: False)


def a_report(sequence: int) -> Report:
    return Report("c-1", sequence, f"{sequence:064}", FactsReported({"number": sequence}, {}))


async def acknowledged(database: FakeDatabase) -> int:
    async with database.read() as unit:
        computer = await unit.computers.get("c-1")
    return computer.acknowledged_sequence if computer else -1


async def test_report_beyond_the_next_one_is_neither_recorded_nor_acknowledged(progress, database):
    recorded = await progress.record([a_report(6), a_report(7)])

    assert recorded.gaps == {"c-1"}
    assert not recorded.acknowledged
    assert await acknowledged(database) == 4


async def test_everything_after_a_gap_is_recorded_once_it_comes_in_order(progress, database):
    await progress.record([a_report(6)])

    recorded = await progress.record([a_report(5), a_report(6), a_report(7)])

    assert (recorded.gaps, recorded.acknowledged) == (set(), {"c-1": 7})
    async with database.read() as unit:
        assert sorted(await unit.agent_messages.digests("c-1", 1, 9)) == [5, 6, 7]


async def test_reports_without_a_number_leave_no_gap(progress):
    recorded = await progress.record([Report("c-1", 0, "", ReadinessReported(Readiness("READY"), ""))])

    assert (recorded.gaps, recorded.measured) == (set(), {"c-1"})


async def test_what_a_computer_forgot_already_is_not_waited_for(progress, database):
    dispatch = Dispatch(database, FixedClock(), cast("Any", None), RolloutRecords(), cast("Any", None))

    await dispatch.arrive(Arrival("c-1", "1", "nonce", "boot", first_unacknowledged=9))
    recorded = await progress.record([a_report(9)])

    assert recorded.acknowledged == {"c-1": 9}
