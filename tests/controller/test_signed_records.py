"""Signed records of computers on the controller: each once, in one chain, and nothing that does not fit is silent."""

import json
import zipfile
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import pytest

from sopwith.v1 import agent_service_pb2, incident_service_pb2
from sopwith_certs.signing import new_key, public_key_pem, sign
from sopwith_controller.desk.verification import verify_export
from sopwith_controller.domain.entities import ComputerState
from sopwith_controller.services.access import Caller
from sopwith_formats.agent_decision import decision
from sopwith_formats.observation import Observation, PackageChange
from sopwith_formats.receipt import PREFIX
from sopwith_formats.vocabulary import GateResult
from tests.controller.house import Desk, House
from tests.controller.simulated_agent import SimulatedAgent


async def _at_work(house: House) -> tuple[Desk, SimulatedAgent, Any]:
    """Return an operator, and a computer that got a warrant and did nothing yet."""
    operator = await house.person("operator", "operator")
    agent = await house.computer("pc1")
    agent.works = False
    await agent.connect()
    await operator.started("1")
    return operator, agent, await agent.until_warrant()


async def _summaries(operator: Desk) -> list[str]:
    found = await operator.incidents.ListIncidents(incident_service_pb2.ListIncidentsRequest())
    return [incident.summary for incident in found.incidents]


async def _kept(house: House) -> list[tuple[int, str]]:
    async with house.parts.database.read() as unit:
        return [(row.number, row.kind) for row in await unit.receipts.after(("", 0), 100)]


async def test_started_record_and_outcome_are_kept_and_logged_with_clocks_and_digests(house: House):
    operator, agent, warrant = await _at_work(house)

    decided = (
        decision("signature", GateResult.PASSED, "manifest 1f", "signed by the source"),
        decision("memory", GateResult.WARNED, "100 MiB", "at least 256 MiB"),
    )
    agent.receipt(warrant, "", kind="STARTED", decisions=decided)
    last = agent.receipt(warrant, "SUCCEEDED")
    await agent.until_acknowledged(last)

    [began], [ended] = await house.log("ASSIGNMENT_STARTED"), await house.log("ASSIGNMENT_ENDED")
    assert await _kept(house) == [(1, "STARTED"), (2, "ENDED")]
    assert began.receipt_sha256
    assert began.receipt_sha256 != ended.receipt_sha256 == agent.newest_receipt
    assert (began.outcome, ended.outcome) == ("", "SUCCEEDED")
    gates = json.loads(began.details)["computer_gates"]
    assert gates == {"passed": ["signature"], "others": [decided[1].as_text()]}
    assert json.loads(began.details)["policy_sha256"] == warrant.policy_sha256
    details = json.loads(ended.details)
    assert details.keys() >= {"receipt_number", "boot_id", "boot_seconds", "computer_time", "manifest_sha256", "steps"}
    assert await _summaries(operator) == []


async def test_case_4_source_whose_renewals_do_not_reach_a_computer_is_told_once(house: House):
    operator, agent, warrant = await _at_work(house)
    stale = decision("metadata_fresh", GateResult.WARNED, "a timestamp that ends at noon", "a newer one")
    agent.receipt(warrant, "", kind="STARTED", decisions=(stale,))
    last = agent.receipt(warrant, "SUCCEEDED")
    await agent.until_acknowledged(last)

    (summary,) = await _summaries(operator)

    assert summary.startswith("pc1 was served a timestamp that ends at noon: something on its way")


