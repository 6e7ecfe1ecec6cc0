"""The emergency door on a running controller: real mail at once, a review by somebody else, a late one that climbs."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiosmtpd.controller import Controller

from sopwith_controller.config import Config, Mail
from tests.controller.colleagues import WAVES, Colleague, change_rollout, colleague, gate_of
from tests.controller.house import House, found_once, free_port, running
from tests.controller.test_cli_people import Run, sopwith

__all__ = ["sopwith"]


class Inbox:
    """What the mail server took, by recipient."""

    def __init__(self) -> None:
        self.taken: dict[str, list[str]] = {}

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
        for address in envelope.rcpt_tos:
            self.taken.setdefault(address, []).append(envelope.content.decode())
        return "250 taken"

    async def until(self, *addresses: str, words: str) -> None:
        """Wait until each of these got a message with these words."""
        async with asyncio.timeout(20):
            while not all(any(words in text for text in self.taken.get(one, ())) for one in addresses):  # noqa: ASYNC110  the server runs in a thread of its own
                await asyncio.sleep(0.05)


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    """Run a mail server on loopback."""
    inbox, port = Inbox(), free_port()
    server = Controller(inbox, hostname="127.0.0.1", port=port)
    server.start()
    yield inbox, port
    server.stop()


@pytest.fixture
async def house(inbox: tuple[Inbox, int], tmp_path: Path) -> AsyncIterator[House]:
    """Return a running controller that mails to the inbox."""
    mail = Mail(address=f"smtp://127.0.0.1:{inbox[1]}")
    (tmp_path / "founded").mkdir()
    data = await asyncio.to_thread(
        found_once,
        tmp_path / "founded",
        owner_email="owner@localhost",
        config=Config(listen="127.0.0.1", advertise="127.0.0.1", smtp=mail),
    )
    async with running(data, tmp_path) as house:
        await house.make_sop_effective()
        await house.designate_source()
        await house.publish("hello", "1")
        agent = await house.computer("pc1")
        agent.works = False
        await agent.connect()
        yield house


async def _started(person: Colleague, name: str = "hello") -> str:
    rollout = await person.submitted(rollout=name, emergency=True, waves=WAVES)
    return str((await person.start(rollout.id)).id)


async def test_use_of_the_door_is_mailed_at_once_and_reviewed_by_somebody_else(
    house: House, inbox: tuple[Inbox, int], sopwith: Run
):
    operator = await colleague(house, "operator", "operator", "it_manager")
    boss = await colleague(house, "boss", "owner")

    identifier = await _started(operator)
    await inbox[0].until("owner@localhost", "manager@localhost", words=identifier)
    own, _, words = await operator.runs(sopwith, "rollout", "review", identifier, "--note", "fine by me")
    code, out, _ = await boss.runs(
        sopwith, "rollout", "review", identifier, "--note", "the leak is closed", "-o", "json"
    )
    again, _, said = await boss.runs(sopwith, "rollout", "review", identifier, "--note", "twice")

    assert (own, "operator_role" in words) == (4, True)
    assert (code, json.loads(out)["reviewed_by"], json.loads(out)["review_note"]) == (0, "boss", "the leak is closed")
    assert (again, "boss reviewed it" in said) == (1, True)
    [incident] = [one for one in await _incidents(house) if one.symptom == "APPROVAL_AGEING"]
    assert (incident.severity, incident.state) == (2, "RESOLVED")


async def test_while_a_review_waits_the_next_emergency_is_the_owners_or_the_it_managers(house: House):
    operator = await colleague(house, "operator", "operator")
    manager = await colleague(house, "manager", "it_manager", "operator")
    await _started(operator)
    second = await operator.submitted(rollout="second", emergency=True, waves=WAVES)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await operator.start(second.id)
    await manager.start(second.id)

    assert gate_of(caught.value) == "approval_fresh"
    assert "waits for its review" in (caught.value.details() or "")


async def test_overdue_review_climbs_once(house: House, inbox: tuple[Inbox, int]):
    operator = await colleague(house, "operator", "operator")
    identifier = await _started(operator)
    day = timedelta(hours=24, minutes=1)
    await change_rollout(house, identifier, lambda one: replace(one, started_time=one.started_time - day))

    await house.parts.reviews.escalate_overdue()
    await inbox[0].until("owner@localhost", "manager@localhost", words="was due at")
    await house.parts.reviews.escalate_overdue()

    found = [one for one in await _incidents(house) if one.symptom == "APPROVAL_AGEING"]
    assert sorted((one.severity, one.state == "RESOLVED") for one in found) == [(1, False), (2, True)]


async def _incidents(house: House) -> list[Any]:
    async with house.parts.database.read() as unit:
        return list(await unit.incidents.all())
