"""The repositories of what people add to SOP revisions. Part of a unit of work, like all others."""

from collections.abc import Sequence
from typing import Protocol

from sopwith_controller.domain.sop_life_entities import SigningLink, SopAnnouncement, SopComment, SopReceipt


class SopComments(Protocol):
    """Reviewers' comments."""

    async def get(self, comment_id: str) -> SopComment | None:
        """Return one."""
        ...

    async def of_revision(self, sop_id: str, revision: int) -> Sequence[SopComment]:
        """Return a revision's comments, oldest first."""
        ...

    async def put(self, comment: SopComment) -> None:
        """Insert or replace."""
        ...


class SopAnnouncements(Protocol):
    """How revisions were made known."""

    async def of_sop(self, sop_id: str) -> Sequence[SopAnnouncement]:
        """Return a SOP's announcements, oldest first."""
        ...

    async def put(self, announcement: SopAnnouncement) -> None:
        """Insert or replace."""
        ...


class SigningLinks(Protocol):
    """Leave to sign once."""

    async def get(self, link_id: str) -> SigningLink | None:
        """Return one."""
        ...

    async def by_secret(self, secret_sha256: str) -> SigningLink | None:
        """Return the link whose secret has this digest."""
        ...

    async def put(self, link: SigningLink) -> None:
        """Insert or replace."""
        ...


class SopReceipts(Protocol):
    """Which revision each computer holds."""

    async def all(self) -> Sequence[SopReceipt]:
        """Return the newest of each computer and SOP, by computer."""
        ...

    async def of_computer(self, computer_id: str) -> Sequence[SopReceipt]:
        """Return one computer's, by SOP."""
        ...

    async def put(self, receipt: SopReceipt) -> None:
        """Insert or replace."""
        ...
