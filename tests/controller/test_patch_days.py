"""Patch days on a running controller: drafted once, after downtime too, and never started by themselves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sopwith.v1 import fleet_service_pb2, rollout_service_pb2
from sopwith_controller.domain.patch_day import due_days
from sopwith_controller.domain.rollout_entities import PATCH_DAY, RolloutState
from tests.controller.house import House


async def _drafts(house: House) -> list:
    async with house.parts.database.read() as unit:
        return [one for one in await unit.rollouts.all() if one.origin == PATCH_DAY]


async def _set_next_day(house: House, repetition_id: str, day: datetime) -> int:
    async with house.parts.database.write() as unit:
        repetition = await unit.repetitions.get(repetition_id)
        assert repetition is not None
        changed = replace(repetition, next_time=day)
        await unit.repetitions.put(changed)
        await unit.commit()
    return len(due_days(changed, datetime.now(UTC)))


async def test_a_missed_patch_day_is_drafted_once_and_older_ones_are_skipped(house: House):
    operator = await house.person("operator", "operator")
    agent = await house.computer("pc1")
    await agent.connect()
    rollout_id = await operator.started("1", repeat="FREQ=DAILY")
    done = await operator.until(rollout_id, "COMPLETED")
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    missed = await _set_next_day(house, rollout_id, midnight - timedelta(days=5))

    await house.parts.patch_days.look()
    await house.parts.patch_days.look()

    (draft,) = await _drafts(house)
    assert (draft.name, draft.state) == (f"hello-1-{midnight:%Y-%m-%d}", RolloutState.DRAFT)
    assert (draft.release, draft.origin_id) == ("hello@2", rollout_id)
    assert len(await house.log("PATCH_DAY_SKIPPED")) == missed - 1
    assert len(await house.log("PATCH_DAY_DRAFTED")) == 1
    assert done.next_draft_time.ToDatetime() == (midnight + timedelta(days=1)).replace(tzinfo=None)
    status = (await operator.fleet.GetOverview(fleet_service_pb2.GetOverviewRequest())).attention
    assert any("patch day" in item.message and draft.id in item.command for item in status)


async def test_aborting_a_draft_ends_the_repetition(house: House):
    operator = await house.person("operator", "operator")
    agent = await house.computer("pc1")
    await agent.connect()
    rollout_id = await operator.started("1", repeat="FREQ=DAILY")
    await operator.until(rollout_id, "COMPLETED")
    await _set_next_day(house, rollout_id, datetime.now(UTC) - timedelta(hours=1))
    await house.parts.patch_days.look()
    (draft,) = await _drafts(house)

    await operator.rollouts.AbortRollout(rollout_service_pb2.AbortRolloutRequest(id=draft.id, reason="not any more"))

    async with house.parts.database.read() as unit:
        assert await unit.repetitions.in_force() == []
