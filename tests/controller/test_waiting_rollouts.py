"""Rollouts that wait for a window or a start time on a running controller, and go on by themselves when it comes.

Nothing is staged ahead here: simulated computers do what they are offered at once.
"""

import asyncio
from datetime import UTC, datetime, timedelta

from sopwith.v1 import rollout_service_pb2
from sopwith_formats.rollout_spec import RolloutSpec
from sopwith_formats.sop_policy import WaveRule, Window
from tests.controller.house import House

ALL = (WaveRule("all", "100%", 0),)


async def _explained(desk, identifier: str) -> dict:
    request = rollout_service_pb2.ExplainRolloutRequest(id=identifier)
    return {item.computer: item for item in (await desk.rollouts.ExplainRollout(request)).explanations}


async def test_each_computer_waits_for_the_window_on_its_own_clock(house: House):
    operator = await house.person("operator", "operator")
    here = await house.computer("here", facts={"time_zone": "UTC"})
    far = await house.computer("far", facts={"time_zone": "Etc/GMT-12"})
    await asyncio.gather(here.connect(), far.connect())
    begun = datetime.now(UTC) - timedelta(hours=1)
    window = Window("FREQ=DAILY", f"{begun:%H}:00", 3 * 3600)

    identifier = await operator.started("1", window=window, waves=ALL, staging_seconds=0)
    await operator.until_ended(identifier, 1)
    waiting = await _explained(operator, identifier)

    assert [entry.computer for entry in await house.log("ASSIGNMENT_ENDED")] == ["here"]
    assert list(waiting) == ["far"]
    assert waiting["far"].waits_for == "window"
    assert (
        timedelta(hours=9) < waiting["far"].until_time.ToDatetime(tzinfo=UTC) - datetime.now(UTC) < timedelta(hours=13)
    )
    assert far.warrants == []


async def test_a_rollout_that_was_started_early_waits_for_its_start_time_and_then_goes_on_by_itself(house: House):
    operator = await house.person("operator", "operator")
    agent = await house.computer("pc1")
    await agent.connect()
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=3)

    wanted = f"{start:%Y-%m-%dT%H:%M:%S}[UTC]"
    identifier = await operator.started("1", start_time=wanted, waves=ALL, staging_seconds=0)
    waiting = await _explained(operator, identifier)
    before = list(agent.warrants)
    rollout = await operator.until(identifier, "COMPLETED")

    assert before == []
    assert (waiting["pc1"].waits_for, waiting["pc1"].until_time.ToDatetime(tzinfo=UTC)) == ("start", start)
    assert rollout.counts.succeeded == 1
    assert datetime.now(UTC) >= start
    assert rollout.deadline_time.ToDatetime(tzinfo=UTC) >= start + timedelta(days=14)


async def test_the_plan_says_when_each_wave_opens_and_ends_and_is_refused_when_that_is_too_late(house: House):
    operator = await house.person("operator", "operator")
    agents = [await house.computer(f"pc{number}") for number in range(3)]
    await asyncio.gather(*(agent.connect() for agent in agents))
    waves = (WaveRule("canary", 1, 3600), WaveRule("rest", "100%", 0))

    async def planned(deadline_seconds: int):
        spec = RolloutSpec("hello-1", "hello@1", "SU-SOP-001", waves=waves, deadline_seconds=deadline_seconds)
        request = rollout_service_pb2.PlanRolloutRequest(rollout_json=spec.to_json().decode())
        return (await operator.rollouts.PlanRollout(request)).plan.forecast

    forecast, late = await planned(86400), await planned(1800)

    canary, rest = forecast.wave_times
    soaked = rest.opens_time.ToDatetime() - canary.ends_time.ToDatetime()
    assert (canary.wave, rest.wave, soaked) == ("canary", "rest", timedelta(hours=1))
    assert rest.ends_time == forecast.projected_finish_time
    assert (forecast.durations_measured, forecast.install_seconds) == (False, 600)
    assert list(forecast.refusals) == []
    (refusal,) = late.refusals
    assert refusal.gate == "sop_bounds"
    assert "its deadline of 30m is over at" in refusal.reason
    assert "the waves soak for 1h together" in refusal.reason
