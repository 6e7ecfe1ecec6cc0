"""Deferrals, feedback, labels and sleep on a running controller, with computers that speak the real wire."""

import asyncio
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from sopwith.v1 import agent_service_pb2 as wire
from sopwith.v1 import fleet_service_pb2, incident_service_pb2, rollout_pb2, rollout_service_pb2
from sopwith_formats.sop_policy import WaveRule
from tests.controller.house import House


def at(time: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


async def test_deferral_is_logged_shown_and_explained(house: House):
    operator = await house.person("operator", "operator")
    agent = await house.computer("pc1", labels={"kind": "laptop"})
    agent.works = False
    await agent.connect()
    rollout = await operator.started("1")
    warrant = await agent.until_warrant()
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=4)
    agent.progress(warrant, "STAGED")
    agent.send(
        wire.AgentMessage(
            deferral=wire.Deferral(
                assignment_id=warrant.assignment_id,
                deferrals=1,
                deferrals_max=3,
                until_time=at(until),
                purpose="install",
            )
        )
    )
    last = agent.progress(
        warrant, "PREPARING", symptom="USER_BUSY", reasons=[{"code": "USER_BUSY", "message": "later"}]
    )
    await agent.until_acknowledged(last)

    [entry] = await house.log("ASSIGNMENT_DEFERRED")
    assert entry.message.startswith("people at pc1 put off the install of hello@1 until ")
    assert entry.message.endswith("(1 of 3)")
    assert (entry.computer, entry.rollout) == ("pc1", rollout)
    [shown] = (
        await operator.rollouts.ListAssignments(rollout_service_pb2.ListAssignmentsRequest(id=rollout))
    ).assignments
    assert (shown.deferrals, shown.deferred_until_time.ToDatetime(UTC)) == (1, until)
    [why] = (await operator.rollouts.ExplainRollout(rollout_service_pb2.ExplainRolloutRequest(id=rollout))).explanations
    assert (why.waits_for, why.until_time.ToDatetime(UTC)) == ("deferral", until)


async def test_people_of_a_group_are_owed_what_the_sop_says_of_their_group(house: House):
    operator = await house.person("operator", "operator")
    laptop = await house.computer("pc1", labels={"kind": "laptop"})
    desktop = await house.computer("pc2")
    for agent in (laptop, desktop):
        await agent.connect()
    await operator.until(await operator.started("1"), "COMPLETED")

    owed = [
        {key: value for key, value in agent.warrants[0].policy.items() if key.startswith("notice_")}
        for agent in (laptop, desktop)
    ]

    assert owed == [
        {
            "notice_seconds": 900,
            "notice_deferrals": 3,
            "notice_defer_seconds": 5 * 86400,
            "notice_grace_seconds": 300,
        },
        {"notice_seconds": 900, "notice_deferrals": 0, "notice_defer_seconds": 0, "notice_grace_seconds": 300},
    ]


async def test_feedback_is_an_entry_of_the_log_in_one_harmless_line(house: House):
    agent = await house.computer("pc1")
    await agent.connect()

    text = "the update closed my editor\n\x1b[31mtwice"
    agent.send(wire.AgentMessage(feedback=wire.Feedback(text=text, given_time=at(datetime.now(UTC)))))
    last = agent.send(wire.AgentMessage(feedback=wire.Feedback(text="\n", given_time=at(datetime.now(UTC)))))
    await agent.until_acknowledged(last)

    [entry] = await house.log("COMPUTER_FEEDBACK")
    assert entry.message == "feedback from pc1: the update closed my editor  [31mtwice"
    assert len(await house.log("REPORT_REFUSED")) == 1


async def test_feedback_names_the_update_that_was_at_hand_and_no_stranger(house: House):
    operator = await house.person("operator", "operator")
    agent, stranger = await house.computer("pc1", labels={"site": "berlin"}), await house.computer("pc2")
    agent.works = False
    await agent.connect()
    rollout = await operator.started("1", audience="site=berlin")
    warrant = await agent.until_warrant()
    await stranger.connect()

    for one in (agent, stranger):
        said = wire.Feedback(text="too early", given_time=at(datetime.now(UTC)), assignment_id=warrant.assignment_id)
        await one.until_acknowledged(one.send(wire.AgentMessage(feedback=said)))

    entries = {entry.computer: entry.rollout for entry in await house.log("COMPUTER_FEEDBACK")}
    assert entries == {"pc1": rollout, "pc2": ""}


async def test_computers_are_told_their_labels_at_once(house: House):
    operator = await house.person("operator", "operator")
    agent = await house.computer("pc1", labels={"site": "berlin"})
    await agent.connect()
    assert agent.welcome is not None
    assert dict(agent.welcome.labels) == {"site": "berlin"}

    request = fleet_service_pb2.LabelComputerRequest(computer="pc1", set={"do-not-disturb": "yes"})
    await operator.fleet.LabelComputer(request)

    assert await agent.until_labels() == {"site": "berlin", "do-not-disturb": "yes"}


async def _is_kept_asleep(house: House) -> bool:
    """Tell what a controller that starts now would find in its tables."""
    async with house.parts.database.read() as unit:
        [computer] = await unit.computers.many(["c-pc1"])
    return bool(computer.asleep)


async def test_closed_lid_is_asleep_and_not_lost_also_after_a_restart_of_the_controller(house: House):
    operator = await house.person("operator", "operator")
    agent = await house.computer("pc1")
    await agent.connect()

    await agent.fall_asleep()

    async with asyncio.timeout(10):
        while not await _is_kept_asleep(house):  # noqa: ASYNC110  it is written behind the stream
            await asyncio.sleep(0.02)
    [shown] = (await operator.fleet.ListComputers(fleet_service_pb2.ListComputersRequest())).computers
    assert (shown.connected, shown.asleep) == (False, True)

    await agent.connect()
    [shown] = (await operator.fleet.ListComputers(fleet_service_pb2.ListComputersRequest())).computers
    assert (shown.connected, shown.asleep) == (True, False)


async def test_computer_that_sleeps_before_its_turn_moves_to_the_tail_and_is_updated_when_it_wakes(house: House):
    operator = await house.person("operator", "operator")
    sleeper, other = await house.computer("pc1"), await house.computer("pc2")
    await sleeper.connect()
    await other.connect()
    await sleeper.fall_asleep()

    rollout = await operator.started("1", waves=(WaveRule("all", "100%", 0),))
    await operator.until_ended(rollout, 1)
    shown = await operator.rollout(rollout)
    [why] = (await operator.rollouts.ExplainRollout(rollout_service_pb2.ExplainRolloutRequest(id=rollout))).explanations
    await sleeper.connect()
    done = await operator.until(rollout, "COMPLETED")

    assert shown.state == rollout_pb2.ROLLOUT_STATE_RUNNING
    assert (why.computer, why.waits_for, why.wave) == ("pc1", "asleep", "tail")
    assert done.counts.succeeded == 2
    incidents = await operator.incidents.ListIncidents(incident_service_pb2.ListIncidentsRequest())
    assert list(incidents.incidents) == []
