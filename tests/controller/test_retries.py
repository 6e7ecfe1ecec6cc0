"""Retries on a running controller: a new generation for those on whom a rollout did not succeed, and nobody else."""

import asyncio
import json

import grpc
import pytest

from sopwith.v1 import fleet_service_pb2, release_service_pb2, release_service_pb2_grpc, rollout_service_pb2
from sopwith_formats.sop_policy import WaveRule
from tests.controller.house import Desk, House
from tests.controller.simulated_agent import SimulatedAgent

ALL = (WaveRule("all", "100%", 0),)


async def _fleet(house: House, count: int) -> list[SimulatedAgent]:
    agents = [await house.computer(f"pc{number}") for number in range(1, count + 1)]
    await asyncio.gather(*(agent.connect() for agent in agents))
    return agents


async def _retry(desk: Desk, identifier: str, *computers: str) -> rollout_service_pb2.RetryRolloutResponse:
    request = rollout_service_pb2.RetryRolloutRequest(id=identifier, computers=computers, reason="disk cleaned")
    answer: rollout_service_pb2.RetryRolloutResponse = await desk.rollouts.RetryRollout(request)
    return answer


async def _refused(desk: Desk, identifier: str, *computers: str) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _retry(desk, identifier, *computers)
    return caught.value.code(), caught.value.details() or ""


async def test_a_completed_rollout_runs_again_on_those_that_failed_only(house: House):
    operator = await house.person("operator", "operator")
    agents = await _fleet(house, 3)
    agents[1].outcomes["1"] = ("FAILED", "DISK_FULL")
    identifier = await operator.started("1", waves=ALL)
    first = await operator.until(identifier, "COMPLETED")
    agents[1].outcomes.clear()

    answer = await _retry(operator, identifier)
    ended = await operator.until(identifier, "COMPLETED")

    assert (first.counts.succeeded, first.counts.failed, first.generation) == (2, 1, 1)
    assert (list(answer.computers), answer.rollout.generation) == (["pc2"], 2)
    assert (ended.counts.succeeded, ended.counts.failed, ended.plan_sha256) == (3, 0, first.plan_sha256)
    assert [len(agent.warrants) for agent in agents] == [1, 2, 1]
    assert agents[1].warrants[1].generation == 2
    assert agents[1].warrants[1].assignment_id != agents[1].warrants[0].assignment_id


