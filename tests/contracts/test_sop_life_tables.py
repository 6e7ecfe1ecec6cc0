"""What the database promises of comments, announcements, signing links and receipts of SOP revisions, on every kind."""

from dataclasses import replace
from datetime import timedelta

from sopwith_controller.domain.sop_life_entities import SigningLink, SopAnnouncement, SopComment, SopReceipt
from tests import builders as make
from tests.builders import NOON, SHA
from tests.contracts.conftest import *  # noqa: F403  the fixture `database` on all three

COMMENT = SopComment(
    "sc-1", "SU-SOP-001", 2, SHA, "accuracy", "V.C", "Say which.", True, "legal", NOON, "Done.", "owner", NOON
)
ANNOUNCEMENT = SopAnnouncement(
    "sa-1", "SU-SOP-001", 2, SHA, "training", ("a", "b"), ("a",), "Room 7", "owner", NOON, NOON - timedelta(days=1)
)
LINK = SigningLink(
    "sl-1", "cd" * 32, "page", "SU-SOP-001", 2, SHA, "p-1", "authority", "owner", NOON, NOON + timedelta(days=1),
    {"approve": "{}"}, NOON,
)  # fmt: skip
RECEIPT = SopReceipt("c-1", "SU-SOP-001", 2, SHA, NOON)
PERSON = make.person(
    expires_time=NOON, ssh_key="ssh-ed25519 AAAA", away_until_time=NOON, deputy_id="p-2", successor_id="p-3"
)


async def test_everything_put_is_read_back_equal(database):
    async with database.write() as unit:
        await unit.sop_comments.put(COMMENT)
        await unit.sop_announcements.put(ANNOUNCEMENT)
        await unit.signing_links.put(LINK)
        await unit.sop_receipts.put(RECEIPT)
        await unit.people.put(PERSON)
        await unit.commit()

    async with database.read() as unit:
        assert await unit.sop_comments.get("sc-1") == COMMENT
        assert list(await unit.sop_announcements.of_sop("SU-SOP-001")) == [ANNOUNCEMENT]
        assert await unit.signing_links.get("sl-1") == LINK
        assert await unit.signing_links.by_secret("cd" * 32) == LINK
        assert list(await unit.sop_receipts.of_computer("c-1")) == [RECEIPT]
        assert await unit.people.get(PERSON.id) == PERSON


async def test_what_is_absent_is_none_or_empty(database):
    async with database.read() as unit:
        assert await unit.sop_comments.get("sc-9") is None
        assert list(await unit.sop_comments.of_revision("SU-SOP-001", 9)) == []
        assert list(await unit.sop_announcements.of_sop("SU-SOP-009")) == []
        assert await unit.signing_links.get("sl-9") is None
        assert await unit.signing_links.by_secret("00") is None
        assert list(await unit.sop_receipts.all()) == []


async def test_comments_and_announcements_come_oldest_first_and_a_receipt_replaces_the_one_before(database):
    later = NOON + timedelta(hours=1)
    async with database.write() as unit:
        for one in (replace(COMMENT, id="sc-0", created_time=later), COMMENT, replace(COMMENT, id="sc-2", revision=3)):
            await unit.sop_comments.put(one)
        for announced in (replace(ANNOUNCEMENT, id="sa-0", created_time=later), ANNOUNCEMENT):
            await unit.sop_announcements.put(announced)
        for receipt in (replace(RECEIPT, computer_id="c-2"), RECEIPT, replace(RECEIPT, revision=3)):
            await unit.sop_receipts.put(receipt)
        await unit.commit()

    async with database.read() as unit:
        assert [one.id for one in await unit.sop_comments.of_revision("SU-SOP-001", 2)] == ["sc-1", "sc-0"]
        assert [one.id for one in await unit.sop_announcements.of_sop("SU-SOP-001")] == ["sa-1", "sa-0"]
        assert [(one.computer_id, one.revision) for one in await unit.sop_receipts.all()] == [("c-1", 3), ("c-2", 2)]
