"""Comments, announcements and signing links of SOP revisions, and which revision each computer holds."""

from collections.abc import Sequence

from sqlalchemy import select

from sopwith_controller.adapters.database.sop_tables import (
    signing_links,
    sop_announcements,
    sop_comments,
    sop_receipts,
)
from sopwith_controller.adapters.database.transaction import Transaction, columns_for
from sopwith_controller.domain.sop_life_entities import SigningLink, SopAnnouncement, SopComment, SopReceipt

_COMMENTS = select(*columns_for(SopComment, sop_comments))
_ANNOUNCEMENTS = select(*columns_for(SopAnnouncement, sop_announcements))
_LINKS = select(*columns_for(SigningLink, signing_links))
_RECEIPTS = select(*columns_for(SopReceipt, sop_receipts))


class SqlSopComments:
    """Implements the `SopComments` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get(self, comment_id: str) -> SopComment | None:
        """Return one."""
        return await self._transaction.entity(_COMMENTS.where(sop_comments.c.id == comment_id), SopComment)

    async def of_revision(self, sop_id: str, revision: int) -> Sequence[SopComment]:
        """Return a revision's comments, oldest first."""
        mine = _COMMENTS.where(sop_comments.c.sop_id == sop_id, sop_comments.c.revision == revision)
        return await self._transaction.entities(
            mine.order_by(sop_comments.c.created_time, sop_comments.c.id), SopComment
        )

    async def put(self, comment: SopComment) -> None:
        """Insert or replace."""
        await self._transaction.put(sop_comments, [vars(comment)])


class SqlSopAnnouncements:
    """Implements the `SopAnnouncements` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def of_sop(self, sop_id: str) -> Sequence[SopAnnouncement]:
        """Return a SOP's announcements, oldest first."""
        mine = _ANNOUNCEMENTS.where(sop_announcements.c.sop_id == sop_id)
        order = (sop_announcements.c.created_time, sop_announcements.c.id)
        return await self._transaction.entities(mine.order_by(*order), SopAnnouncement)

    async def put(self, announcement: SopAnnouncement) -> None:
        """Insert or replace."""
        await self._transaction.put(sop_announcements, [vars(announcement)])


class SqlSigningLinks:
    """Implements the `SigningLinks` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get(self, link_id: str) -> SigningLink | None:
        """Return one."""
        return await self._transaction.entity(_LINKS.where(signing_links.c.id == link_id), SigningLink)

    async def by_secret(self, secret_sha256: str) -> SigningLink | None:
        """Return the link whose secret has this digest."""
        return await self._transaction.entity(_LINKS.where(signing_links.c.secret_sha256 == secret_sha256), SigningLink)

    async def put(self, link: SigningLink) -> None:
        """Insert or replace."""
        await self._transaction.put(signing_links, [vars(link)])


class SqlSopReceipts:
    """Implements the `SopReceipts` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def all(self) -> Sequence[SopReceipt]:
        """Return the newest of each computer and SOP, by computer."""
        order = (sop_receipts.c.computer_id, sop_receipts.c.sop_id)
        return await self._transaction.entities(_RECEIPTS.order_by(*order), SopReceipt)

    async def of_computer(self, computer_id: str) -> Sequence[SopReceipt]:
        """Return one computer's, by SOP."""
        mine = _RECEIPTS.where(sop_receipts.c.computer_id == computer_id)
        return await self._transaction.entities(mine.order_by(sop_receipts.c.sop_id), SopReceipt)

    async def put(self, receipt: SopReceipt) -> None:
        """Insert or replace."""
        await self._transaction.put(sop_receipts, [vars(receipt)])
