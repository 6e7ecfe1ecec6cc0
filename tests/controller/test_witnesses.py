"""Computers witness the update log: what they are shown grows out of what they were shown before."""

import json
from datetime import UTC, datetime

from sopwith.v1 import agent_service_pb2, incident_service_pb2
from sopwith_certs.log_key import load_log_key
from sopwith_controller.services.log_recovery import Restored, record_recovery
from sopwith_formats.checkpoint import read_checkpoint
from sopwith_formats.merkle import leaf_hash, verify_consistency, verify_inclusion
from tests.controller.house import House

FACTS = agent_service_pb2.AgentMessage(facts_changed=agent_service_pb2.FactsChanged())


async def test_a_computer_is_shown_that_the_log_only_grew(house: House):
    operator = await house.person("operator", "operator")
    agent = await house.computer("pc1")
    await agent.connect()
    first = read_checkpoint((await agent.until_shown(1)).checkpoint)
    await operator.until(await operator.started("1"), "COMPLETED")

    await house.parts.show_log()
    shown = await agent.until_shown(2)

    second = read_checkpoint(shown.checkpoint)
    assert second.size > first.size
    assert verify_consistency(first.size, second.size, first.root, second.root, tuple(shown.consistency_proof))


async def test_a_log_that_lost_entries_is_told_by_the_computer_that_saw_them(house: House):
    owner = await house.person("olga", "owner")
    agent = await house.computer("pc1")
    key = load_log_key(house.parts.paths.log_key)
    agent.checkpoint = key.sign(1000, b"\x01" * 32)

    await agent.connect()
    facts = agent_service_pb2.AgentMessage(facts_changed=agent_service_pb2.FactsChanged())
    await agent.until_acknowledged(agent.send(facts))

    listed = await owner.incidents.ListIncidents(incident_service_pb2.ListIncidentsRequest())
    assert [(one.symptom, one.severity) for one in listed.incidents] == [("LOG_INTEGRITY", 1)]
    assert "1000" in listed.incidents[0].summary


async def test_a_checkpoint_that_the_fleet_never_signed_is_nobodys_memory(house: House):
    owner = await house.person("olga", "owner")
    agent = await house.computer("pc1")
    agent.checkpoint = "example\n1000\nAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n\n\u2014 example AAAAAAAA\n"

    await agent.connect()

    listed = await owner.incidents.ListIncidents(incident_service_pb2.ListIncidentsRequest())
    assert list(listed.incidents) == []
    assert read_checkpoint((await agent.until_shown(1)).checkpoint).size > 0


async def test_a_memory_of_fewer_entries_that_is_not_of_this_log_is_told(house: House):
    owner = await house.person("olga", "owner")
    agent = await house.computer("pc1")
    agent.checkpoint = load_log_key(house.parts.paths.log_key).sign(1, b"\x01" * 32)

    await agent.connect()
    await agent.until_acknowledged(agent.send(FACTS))

    listed = await owner.incidents.ListIncidents(incident_service_pb2.ListIncidentsRequest())
    assert [(one.symptom, one.severity) for one in listed.incidents] == [("LOG_INTEGRITY", 1)]


async def test_a_recovery_explains_longer_memories_and_the_longest_is_an_entry(house: House):
    owner = await house.person("olga", "owner")
    key = load_log_key(house.parts.paths.log_key)
    async with house.parts.database.read() as unit:
        size = await unit.update_log.size()
    restored = Restored(size, b"\x02" * 32, "olga", "disk", "ab" * 32, datetime.now(UTC), datetime.now(UTC))
    await record_recovery(house.parts.database, house.parts.incidents, restored)
    shown = {}
    for name, lost in (("pc1", 7), ("pc2", 30), ("pc3", 12)):
        agent = await house.computer(name)
        agent.checkpoint = key.sign(size + lost, b"\x01" * 32)
        await agent.connect()
        shown[name] = await agent.until_shown(1)
        await agent.until_acknowledged(agent.send(FACTS))

    witnessed = [entry.message for entry in await house.log("LOG_LOSS_WITNESSED")]
    listed = await owner.incidents.ListIncidents(incident_service_pb2.ListIncidentsRequest())
    assert [message.split()[0] for message in witnessed] == ["pc1", "pc2"]
    assert [(one.symptom, one.severity) for one in listed.incidents] == [("LOG_INTEGRITY", 2)]
    for update in shown.values():
        recovery, checkpoint = update.recovery, read_checkpoint(update.checkpoint)
        entry = json.loads(recovery.entry_json)
        leaf = leaf_hash(recovery.entry_json.encode())
        proof = tuple(recovery.inclusion_proof)
        assert (entry["kind"], entry["index"], recovery.index) == ("LOG_RECOVERED", size, size)
        assert verify_inclusion(size, checkpoint.size, leaf, proof, checkpoint.root)
