"""Rollouts on a running controller, with computers that speak the real wire over real mTLS."""

import asyncio
from dataclasses import replace

import grpc
import pytest

from sopwith.v1 import fleet_service_pb2, incident_service_pb2, rollout_service_pb2
from sopwith_certs.signing import new_key
from sopwith_controller.domain.entities import ComputerState
from tests.controller.house import House, serving
from tests.controller.simulated_agent import SimulatedAgent


async def _fleet(house: House, count: int) -> list[SimulatedAgent]:
    agents = [await house.computer(f"pc{number}") for number in range(1, count + 1)]
    await asyncio.gather(*(agent.connect() for agent in agents))
    return agents


async def _incidents(desk) -> list:
    return list((await desk.incidents.ListIncidents(incident_service_pb2.ListIncidentsRequest())).incidents)


@pytest.mark.clause("V.E Record keeping", "every")
async def test_every_computer_is_updated_and_the_log_says_so(house: House):
    operator = await house.person("operator", "operator")
    await _fleet(house, 5)

    rollout = await operator.until(await operator.started("1"), "COMPLETED")

    ended = await house.log("ASSIGNMENT_ENDED")
    assert rollout.counts.succeeded == 5
    assert sorted(entry.computer for entry in ended) == ["pc1", "pc2", "pc3", "pc4", "pc5"]
    assert {entry.outcome for entry in ended} == {"SUCCEEDED"}
    assert {entry.operator for entry in ended} == {"operator"}
    assert all(entry.receipt_sha256 for entry in ended)


@pytest.mark.clause("V.C Safety", "canary")
async def test_a_bad_canary_suspends_the_rollout_and_touches_nobody_else(house: House):
    operator = await house.person("operator", "operator")
    agents = await _fleet(house, 5)
    for agent in agents:
        agent.outcomes["2"] = ("ROLLED_BACK", "HEALTH_CHECK_FAILED")

    rollout = await operator.until(await operator.started("2"), "SUSPENDED")

    assert rollout.counts.rolled_back == 1
    assert rollout.counts.pending == 4
    assert sum(bool(agent.warrants) for agent in agents) == 1
    incidents = await _incidents(operator)
    assert {incident.symptom for incident in incidents} == {"HEALTH_CHECK_FAILED", "ROLLOUT_SUSPENDED"}
    assert all(incident.notifications[0].target == "manager@localhost" for incident in incidents)


async def test_a_suspended_rollout_resumes_only_after_somebody_took_note(house: House):
    operator = await house.person("operator", "operator")
    agents = await _fleet(house, 2)
    for agent in agents:
        agent.outcomes["2"] = ("ROLLED_BACK", "HEALTH_CHECK_FAILED")
    rollout = await operator.until(await operator.started("2"), "SUSPENDED")
    request = rollout_service_pb2.ResumeRolloutRequest(id=rollout.id, reason="seen")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await operator.rollouts.ResumeRollout(request)
    for incident in await _incidents(operator):
        await operator.incidents.AcknowledgeIncident(incident_service_pb2.AcknowledgeIncidentRequest(id=incident.id))
    for agent in agents:
        agent.outcomes.clear()
    await operator.rollouts.ResumeRollout(request)
    ended = await operator.until(rollout.id, "COMPLETED")

    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "acknowledge" in (caught.value.details() or "")
    assert (ended.counts.succeeded, ended.counts.rolled_back) == (1, 1)


