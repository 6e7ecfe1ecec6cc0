"""Computers that come late, on a running controller: dynamic audiences, baselines and their catch-ups."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from sopwith.v1 import fleet_service_pb2, rollout_service_pb2
from sopwith_controller.domain.entities import ComputerState, ReleaseState
from sopwith_controller.domain.errors import ConflictError
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.services.baseline_reasons import why_not_offered
from sopwith_controller.services.catch_up import CatchUps
from sopwith_controller.services.planning import Planner
from sopwith_formats.rollout_spec import ErrorThresholdSpec
from sopwith_formats.sop_policy import WaveRule
from tests.controller.house import Desk, House
from tests.controller.simulated_agent import SimulatedAgent

ALL_AT_ONCE = (WaveRule("all", "100%", 0),)


async def _fleet(house: House, *names: str, **changes) -> list[SimulatedAgent]:
    agents = [await house.computer(name, **changes) for name in names]
    await asyncio.gather(*(agent.connect() for agent in agents))
    return agents


async def _rollouts(house: House) -> dict:
    async with house.parts.database.read() as unit:
        return {rollout.name: rollout for rollout in await unit.rollouts.all()}


async def _until_catch_up(house: House, desk, name: str, *states: str):
    async with asyncio.timeout(10):
        while name not in (found := await _rollouts(house)):  # noqa: ASYNC110  the table is all there is to ask
            await asyncio.sleep(0.05)
    return await desk.until(found[name].id, *states)


async def _in_order(agents: list[SimulatedAgent]) -> list[SimulatedAgent]:
    """Wait for the canary's warrant; return the canary first."""
    waiting = {asyncio.create_task(agent.until_warrant()): agent for agent in agents}
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return [waiting[task] for task in (*done, *pending)]


async def test_a_computer_that_enrols_while_a_dynamic_rollout_runs_joins_its_last_wave(house: House):
    operator = await house.person("operator", "operator")
    agents = await _fleet(house, "pc1", "pc2")
    for agent in agents:
        agent.works = False
    rollout_id = await operator.started("1", dynamic=True)
    before = await operator.rollout(rollout_id)
    canary, other = await _in_order(agents)
    canary.work(canary.warrants[0])
    await other.until_warrant()

    (late,) = await _fleet(house, "pc3")
    await late.until_warrant()
    other.work(other.warrants[0])
    rollout = await operator.until(rollout_id, "COMPLETED")

    (joined,) = await house.log("COMPUTER_JOINED")
    assert (joined.computer, joined.rollout) == ("pc3", rollout_id)
    assert rollout.counts.succeeded == 3
    assert [(wave.name, wave.size) for wave in rollout.waves] == [("canary", 1), ("rest", 2)]
    assert rollout.plan_sha256 == before.plan_sha256 == canary.warrants[0].plan_sha256 == late.warrants[0].plan_sha256


async def test_a_computer_outside_the_audience_joins_when_its_label_says_so(house: House):
    operator = await house.person("operator", "operator")
    first, second = await _fleet(house, "pc1", "pc2", labels={"site": "berlin"})
    first.works = second.works = False
    rollout_id = await operator.started("1", dynamic=True, waves=ALL_AT_ONCE, audience="site=berlin")
    (late,) = await _fleet(house, "pc3", labels={"site": "paris"})

    await operator.fleet.LabelComputer(fleet_service_pb2.LabelComputerRequest(computer="pc3", set={"site": "berlin"}))

    assert (await late.until_warrant()).rollout_id == rollout_id


async def test_a_rollout_that_is_not_dynamic_takes_nobody_in(house: House):
    operator = await house.person("operator", "operator")
    (first,) = await _fleet(house, "pc1")
    first.works = False
    rollout_id = await operator.started("1")

    await _fleet(house, "pc2")
    await house.parts.newcomers.sweep()

    assert (await operator.rollout(rollout_id)).counts.active == 1
    assert await house.log("COMPUTER_JOINED") == []


async def test_a_computer_that_enrols_after_the_end_catches_up(house: House):
    operator = await house.person("operator", "operator")
    await _fleet(house, "pc1", "pc2")
    first = await operator.until(await operator.started("1"), "COMPLETED")

    (late,) = await _fleet(house, "pc3")
    catch_up = await _until_catch_up(house, operator, "hello-1 catch-up", "COMPLETED")

    assert (first.counts.succeeded, catch_up.counts.succeeded) == (2, 1)
    assert late.warrants[0].plan_sha256 == catch_up.plan_sha256 != first.plan_sha256
    assert [entry.rollout for entry in await house.log("BASELINE_SET")] == [first.id]


