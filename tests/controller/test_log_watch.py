"""A falsified update log stops what runs and tells people, on a running controller."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from sopwith.v1 import incident_service_pb2, rollout_pb2, rollout_service_pb2
from tests.controller.house import House, running

FALSIFY = "UPDATE update_log SET operator = 'nobody' WHERE entry_index = 0"


def change(data: Path, statement: str) -> None:
    with sqlite3.connect(data / "sopwith.db") as connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()


async def incidents(house: House) -> list:
    async with house.parts.database.read() as unit:
        return [one for one in await unit.incidents.all() if one.symptom == "LOG_INTEGRITY"]


async def test_a_log_falsified_while_the_controller_was_away_is_told_at_its_start(founded, tmp_path):
    async with running(founded, tmp_path) as house:
        await house.parts.update_logs.verify()
    again = tmp_path / "again"
    again.mkdir()
    change(tmp_path / "controller", FALSIFY)

    async with running(tmp_path / "controller", again) as house, asyncio.timeout(20):
        while not await incidents(house):
            await house.parts.database.wait_for_growth(0.2)
        (incident,) = await incidents(house)
        async with house.parts.database.read() as unit:
            messages = await unit.notifications.of_incident(incident.id)

    assert incident.severity == 1
    assert "Entry 0: column operator" in incident.summary
    assert messages[0].target == "manager@localhost"


async def test_a_whole_log_tells_nobody(house: House):
    verdict = await house.parts.update_logs.verify()
    await house.parts.log_watch.report(verdict)

    assert verdict.faults == ()
    assert await incidents(house) == []


@pytest.mark.gate("blocks", "log_integrity")
async def test_a_fault_suspends_what_runs_once_and_leaves_it_alone_when_somebody_took_it(house: House):
    operator = await house.person("operator", "operator", "it_manager")
    agent = await house.computer("pc1")
    agent.work = lambda warrant: None  # type: ignore[method-assign]
    await agent.connect()
    rollout_id = await operator.started("1")
    await asyncio.to_thread(change, house.data, FALSIFY)

    await house.parts.log_watch.report(await house.parts.update_logs.verify())
    suspended = await operator.rollout(rollout_id)
    await house.parts.log_watch.report(await house.parts.update_logs.verify())
    (incident,) = await incidents(house)
    await operator.incidents.AcknowledgeIncident(incident_service_pb2.AcknowledgeIncidentRequest(id=incident.id))
    await operator.rollouts.ResumeRollout(rollout_service_pb2.ResumeRolloutRequest(id=rollout_id, reason="seen"))
    await house.parts.log_watch.report(await house.parts.update_logs.verify())
    resumed = await operator.rollout(rollout_id)

    assert suspended.state_reason == "the update log is not what was written"
    assert rollout_pb2.RolloutState.Name(resumed.state) == "ROLLOUT_STATE_RUNNING"
    assert (await house.log_kinds()).count("ROLLOUT_SUSPENDED") == 1
    assert len(await incidents(house)) == 1