async def test_record_that_comes_again_outside_the_sequence_is_recorded_once(house: House):
    operator, agent, warrant = await _at_work(house)
    last = agent.receipt(warrant, "SUCCEEDED")
    await agent.until_acknowledged(last)
    sent = agent.messages[-1].receipt

    agent.again(sent.payload, sent.signature)
    last = agent.progress(warrant, "CONFIRMING")
    await agent.until_acknowledged(last)

    assert await _kept(house) == [(1, "ENDED")]
    assert len(await house.log("ASSIGNMENT_ENDED")) == 1
    assert await _summaries(operator) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"number": 4}, "never came"),
        ({"previous_sha256": "ab" * 32}, "does not follow"),
        ({"number": 1, "detail": "another"}, "different content"),
    ],
    ids=["gap", "fork", "same number, other body"],
)
async def test_gap_and_fork_are_an_incident_and_an_entry(house: House, changes: dict[str, Any], said: str):
    operator, agent, warrant = await _at_work(house)
    agent.receipt(warrant, "", kind="STARTED")

    last = agent.receipt(warrant, "SUCCEEDED", **changes)
    await agent.until_acknowledged(last)

    [entry] = await house.log("RECEIPT_CHAIN_BROKEN")
    [summary] = await _summaries(operator)
    assert said in entry.message
    assert said in summary
    contradicted = "number" in changes and changes["number"] == 1
    assert len(await house.log("ASSIGNMENT_ENDED")) == (0 if contradicted else 1)


async def test_record_that_was_missing_is_taken_when_it_comes_later(house: House):
    operator, agent, warrant = await _at_work(house)
    agent.receipt(warrant, "", kind="STARTED")
    missing = agent.messages.pop().receipt
    agent._outgoing.get_nowait()  # it never leaves the computer
    agent.sequence = 0
    last = agent.receipt(warrant, "SUCCEEDED")
    await agent.until_acknowledged(last)
    assert await _kept(house) == [(2, "ENDED")]

    agent.again(missing.payload, missing.signature)
    await agent.until_acknowledged(agent.progress(warrant, "CONFIRMING"))

    assert await _kept(house) == [(1, "STARTED"), (2, "ENDED")]
    assert len(await house.log("ASSIGNMENT_STARTED")) == 1
    assert len(await _summaries(operator)) == 1


async def test_welcome_says_what_is_durable_and_names_no_more(house: House):
    _, agent, warrant = await _at_work(house)
    assert agent.welcome is not None
    assert (agent.welcome.newest_receipt.number, agent.welcome.newest_receipt.payload_sha256) == (0, "")
    await agent.until_acknowledged(agent.receipt(warrant, "SUCCEEDED"))
    await agent.hang_up()

    await agent.connect()

    told = agent.welcome.newest_receipt
    assert (told.number, told.payload_sha256) == (1, agent.newest_receipt)


@pytest.mark.parametrize(
    ("told", "said"), [((1, "cd" * 32), "two computers sign"), ((0, ""), "put back to an older state")]
)
async def test_computer_that_cannot_have_the_record_that_it_names_is_an_alarm_told_once(
    house: House, told: tuple[int, str], said: str
):
    operator, agent, warrant = await _at_work(house)
    await agent.until_acknowledged(agent.receipt(warrant, "SUCCEEDED"))

    for _ in range(2):
        await agent.hang_up()
        agent.newest_told = told
        await agent.connect()

    [entry] = await house.log("RECEIPT_CHAIN_BROKEN")
    [summary] = await _summaries(operator)
    assert said in entry.message
    assert said in summary


async def test_receipt_key_is_an_entry_with_the_key_itself(house: House):
    agent = await house.computer("pc1")

    await agent.connect()
    await agent.hang_up()
    await agent.connect()

    [entry] = await house.log("RECEIPT_KEY_BOUND")
    shown = public_key_pem(agent.receipt_key.public_key()).decode().splitlines()
    assert json.loads(entry.details)["receipt_key"] == "".join(shown[1:-1])


async def test_computer_reinstalled_under_its_old_name_changes_the_key_in_the_log(house: House):
    old = await house.computer("pc1", state=ComputerState.RETIRED, receipt_key_pem="")
    pem = public_key_pem(old.receipt_key.public_key()).decode()
    async with house.parts.database.write() as unit:
        computer = await unit.computers.get(old.computer.id)
        assert computer is not None
        await unit.computers.put(type(computer)(**{**vars(computer), "receipt_key_pem": pem, "id": "c-old"}))
        await unit.commit()
    new = await house.computer("pc1")

    await new.connect()

    [entry] = await house.log("RECEIPT_KEY_CHANGED")
    details = json.loads(entry.details)
    assert details["computer_id_before"] == "c-old"
    assert details["key_fingerprint_before"] != details["key_fingerprint"]