async def test_one_that_was_not_ready_until_the_deadline_catches_up_when_it_is(house: House):
    operator = await house.person("operator", "operator")
    _, away = await _fleet(house, "pc1", "pc2")
    away.verdict = 2
    await away.report_readiness()
    rollout_id = await operator.started("1", deadline_seconds=60, waves=ALL_AT_ONCE)
    await _pass_the_deadline(house, rollout_id)
    rollout = await operator.until(rollout_id, "COMPLETED")

    away.verdict = 1
    await away.report_readiness()
    catch_up = await _until_catch_up(house, operator, "hello-1 catch-up", "COMPLETED")

    assert (rollout.counts.succeeded, rollout.counts.not_ready) == (1, 1)
    assert catch_up.counts.succeeded == 1


async def test_a_reinstalled_computer_gets_the_release_again(house: House):
    operator = await house.person("operator", "operator")
    one, _ = await _fleet(house, "pc1", "pc2")
    await operator.until(await operator.started("1"), "COMPLETED")

    await one.hang_up()
    one.installed = {}
    one.warrants.clear()
    await one.connect()
    catch_up = await _until_catch_up(house, operator, "hello-1 catch-up", "COMPLETED")

    assert catch_up.counts.succeeded == 1
    assert one.installed == {"hello": "1"}


async def test_a_release_that_breaks_newcomers_stops_its_catch_up_only(house: House):
    operator = await house.person("operator", "operator")
    await _fleet(house, "pc1", "pc2")
    await operator.until(await operator.started("1"), "COMPLETED")
    late = [await house.computer(f"pc{number}") for number in range(3, 7)]
    for agent in late:
        agent.outcomes["1"] = ("ROLLED_BACK", "HEALTH_CHECK_FAILED")

    await asyncio.gather(*(agent.connect() for agent in late))
    catch_up = await _until_catch_up(house, operator, "hello-1 catch-up", "SUSPENDED")

    assert catch_up.counts.rolled_back == 1
    assert sum(bool(agent.warrants) for agent in late) == 1


async def test_a_withdrawn_release_and_a_rollout_without_baseline_are_offered_to_nobody(house: House):
    operator = await house.person("operator", "operator", "release_manager")
    await _fleet(house, "pc1")
    await operator.until(await operator.started("1", baseline=False), "COMPLETED")
    await operator.until(await operator.started("2"), "COMPLETED")
    await _withdraw(house, "hello", "2")

    (late,) = await _fleet(house, "pc2")
    await house.parts.newcomers.sweep()

    assert late.warrants == []
    (ended,) = await house.log("BASELINE_ENDED")
    assert "hello@2 was withdrawn" in ended.message
    assert sorted(await _rollouts(house)) == ["hello-1", "hello-2"]


async def test_a_newer_baseline_takes_the_place_of_the_older_one(house: House):
    operator = await house.person("operator", "operator")
    await _fleet(house, "pc1")
    await operator.until(await operator.started("1"), "COMPLETED")
    await operator.until(await operator.started("2"), "COMPLETED")

    (late,) = await _fleet(house, "pc2")
    catch_up = await _until_catch_up(house, operator, "hello-2 catch-up", "COMPLETED")

    assert catch_up.counts.succeeded == 1
    assert [warrant.version for warrant in late.warrants] == ["2"]


async def test_nobody_catches_up_after_a_failure_or_after_a_person_aborted_it(house: House):
    operator = await house.person("operator", "operator")
    await _fleet(house, "pc1")
    await operator.until(await operator.started("1"), "COMPLETED")
    late = await house.computer("pc2")
    late.works = False
    await late.connect()
    catch_up = await _until_catch_up(house, operator, "hello-1 catch-up", "RUNNING")

    await operator.rollouts.AbortRollout(
        rollout_service_pb2.AbortRolloutRequest(id=catch_up.id, reason="not on new computers")
    )
    await operator.until(catch_up.id, "ABORTED")
    await _fleet(house, "pc3")
    await house.parts.newcomers.sweep()

    found = [rollout for rollout in (await _rollouts(house)).values() if rollout.state is RolloutState.RUNNING]
    assert found == []
    assert "not on new computers" in (await house.log("BASELINE_ENDED"))[0].message


async def test_explain_says_why_one_computer_is_not_offered_the_baseline(house: House):
    operator = await house.person("operator", "operator")
    first, bad, gone = await _fleet(house, "pc1", "pc2", "pc3")
    bad.outcomes["1"] = ("ROLLED_BACK", "HEALTH_CHECK_FAILED")
    rollout_id = await operator.started(
        "1", waves=ALL_AT_ONCE, success_threshold="50%", error_threshold=ErrorThresholdSpec("100%", 3, 3)
    )
    await operator.until(rollout_id, "COMPLETED")
    await gone.hang_up()
    gone.installed.clear()
    await gone.connect()
    await _until_catch_up(house, operator, "hello-1 catch-up", "COMPLETED")
    new = await house.computer("pc4")
    applicant = await house.computer("pc5", state=ComputerState.PENDING)

    why = {
        agent.computer.name: await _explained(operator, rollout_id, agent.computer.name)
        for agent in (first, bad, new, applicant)
    }

    assert why["pc1"].message == "hello@1 is the baseline since hello-1 completed; pc1: it has hello@1"
    assert why["pc2"].message.endswith("pc2: it rolled hello@1 back; a second person permits another try")
    assert why["pc2"].remedy == "sopwith release permit hello@1 --computer pc2, by a second person"
    assert (why["pc4"].waits_for, why["pc4"].message[-19:]) == ("connection", "it is not connected")
    assert why["pc5"].message.endswith("pc5: it is PENDING")


