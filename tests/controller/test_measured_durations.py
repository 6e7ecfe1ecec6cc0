"""From a signed receipt to the plan: how long an update took is stored, and the next plan counts with it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sopwith.v1 import rollout_service_pb2
from sopwith_formats.rollout_spec import RolloutSpec
from sopwith_formats.sop_policy import WaveRule
from sopwith_formats.units import format_time
from sopwith_formats.warrant import Warrant
from tests.controller.house import Desk, House
from tests.controller.simulated_agent import SimulatedAgent

ALL = (WaveRule("all", "100%", 0),)
TOOK = {"preparing": 1, "downloading": 20, "staged": 300, "installing": 70, "confirming": 25}
"""Seconds that each state lasts; only the last two are an install."""


async def at_work(house: House, operator: Desk) -> tuple[str, SimulatedAgent, Warrant]:
    """Start a rollout on one computer that says nothing by itself."""
    agent = await house.computer("pc1", facts={"os": "linux", "arch": "x86_64"})
    agent.works = False
    await agent.connect()
    identifier = await operator.started("1", waves=ALL)
    return identifier, agent, await agent.until_warrant()


def steps(begun: datetime) -> tuple[dict[str, str], ...]:
    """Return the steps of a receipt as the agent writes them: each state with the time of leaving it."""
    left, found = begun, []
    for state, seconds in TOOK.items():
        left += timedelta(seconds=seconds)
        found.append({"step": state, "time": format_time(left), "result": "ok", "detail": ""})
    return tuple(found)


async def forecast(operator: Desk) -> Any:
    """Return what a plan of the next version says about time."""
    spec = RolloutSpec("hello-2", "hello@2", "SU-SOP-001", waves=ALL)
    request = rollout_service_pb2.PlanRolloutRequest(rollout_json=spec.to_json().decode())
    return (await operator.rollouts.PlanRollout(request)).plan.forecast


async def test_what_a_receipt_tells_of_time_is_stored_and_the_next_plan_counts_with_it(house: House):
    operator = await house.person("operator", "operator")
    identifier, agent, warrant = await at_work(house, operator)
    before = await forecast(operator)
    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=sum(TOOK.values()))

    agent.receipt(warrant, "SUCCEEDED", started_time=begun, steps=steps(begun))
    await operator.until(identifier, "COMPLETED")
    after = await forecast(operator)

    async with house.parts.database.read() as unit:
        [stored] = await unit.measurements.newest("hello", 50)
    assert (before.durations_measured, before.install_seconds) == (False, 600)
    assert (stored.assignment_id, stored.platform) == (warrant.assignment_id, "linux/x86_64/")
    assert (stored.install_milliseconds, stored.download_milliseconds, stored.download_bytes) == (95_000, 20_000, 1000)
    assert (after.durations_measured, after.install_seconds) == (True, 95)


async def test_an_update_that_did_not_succeed_measures_nothing(house: House):
    operator = await house.person("operator", "operator")
    _identifier, agent, warrant = await at_work(house, operator)
    begun = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=sum(TOOK.values()))

    sent = agent.receipt(warrant, "FAILED", "INSTALLER_EXIT_NONZERO", started_time=begun, steps=steps(begun))
    await agent.until_acknowledged(sent)

    assert (await forecast(operator)).durations_measured is False
