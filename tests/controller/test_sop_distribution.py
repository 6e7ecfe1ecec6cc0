"""Making a revision known and knowing who holds it: real mail over SMTP, computers' receipts, people's words."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.adapters.ids import RandomIds
from sopwith_controller.adapters.notifiers.smtp import SmtpNotifier
from sopwith_controller.domain.errors import ConflictError, InvalidInputError, NotFoundError
from sopwith_controller.services.access import Caller
from sopwith_controller.services.notifying import Notifying
from sopwith_controller.services.sop_announcing import Asked, SopAnnouncing
from sopwith_controller.services.sop_distribution import Lacking, SopDistribution
from tests import builders as make
from tests.controller.sop_fleet import ID, SopFleet
from tests.controller.test_emergency_door import inbox  # noqa: F401  a real SMTP server


def announcing(fleet: SopFleet, *, mail: bool = True) -> SopAnnouncing:
    return SopAnnouncing(fleet.database, fleet.clock, RandomIds(), mail=mail, wake=lambda: None)


@pytest.mark.clause("4 Communicate and train", "mail")
async def test_mail_reaches_every_recipient_through_a_real_server_and_its_delivery_is_read(inbox):  # noqa: F811
    fleet = await SopFleet().effective()
    await fleet.person("silent", "viewer")
    async with fleet.database.write() as unit:
        await unit.people.put(replace(fleet.people["silent"], email=""))
        await unit.commit()
    use_case = announcing(fleet)

    made = await use_case.announce(fleet.caller("owner"), Asked(ID, "mail", note="Read it by Friday."))
    before = (await use_case.all(ID))[0]
    mail = SmtpNotifier(f"smtp://127.0.0.1:{inbox[1]}", "sopwith@example.test")
    await Notifying(fleet.database, fleet.clock, {"smtp": mail}).send_due()

    (after,) = await use_case.all(ID)
    assert made.unreached == ("silent",)
    assert set(made.announcement.recipients) == {"owner", "manager", "authority", "operator"}
    assert [message.delivered for message in before.messages] == [False] * 4
    assert [message.delivered for message in after.messages] == [True] * 4
    received = [text for mails in inbox[0].taken.values() for text in mails]
    assert len(received) == 4
    assert all("Read it by Friday." in text and f"sopwith sop acknowledge {ID}" in text for text in received)
    assert (await fleet.kinds()).count("SOP_ANNOUNCED") == 1


@pytest.mark.clause("4 Communicate and train", "session")
async def test_training_session_is_recorded_with_who_came():
    fleet = await SopFleet().effective()
    held = fleet.clock.now() - timedelta(days=1)

    asked = Asked(ID, "training", attendees=("operator", "manager"), note="Room 7", held_time=held)
    made = (await announcing(fleet, mail=False).announce(fleet.caller("manager"), asked)).announcement

    assert (made.attendees, made.recipients, made.held_time) == (("operator", "manager"),) * 2 + (held,)
    assert made.document_sha256 == (await fleet.sops.get(ID)).revision.document_sha256
    assert "operator" not in (await fleet.sops.get(ID)).revision.acknowledged_by


async def test_announcement_that_cannot_be_is_refused_and_a_repeated_one_is_one():
    fleet = await SopFleet().effective()
    with pytest.raises(InvalidInputError, match="no channel for mail"):
        await announcing(fleet, mail=False).announce(fleet.caller("owner"), Asked(ID, "mail"))
    for wrong in (Asked("SU-SOP-009", "meeting"), Asked(ID, "meeting", revision=9)):
        with pytest.raises(NotFoundError):
            await announcing(fleet).announce(fleet.caller("owner"), wrong)
    with pytest.raises(NotFoundError):
        await announcing(fleet).all("SU-SOP-009")
    twice = Caller("person", "p-owner", "owner", frozenset({"owner"}), request_id="same")

    first = await announcing(fleet).announce(twice, Asked(ID, "meeting"))
    second = await announcing(fleet).announce(twice, Asked(ID, "meeting"))

    assert first.announcement == second.announcement
    assert first.announcement.held_time == fleet.clock.now()
    with pytest.raises(ConflictError, match="another SOP"):
        await announcing(fleet).announce(twice, Asked("SU-SOP-009", "meeting"))


async def with_computers(*names: str) -> tuple[SopFleet, SopDistribution, list[int]]:
    fleet = await SopFleet().effective()
    asked: list[int] = []
    async with fleet.database.write() as unit:
        for name in names:
            await unit.computers.put(make.computer(name))
        await unit.commit()
    return fleet, SopDistribution(fleet.database, fleet.clock, lambda: asked.append(1)), asked


@pytest.mark.clause("5 Distribute and integrate", "receipts")
async def test_computer_holds_the_revision_when_it_said_so_with_its_digest():
    fleet, distribution, asked = await with_computers("pc1", "pc2", "pc3")
    digest = (await fleet.sops.get(ID)).revision.policy_sha256
    async with fleet.database.read() as unit:
        ids = {one.name: one.id for one in await unit.computers.all()}

    distribution.received(ids["pc1"], ID, 1, digest)
    distribution.received(ids["pc1"], ID, 1, digest)
    distribution.received(ids["pc2"], ID, 1, "00" * 32)
    found = await distribution.of(ID)

    assert found.computers == ("pc1",)
    assert found.computers_lacking == (Lacking("pc2", 1, "00" * 32), Lacking("pc3"))
    assert set(found.people) == {"owner", "manager", "authority"}
    assert found.people_lacking == ("operator",)
    assert len(asked) == 2
    held = await distribution.held_by([ids["pc1"]])
    assert held[ids["pc1"]].revision == 1
    assert set(await distribution.held_by(list(ids.values()))) == {ids["pc1"], ids["pc2"]}


async def test_acknowledgement_of_a_person_is_their_receipt():
    fleet, distribution, _ = await with_computers()
    await fleet.sops.acknowledge(fleet.caller("operator"), ID)

    assert (await distribution.of(ID, 1)).people_lacking == ()
    with pytest.raises(NotFoundError):
        await distribution.of(ID, 7)