async def test_another_receipt_key_is_turned_away_with_one_entry_and_one_incident(house: House):
    operator = await house.person("operator", "operator")
    agent = await house.computer("pc1")
    await agent.connect()
    await agent.hang_up()
    agent.receipt_key = new_key()

    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError):
            await agent.connect()

    assert len(await house.log("RECEIPT_KEY_REFUSED")) == 1
    assert await _summaries(operator) == ["pc1: it shows another receipt key than before"]


def _observation(agent: SimulatedAgent, changes: int, **said: Any) -> int:
    """Send a signed observation of so many packages."""
    now = datetime.now(UTC).replace(microsecond=0)
    seen = [PackageChange("dpkg", "CHANGED", f"p{number}", "all", "1", "2", now) for number in range(changes)]
    given = {"left_out": 0, "gap": "", **said}
    agent.receipts += 1
    payload = Observation(
        number=agent.receipts,
        previous_sha256=agent.newest_receipt,
        computer_id=agent.computer.id,
        mark="ab" * 32,
        changes=tuple(seen),
        observed_time=now,
        boot_id="boot-1",
        boot_seconds=7,
        utc_offset_seconds=3600,
        **given,
    ).payload()
    agent.newest_receipt = sha256(payload).hexdigest()
    receipt = agent_service_pb2.Receipt(payload=payload, signature=sign(agent.receipt_key, PREFIX + payload))
    return agent.send(agent_service_pb2.AgentMessage(receipt=receipt))


async def test_changes_by_others_are_entries_without_an_outcome_each_once(house: House):
    operator, agent, warrant = await _at_work(house)

    await agent.until_acknowledged(_observation(agent, 2))
    sent = agent.messages[-1].receipt
    agent.again(sent.payload, sent.signature)
    await agent.until_acknowledged(agent.receipt(warrant, "SUCCEEDED"))

    entries = await house.log("OBSERVED")
    assert [(one.computer, one.release, one.version_before, one.version_after) for one in entries] == [
        ("pc1", "p0@2", "1", "2"),
        ("pc1", "p1@2", "1", "2"),
    ]
    assert {(one.outcome, one.rollout, one.operator) for one in entries} == {("", "", "")}
    assert await _kept(house) == [(1, "OBSERVED"), (2, "ENDED")]
    assert await _summaries(operator) == []


async def test_many_changes_are_one_entry_and_what_may_be_missing_is_said(house: House):
    agent = await house.computer("pc1")
    await agent.connect()

    await agent.until_acknowledged(_observation(agent, 21, left_out=5, gap="the log was rotated away"))

    many, missing = await house.log("OBSERVED")
    assert "21 packages" in many.message
    assert len(json.loads(many.details)["changes"]) == 21
    assert "rotated away; 5 more changes are not listed" in missing.message


async def test_export_proves_the_records_without_the_controller(house: House, tmp_path: Path):
    _, agent, warrant = await _at_work(house)
    agent.receipt(warrant, "", kind="STARTED")
    await agent.until_acknowledged(agent.receipt(warrant, "SUCCEEDED"))
    auditor = Caller("person", "p-ada", "ada", frozenset({"auditor"}))
    path = tmp_path / "log.zip"
    path.write_bytes(b"".join([piece async for piece in house.parts.update_logs.export(auditor)]))

    finding = verify_export(path, key=house.parts.log_key.verifier)

    assert finding.verdict.faults == ()
    assert (finding.records_proven, finding.records_unproven) == (2, 0)
    assert "2 signed records" in finding.conclusion
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(tmp_path / "short.zip", "w") as short:
        for name in whole.namelist():
            content = whole.read(name)
            short.writestr(name, content.splitlines(keepends=True)[0] if name == "receipts.jsonl" else content)
    [fault] = verify_export(tmp_path / "short.zip", key=house.parts.log_key.verifier).verdict.faults
    assert "cites a signed record of pc1 that is not there" in fault