async def test_explain_says_that_a_baseline_waits_for_a_gate_or_for_a_person(house: House):
    operator = await house.person("operator", "operator")
    await _fleet(house, "pc1")
    rollout_id = await operator.started("1")
    await operator.until(rollout_id, "COMPLETED")
    (late,) = await _fleet(house, "pc2", state=ComputerState.QUARANTINED)
    messages = []
    cases: list[dict[str, Any]] = [{}, {"waiting": "no SOP is effective"}, {"catch_up_id": rollout_id}]
    for changes in cases:
        async with house.parts.database.write() as unit:
            known = await unit.computers.get(late.computer.id)
            baseline = await unit.baselines.get(rollout_id)
            rollout = await unit.rollouts.get(rollout_id)
            assert known is not None
            assert baseline is not None
            assert rollout is not None
            await unit.computers.put(replace(known, state=ComputerState.ACCEPTED))
            await unit.baselines.put(replace(baseline, **changes))
            await unit.rollouts.put(replace(rollout, state=RolloutState.IN_REVIEW))
            reason = await why_not_offered(
                house.parts.records,
                unit,
                replace(baseline, **changes),
                replace(known, state=ComputerState.ACCEPTED),
                connected=True,
            )
        messages.append((reason.waits_for, reason.message.partition("pc2: ")[2]))

    assert messages == [
        ("wave", "it lacks it, and a catch-up takes it in at the next look"),
        ("approval", "it lacks it, and no catch-up may be opened: no SOP is effective"),
        ("approval", f"it lacks it, and hello-1 ({rollout_id}) waits for approval"),
    ]


async def _explained(desk: Desk, rollout_id: str, computer: str):
    request = rollout_service_pb2.ExplainRolloutRequest(id=rollout_id, computer=computer)
    (explanation,) = (await desk.rollouts.ExplainRollout(request)).explanations
    return explanation


async def _pass_the_deadline(house: House, rollout_id: str) -> None:
    async with asyncio.timeout(10):
        while True:
            async with house.parts.database.write() as unit:
                rollout = await unit.rollouts.get(rollout_id)
                assert rollout is not None
                done = [one.ended for one in await unit.assignments.of_rollout(rollout_id)]
                if sum(done) == 1:
                    await unit.rollouts.put(replace(rollout, deadline_time=rollout.started_time))
                    await unit.commit()
                    break
            await asyncio.sleep(0.05)
    house.parts.advancing.poke(rollout_id)


async def _withdraw(house: House, name: str, version: str) -> None:
    async with house.parts.database.write() as unit:
        release = await unit.releases.get(name, version)
        assert release is not None
        await unit.releases.put(replace(release, state=ReleaseState.WITHDRAWN))
        await unit.commit()


class _RefusingPlanner:
    """Refuses every plan in words that change with the time, as a deadline that cannot be met does."""

    def __init__(self) -> None:
        self.asked = 0

    async def draft(self, *_: Any, **__: Any) -> Any:
        self.asked += 1
        raise ConflictError(f"it would end too late, now for the {self.asked}. time")


async def test_a_refused_catch_up_is_planned_again_after_a_minute_or_for_the_whole_fleet(house: House):
    operator = await house.person("operator", "operator")
    await _fleet(house, "pc1", "pc2")
    await operator.until(await operator.started("1"), "COMPLETED")
    planner = _RefusingPlanner()
    catch_ups = CatchUps(replace(house.parts.rollout_tools, planner=cast("Planner", planner)))
    asked, now = [], house.parts.clock.now()

    async with house.parts.database.write() as unit:
        (baseline,) = await unit.baselines.in_force()
        computers = await unit.computers.all()
        for seconds in (0, 1, 59, 60, 61):
            await catch_ups.open(unit, baseline, computers, now + timedelta(seconds=seconds))
            asked.append(planner.asked)
        await catch_ups.open(unit, baseline, computers, now - timedelta(days=3))  # the clock was set back
        catch_ups.try_all()
        await catch_ups.open(unit, baseline, computers, now - timedelta(days=3))
        kept = await unit.baselines.get(baseline.rollout_id)

    assert asked == [1, 1, 1, 2, 2]
    assert planner.asked == 4
    assert kept is not None
    assert kept.waiting == "it would end too late, now for the 4. time"