async def test_a_rolled_back_release_is_not_offered_to_that_computer_again(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await _fleet(house, 1)
    agent.outcomes["2"] = ("ROLLED_BACK", "HEALTH_CHECK_FAILED")
    await operator.until(await operator.started("2"), "COMPLETED")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await operator.started("2")

    assert "holds no computer" in (caught.value.details() or "")


async def test_reports_that_come_twice_change_nothing(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await _fleet(house, 1)
    await operator.until(await operator.started("1"), "COMPLETED")
    kinds = await house.log_kinds()

    for message in list(agent.messages):
        agent.send(message, message.sequence)
    await agent.until_acknowledged(agent.sequence)
    agent.works = False
    last = agent.progress(agent.warrants[0], "CONFIRMING")
    await agent.until_acknowledged(last)

    assert await house.log_kinds() == kinds


async def test_an_equal_number_with_other_content_is_an_alarm(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await _fleet(house, 1)
    await operator.until(await operator.started("1"), "COMPLETED")

    agent.progress(agent.warrants[0], "STAGED", percent=7)
    agent.send(agent.messages[-1], 1)
    await agent.until_acknowledged(agent.sequence)
    last = agent.progress(agent.warrants[0], "STAGED")
    await agent.until_acknowledged(last)

    [incident] = await _incidents(operator)
    assert (incident.symptom, incident.severity) == ("SIGNATURE_INVALID", 1)


async def test_a_receipt_of_a_strangers_key_is_refused_and_raises_the_alarm(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await _fleet(house, 1)
    agent.works = False
    identifier = await operator.started("1")
    warrant = await agent.until_warrant()

    forged = agent.receipt(warrant, "SUCCEEDED", key=new_key())
    await agent.until_acknowledged(forged)

    rollout = await operator.rollout(identifier)
    [incident] = await _incidents(operator)
    assert rollout.counts.succeeded == 0
    assert incident.symptom == "SIGNATURE_INVALID"
    assert await house.log("REPORT_REFUSED")


async def test_a_receipt_about_another_computers_assignment_is_refused(house: House):
    operator = await house.person("operator", "operator")
    first, second = await _fleet(house, 2)
    first.works = second.works = False
    identifier = await operator.started("1")
    warrants = first.warrants or second.warrants or [await _any_warrant(first, second)]
    thief = second if warrants is first.warrants or warrants[0].computer_id == first.computer.id else first

    last = thief.receipt(replace(warrants[0]), "SUCCEEDED")
    await thief.until_acknowledged(last)

    assert (await operator.rollout(identifier)).counts.succeeded == 0
    assert await house.log("REPORT_REFUSED")


async def _any_warrant(*agents: SimulatedAgent):
    tasks = [asyncio.create_task(agent.until_warrant()) for agent in agents]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return done.pop().result()


async def test_a_warrant_that_was_lost_is_sent_again_at_the_next_hello(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await _fleet(house, 1)
    agent.works = False
    identifier = await operator.started("1")
    first = await agent.until_warrant()
    await agent.hang_up()

    agent.works = True
    await agent.connect()
    again = await agent.until_warrant(2)
    rollout = await operator.until(identifier, "COMPLETED")

    assert (again.assignment_id, again.generation) == (first.assignment_id, first.generation)
    assert rollout.counts.succeeded == 1


async def test_an_assignment_that_the_journal_knows_is_not_sent_again(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await _fleet(house, 1)
    agent.works = False
    identifier = await operator.started("1")
    warrant = await agent.until_warrant()
    await agent.hang_up()

    await agent.connect(journal=((warrant.assignment_id, "INSTALLING"),))
    agent.work(warrant)
    await operator.until(identifier, "COMPLETED")

    assert len(agent.warrants) == 1


async def test_a_journal_entry_that_the_controller_does_not_wait_for_is_withdrawn(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await _fleet(house, 1)
    await operator.until(await operator.started("1"), "COMPLETED")
    await agent.hang_up()

    await agent.connect(journal=((agent.warrants[0].assignment_id, "PREPARING"),))

    await agent.until_withdrawn(agent.warrants[0].assignment_id)


async def test_a_paused_rollout_offers_nothing_until_it_is_resumed(house: House):
    operator = await house.person("operator", "operator")
    first, second = await _fleet(house, 2)
    first.works = second.works = False
    identifier = await operator.started("1")
    canary = await _any_warrant(first, second)
    agent, other = (first, second) if canary.computer_id == first.computer.id else (second, first)

    await operator.rollouts.PauseRollout(rollout_service_pb2.PauseRolloutRequest(id=identifier, reason="wait"))
    agent.work(canary)
    await agent.until_acknowledged(agent.sequence)
    explained = await operator.rollouts.ExplainRollout(rollout_service_pb2.ExplainRolloutRequest(id=identifier))
    offered_while_paused = list(other.warrants)
    other.works = True
    await operator.rollouts.ResumeRollout(rollout_service_pb2.ResumeRolloutRequest(id=identifier, reason="on"))
    rollout = await operator.until(identifier, "COMPLETED")

    assert offered_while_paused == []
    assert [item.waits_for for item in explained.explanations] == ["paused"]
    assert rollout.counts.succeeded == 2


async def test_nobody_starts_during_a_freeze_and_everybody_after_it(house: House):
    operator, owner = await house.person("operator", "operator"), await house.person("olga", "owner")
    [agent] = await _fleet(house, 1)
    await operator.fleet.StartFreeze(fleet_service_pb2.StartFreezeRequest(reason="year end"))

    identifier = await operator.started("1")
    explained = await operator.rollouts.ExplainRollout(rollout_service_pb2.ExplainRolloutRequest(id=identifier))
    before = list(agent.warrants)
    await owner.fleet.EndFreeze(fleet_service_pb2.EndFreezeRequest(reason="over"))
    rollout = await operator.until(identifier, "COMPLETED")

    assert before == []
    assert [item.waits_for for item in explained.explanations] == ["freeze"]
    assert rollout.counts.succeeded == 1


async def test_two_live_agents_with_one_identity_are_held_apart(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await _fleet(house, 1)
    clone = SimulatedAgent(house, agent.computer, agent.receipt_key)
    clone.pair, clone.nonce = agent.pair, "process-2"

    await clone.connect()
    await agent.ended()
    with pytest.raises(grpc.aio.AioRpcError):
        await agent.connect()
    await clone.ended()

    shown = await operator.fleet.GetComputer(fleet_service_pb2.GetComputerRequest(computer="pc1"))
    [incident] = await _incidents(operator)
    assert shown.computer.state == 5
    assert "two agents" in incident.summary
    async with house.parts.database.read() as unit:
        stored = await unit.computers.get(agent.computer.id)
    assert stored is not None
    assert stored.state is ComputerState.QUARANTINED


async def test_an_agent_that_starts_anew_while_its_old_stream_seems_to_live_is_no_clone(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await _fleet(house, 1)
    restarted = SimulatedAgent(house, agent.computer, agent.receipt_key)
    restarted.pair, restarted.nonce = agent.pair, "process-2"

    await restarted.connect()
    await agent.ended()
    rollout = await operator.until(await operator.started("1"), "COMPLETED")

    assert rollout.counts.succeeded == 1
    assert await _incidents(operator) == []


async def test_the_same_process_dialling_again_replaces_its_stream(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await _fleet(house, 1)

    again = SimulatedAgent(house, agent.computer, agent.receipt_key)
    again.pair = agent.pair
    await again.connect()
    rollout = await operator.until(await operator.started("1"), "COMPLETED")

    assert rollout.counts.succeeded == 1
    assert not agent.warrants
    assert await _incidents(operator) == []


async def test_another_receipt_key_than_before_is_turned_away(house: House):
    [agent] = await _fleet(house, 1)
    await agent.hang_up()
    agent.receipt_key = new_key()

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await agent.connect()

    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_failed_rollback_holds_the_computer_apart(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await _fleet(house, 1)
    agent.outcomes["1"] = ("FAILED", "ROLLBACK_FAILED")

    await operator.until(await operator.started("1"), "COMPLETED")

    shown = await operator.fleet.GetComputer(fleet_service_pb2.GetComputerRequest(computer="pc1"))
    assert shown.computer.state == 5
    assert [incident.severity for incident in await _incidents(operator) if incident.symptom == "ROLLBACK_FAILED"] == [
        1
    ]


@pytest.mark.clause("V.A Equipment", "quorum")
async def test_a_start_without_ready_computers_is_refused_and_teaches(house: House):
    operator = await house.person("operator", "operator")
    agent = await house.computer("pc1")
    agent.verdict = 2
    await agent.connect()

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await operator.started("1")

    refusal = rollout_service_pb2.Refusal.FromString(
        bytes(dict(caught.value.trailing_metadata() or ())["sopwith-refusal-bin"])
    )
    assert (refusal.gate, refusal.clause) == ("ready_quorum", "V.A")
    [entry] = await house.log("GATE_REFUSED")
    assert entry.operator == "operator"


async def test_starting_twice_with_one_request_id_has_one_effect(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await _fleet(house, 1)
    agent.works = False
    document = '{"audience":"","format":1,"release":"hello@1","rollout":"x","sop":"SU-SOP-001"}'
    create = rollout_service_pb2.CreateRolloutRequest(rollout_json=document, request_id="request-1")
    first = await operator.rollouts.CreateRollout(create)
    second = await operator.rollouts.CreateRollout(create)
    await operator.rollouts.SubmitRollout(rollout_service_pb2.SubmitRolloutRequest(id=first.rollout.id))
    start = rollout_service_pb2.StartRolloutRequest(id=first.rollout.id, reason="monthly", request_id="request-2")

    await operator.rollouts.StartRollout(start)
    again = await operator.rollouts.StartRollout(start)

    assert first.rollout.id == second.rollout.id == again.rollout.id
    assert len(await house.log("ROLLOUT_STARTED")) == 1


async def test_a_newer_rollout_takes_back_what_an_older_one_has_not_begun(house: House):
    operator = await house.person("operator", "operator")
    first, second = await _fleet(house, 2)
    first.works = second.works = False
    older = await operator.started("1")
    warrant = await _any_warrant(first, second)
    agent = first if warrant.computer_id == first.computer.id else second

    for one in (first, second):
        one.works = True
    newer = await operator.started("2")
    await agent.until_withdrawn(warrant.assignment_id)
    agent.receipt(warrant, "CANCELLED")

    assert (await operator.until(newer, "COMPLETED")).counts.succeeded == 2
    assert (await operator.until(older, "COMPLETED")).counts.cancelled == 2


async def test_the_emergency_door_is_told_at_once(house: House):
    operator = await house.person("operator", "operator")
    await _fleet(house, 2)

    rollout = await operator.until(await operator.started("1", emergency=True, waves=()), "COMPLETED", "RUNNING")

    incidents = await _incidents(operator)
    assert rollout.change_class == "emergency"
    assert [(one.symptom, one.severity) for one in incidents] == [("APPROVAL_AGEING", 2)]
    assert "without prior approval" in incidents[0].summary
    assert incidents[0].notifications[0].target == "manager@localhost"


async def test_a_restarted_controller_goes_on_where_it_stood(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await _fleet(house, 1)
    agent.works = False
    identifier = await operator.started("1")
    warrant = await agent.until_warrant()
    await house.close()
    house.channels.clear()

    async with serving(house.data, house.config) as again:
        operator = await again.person("operator", "operator")
        agent.house = again
        await agent.connect(journal=((warrant.assignment_id, "INSTALLING"),))
        agent.work(warrant)
        rollout = await operator.until(identifier, "COMPLETED")

        assert rollout.counts.succeeded == 1
        assert len(await again.log("ASSIGNMENT_ENDED")) == 1
