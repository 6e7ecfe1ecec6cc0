"""The fake repositories of what people add to SOP revisions; they pass the contract suite of the database."""

from collections.abc import Sequence
from typing import Any

from sopwith_controller.domain.sop_life_entities import SigningLink, SopAnnouncement, SopComment, SopReceipt


class FakeSopComments:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def get(self, comment_id: str) -> SopComment | None:
        found: SopComment | None = self._shelf.get(comment_id)
        return found

    async def of_revision(self, sop_id: str, revision: int) -> Sequence[SopComment]:
        mine = [one for one in self._shelf.all() if (one.sop_id, one.revision) == (sop_id, revision)]
        return sorted(mine, key=lambda one: (one.created_time, one.id))

    async def put(self, comment: SopComment) -> None:
        self._shelf.put(comment.id, comment)


class FakeSopAnnouncements:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def of_sop(self, sop_id: str) -> Sequence[SopAnnouncement]:
        mine = [one for one in self._shelf.all() if one.sop_id == sop_id]
        return sorted(mine, key=lambda one: (one.created_time, one.id))

    async def put(self, announcement: SopAnnouncement) -> None:
        self._shelf.put(announcement.id, announcement)


class FakeSigningLinks:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def get(self, link_id: str) -> SigningLink | None:
        found: SigningLink | None = self._shelf.get(link_id)
        return found

    async def by_secret(self, secret_sha256: str) -> SigningLink | None:
        return next((one for one in self._shelf.all() if one.secret_sha256 == secret_sha256), None)

    async def put(self, link: SigningLink) -> None:
        self._shelf.put(link.id, link)


class FakeSopReceipts:
    def __init__(self, shelf: Any) -> None:
        self._shelf = shelf

    async def all(self) -> Sequence[SopReceipt]:
        return sorted(self._shelf.all(), key=lambda one: (one.computer_id, one.sop_id))

    async def of_computer(self, computer_id: str) -> Sequence[SopReceipt]:
        return [one for one in await self.all() if one.computer_id == computer_id]

    async def put(self, receipt: SopReceipt) -> None:
        self._shelf.put((receipt.computer_id, receipt.sop_id), receipt)
