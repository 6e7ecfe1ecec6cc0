"""A running controller whose clock jumps: nothing starts, nothing ends, and it goes on when the time is right again."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from sopwith.v1 import fleet_service_pb2, incident_service_pb2, rollout_service_pb2
from sopwith_controller.adapters.clock import SteadySystemClock
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.services.clock_guard import NAME, ClockGuard
from tests.controller.house import House

TWO_YEARS = timedelta(days=730)
TO_1970 = datetime(1970, 1, 1, 0, 1, tzinfo=UTC) - datetime.now(UTC)


@contextmanager
def clock_set_by(house: House, jump: timedelta) -> Iterator[None]:
    clock: object = house.parts.clock
    vars(clock)["now"] = lambda: datetime.now(UTC) + jump
    try:
        yield
    finally:
        del vars(clock)["now"]


async def _freezes(house: House) -> list:
    async with house.parts.database.read() as unit:
        return [one for one in await unit.freezes.all() if one.started_by == NAME and one.end_time is None]


@pytest.mark.parametrize("jump", [TWO_YEARS, -TWO_YEARS, TO_1970])
async def test_a_jump_holds_a_running_rollout_until_the_clock_returns(house: House, jump: timedelta):
    operator = await house.person("operator", "operator")
    agents = [await house.computer(name) for name in ("pc1", "pc2")]
    for agent in agents:
        agent.works = False
        await agent.connect()
    rollout_id = await operator.started("1", deadline_seconds=3600)
    await operator.until(rollout_id, "RUNNING")

    with clock_set_by(house, jump):
        trusted = await house.parts.clock_guard.trusted()
        await house.parts.advancing.sweep()
        await house.parts.advancing._look_at(rollout_id)
        held = await operator.rollout(rollout_id)
        frozen = await _freezes(house)
    trusted_again = await house.parts.clock_guard.trusted()
    incidents = (await operator.incidents.ListIncidents(incident_service_pb2.ListIncidentsRequest())).incidents

    assert (trusted, trusted_again) == (False, True)
    assert held.counts.active + held.counts.pending == 2
    assert len(frozen) == 1
    assert await _freezes(house) == []
    assert [incident.symptom for incident in incidents] == ["CLOCK_SKEWED"]
    for agent in agents:
        await agent.ended()
        agent.works = True
        await agent.connect()
        for warrant in agent.warrants:
            agent.work(warrant)
    assert (await operator.until(rollout_id, "COMPLETED")).counts.succeeded == 2


async def test_nothing_is_started_until_a_person_confirms_the_time(house: House):
    owner = await house.person("owner", "owner")
    operator = await house.person("operator", "operator")
    agent = await house.computer("pc1")
    await agent.connect()

    with clock_set_by(house, timedelta(hours=2)):
        await house.parts.clock_guard.trusted()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await operator.started("1")
        (freeze,) = await _freezes(house)
        await owner.fleet.EndFreeze(
            fleet_service_pb2.EndFreezeRequest(id=freeze.id, reason="the time is right", confirm_time=True)
        )
        confirmed = await house.parts.clock_guard.trusted()
        await agent.ended()
        await agent.connect()
        async with house.parts.database.read() as unit:
            (approved,) = await unit.rollouts.all()
        await operator.rollouts.StartRollout(
            rollout_service_pb2.StartRolloutRequest(id=approved.id, reason="now the time is right")
        )

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "clock jumped" in str(refused.value.details())
    assert approved.state is RolloutState.APPROVED
    assert confirmed


@pytest.mark.parametrize("named", [False, True])
async def test_who_ends_freezes_confirms_no_time_by_it(house: House, named: bool):
    owner = await house.person("owner", "owner")
    await owner.fleet.StartFreeze(fleet_service_pb2.StartFreezeRequest(reason="stocktaking"))

    with clock_set_by(house, timedelta(hours=2)):
        await house.parts.clock_guard.trusted()
        (of_clock,) = await _freezes(house)
        ended = await owner.fleet.EndFreeze(fleet_service_pb2.EndFreezeRequest(reason="counted"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await owner.fleet.EndFreeze(fleet_service_pb2.EndFreezeRequest(id=of_clock.id if named else ""))
        still_held = not await house.parts.clock_guard.trusted()
        await owner.fleet.EndFreeze(fleet_service_pb2.EndFreezeRequest(id=of_clock.id, confirm_time=True))
        confirmed = await house.parts.clock_guard.trusted()

    assert [freeze.reason for freeze in ended.freezes] == ["stocktaking"]
    assert "nothing starts until it returns" in str(refused.value.details())
    assert still_held
    assert confirmed
    assert "owner confirmed that it is 2" in (await house.log("FREEZE_ENDED"))[-1].message


@pytest.mark.parametrize("jump", [TWO_YEARS, -TWO_YEARS])
async def test_what_people_freeze_and_end_while_the_clock_is_wrong_holds_when_it_returns(house: House, jump: timedelta):
    owner = await house.person("owner", "owner")
    before = await owner.fleet.StartFreeze(fleet_service_pb2.StartFreezeRequest(reason="before"))

    with clock_set_by(house, jump):
        await house.parts.clock_guard.trusted()
        await owner.fleet.EndFreeze(fleet_service_pb2.EndFreezeRequest(id=before.freeze.id))
        await owner.fleet.StartFreeze(fleet_service_pb2.StartFreezeRequest(reason="meanwhile"))
        during = await house.parts.freezes.active()
    await house.parts.clock_guard.trusted()

    assert "meanwhile" in {freeze.reason for freeze in during}
    assert [freeze.reason for freeze in await house.parts.freezes.active()] == ["meanwhile"]


async def test_a_hold_outlives_a_restart_and_a_clock_before_the_record_is_noticed(house: House):
    with clock_set_by(house, TO_1970):
        first = _guard(house)
        await first.begin()
        second = _guard(house)
        await second.begin()

        assert not await first.trusted()
        assert not await second.trusted()
    assert not await second.trusted()
    assert await _freezes(house) != []


async def test_a_computer_that_dials_during_a_hold_is_told_that_nothing_starts(house: House):
    agent = await house.computer("pc1")

    with clock_set_by(house, TWO_YEARS):
        await house.parts.clock_guard.trusted()
        await agent.connect()
        during = agent.welcome
        await agent.hang_up()
    await house.parts.clock_guard.trusted()
    await agent.connect()

    assert during is not None
    assert agent.welcome is not None
    assert (during.frozen, agent.welcome.frozen) == (True, False)


async def test_who_knows_a_time_that_does_not_hold_dials_again_and_learns_it(house: House):
    owner = await house.person("owner", "owner")
    before, during = [await house.computer(name) for name in ("pc1", "pc2")]
    await before.connect()

    with clock_set_by(house, timedelta(hours=2)):
        await house.parts.clock_guard.trusted()
        await during.connect()
        held = house.parts.presence.streams()
        await owner.fleet.EndFreeze(fleet_service_pb2.EndFreezeRequest(confirm_time=True, reason="the time is right"))
        await house.parts.clock_guard.trusted()
        await asyncio.gather(before.ended(), during.ended())
        await before.connect()
        told = before.welcome

    assert held == 2
    assert told is not None
    assert told.controller_time.ToDatetime(UTC) > datetime.now(UTC) + timedelta(hours=1, minutes=55)


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_clock_that_jumps_back_during_a_hold_leaves_no_gap_for_who_dials(house: House, restarted: bool):
    agent = await house.computer("pc1")
    with clock_set_by(house, TWO_YEARS):
        await house.parts.clock_guard.trusted()

    with clock_set_by(house, TO_1970):
        if restarted:
            await _guard(house).begin()
        else:
            await house.parts.clock_guard.trusted()
        await agent.connect()

        assert agent.welcome is not None
        assert agent.welcome.frozen


def _guard(house: House) -> ClockGuard:
    parts = house.parts
    return ClockGuard(
        parts.database,
        parts.clock,
        SteadySystemClock(),
        parts.ids,
        parts.incidents,
        gateway=parts.presence,
        changed=lambda: None,
    )