async def test_each_generation_of_a_computer_has_one_outcome_in_the_log(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await _fleet(house, 1)
    agent.outcomes["1"] = ("FAILED", "DISK_FULL")
    identifier = await operator.started("1", waves=ALL, ticket="CHG-1234")
    await operator.until(identifier, "COMPLETED")
    await _retry(operator, identifier)
    await operator.until(identifier, "COMPLETED")

    for message in list(agent.messages):
        agent.send(message, message.sequence)
    await agent.until_acknowledged(agent.sequence)

    ended = await house.log("ASSIGNMENT_ENDED")
    [retried] = await house.log("ROLLOUT_RETRIED")
    generations = [(entry.outcome, json.loads(entry.details)["generation"]) for entry in ended]
    assert generations == [("FAILED", 1), ("FAILED", 2)]
    assert (retried.operator, json.loads(retried.details)["computers"]) == ("operator", ["pc1"])


async def test_every_log_entry_of_a_rollout_carries_its_ticket(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await _fleet(house, 1)
    agent.outcomes["1"] = ("FAILED", "DISK_FULL")
    identifier = await operator.started("1", waves=ALL, ticket="CHG-1234")
    await operator.until(identifier, "COMPLETED")
    await _retry(operator, identifier)
    await operator.until(identifier, "COMPLETED")

    async with house.parts.database.read() as unit:
        entries = await unit.update_log.entries(0, 10_000, rollout=identifier)

    assert {entry.kind for entry in entries} >= {"ROLLOUT_CREATED", "ASSIGNMENT_ENDED", "ROLLOUT_RETRIED"}
    assert {(entry.kind, entry.ticket) for entry in entries if entry.ticket != "CHG-1234"} == set()


async def test_a_rolled_back_computer_is_tried_again_only_with_a_second_persons_permission(house: House):
    operator = await house.person("operator", "operator", "it_manager")
    manager = await house.person("manager", "it_manager")
    [agent] = await _fleet(house, 1)
    agent.outcomes["1"] = ("ROLLED_BACK", "HEALTH_CHECK_FAILED")
    identifier = await operator.started("1", waves=ALL)
    await operator.until(identifier, "COMPLETED")
    permit = release_service_pb2.PermitReleaseRequest(release="hello@1", reason="mended")
    by_publisher = release_service_pb2_grpc.ReleaseServiceStub(operator.channel)
    by_another = release_service_pb2_grpc.ReleaseServiceStub(manager.channel)

    code, said = await _refused(operator, identifier, "pc1")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await by_publisher.PermitRelease(permit)
    await by_another.PermitRelease(permit)
    agent.outcomes.clear()
    await _retry(operator, identifier, "pc1")
    ended = await operator.until(identifier, "COMPLETED")

    assert (code, "rolled hello@1 back" in said) == (grpc.StatusCode.FAILED_PRECONDITION, True)
    assert "operator published hello@1" in (caught.value.details() or "")
    assert (ended.counts.succeeded, ended.counts.rolled_back) == (1, 0)
    assert len(await house.log("RELEASE_PERMITTED")) == 1


async def test_nobody_is_tried_again_whom_it_would_not_help(house: House):
    operator = await house.person("operator", "operator")
    agents = await _fleet(house, 2)
    agents[1].works = False
    identifier = await operator.started("1", waves=ALL)
    await agents[1].until_warrant()
    last = agents[0].sequence
    await agents[0].until_acknowledged(last)

    unknown = await _refused(operator, identifier, "pc9")
    running = await _refused(operator, identifier, "pc2")
    nobody = await _refused(operator, identifier)

    assert unknown == (
        grpc.StatusCode.NOT_FOUND,
        f"pc9 is no computer of hello-1\nsopwith rollout show {identifier} --computers",
    )
    assert running[1].startswith("pc2 has not ended yet")
    assert nobody[1].startswith("there is nobody in hello-1 who could try again")


async def test_a_computer_that_left_the_fleet_is_left_out_with_the_reason(house: House):
    operator = await house.person("operator", "operator")
    agents = await _fleet(house, 2)
    for agent in agents:
        agent.outcomes["1"] = ("FAILED", "DISK_FULL")
    identifier = await operator.started("1", waves=ALL, error_threshold=None)
    await operator.until(identifier, "COMPLETED", "SUSPENDED")
    request = fleet_service_pb2.RetireComputerRequest(computer="pc2", reason="sold")
    await operator.fleet.RetireComputer(request)

    answer = await _retry(operator, identifier)

    assert list(answer.computers) == ["pc1"]
    assert [(one.computer, one.reason) for one in answer.exclusions] == [("pc2", "is RETIRED: sold")]


async def test_what_a_newer_rollout_replaced_is_not_retried(house: House):
    operator = await house.person("operator", "operator")
    [agent] = await _fleet(house, 1)
    agent.outcomes["1"] = ("FAILED", "DISK_FULL")
    older = await operator.started("1", waves=ALL)
    await operator.until(older, "COMPLETED")
    newer = await operator.started("2", waves=ALL)
    await operator.until(newer, "COMPLETED")

    code, said = await _refused(operator, older)

    assert (code, "is the newer word" in said) == (grpc.StatusCode.ABORTED, True)


async def test_a_withdrawn_release_is_not_retried(house: House):
    operator = await house.person("operator", "operator", "release_manager")
    [agent] = await _fleet(house, 1)
    agent.outcomes["1"] = ("FAILED", "DISK_FULL")
    identifier = await operator.started("1", waves=ALL)
    await operator.until(identifier, "COMPLETED")
    releases = release_service_pb2_grpc.ReleaseServiceStub(operator.channel)
    await releases.WithdrawRelease(release_service_pb2.WithdrawReleaseRequest(release="hello@1", reason="bad"))

    _, said = await _refused(operator, identifier)

    assert "hello@1 was withdrawn" in said


async def test_a_viewer_retries_nothing_whatever_the_options(house: House):
    viewer = await house.person("viewer", "viewer")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await viewer.rollouts.RetryRollout(rollout_service_pb2.RetryRolloutRequest())

    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_computer_on_which_three_updates_failed_sits_on_the_bench_until_it_is_accepted_again(house: House):
    operator = await house.person("operator", "operator")
    agents = await _fleet(house, 2)
    agents[0].outcomes["1"] = ("FAILED", "DISK_FULL")
    identifier = await operator.started("1", waves=ALL)
    await operator.until(identifier, "COMPLETED", "SUSPENDED")
    for _ in range(2):
        await _retry(operator, identifier, "pc1")
        await operator.until(identifier, "COMPLETED")

    _, said = await _refused(operator, identifier, "pc1")
    shown = (await operator.fleet.GetComputer(fleet_service_pb2.GetComputerRequest(computer="pc1"))).computer
    newer = await operator.until(await operator.started("2", waves=ALL), "COMPLETED")
    await operator.fleet.AcceptComputer(fleet_service_pb2.AcceptComputerRequest(computer="pc1"))
    agents[0].outcomes.clear()
    both = await operator.until(await operator.started("2", waves=ALL), "COMPLETED")

    assert "pc1 is benched: its last 3 updates failed" in said
    assert (shown.benched, shown.failures_in_a_row) == (True, 3)
    assert (newer.counts.succeeded, both.counts.succeeded) == (1, 2)
    assert [entry.kind for entry in await house.log("COMPUTER_ACCEPTED")] == ["COMPUTER_ACCEPTED"]
