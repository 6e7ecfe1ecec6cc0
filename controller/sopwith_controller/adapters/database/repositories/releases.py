"""Releases, where they were rolled back, and SOP revisions."""

from collections.abc import Sequence

from sqlalchemy import select, update

from sopwith_controller.adapters.database.tables import release_rollbacks, releases, sop_revisions
from sopwith_controller.adapters.database.transaction import Transaction, columns_for, pieces
from sopwith_controller.domain.entities import Release, SopRevision, SopState

_RELEASES = select(*columns_for(Release, releases))
_REVISIONS = select(*columns_for(SopRevision, sop_revisions))


class SqlReleases:
    """Implements the `Releases` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get(self, name: str, version: str) -> Release | None:
        """Return one release."""
        one = _RELEASES.where(releases.c.name == name, releases.c.version == version)
        return await self._transaction.entity(one, Release)

    async def all(self) -> Sequence[Release]:
        """Return all by name and time of publishing."""
        ordered = _RELEASES.order_by(releases.c.name, releases.c.published_time, releases.c.version)
        return await self._transaction.entities(ordered, Release)

    async def put(self, release: Release) -> None:
        """Insert or replace."""
        await self._transaction.put(releases, [vars(release)])

    async def rolled_back_on(self, name: str, version: str) -> Sequence[str]:
        """Return ids of computers that rolled it back and have no permission since."""
        table = release_rollbacks.c
        held = select(table.computer_id).where(table.name == name, table.version == version, table.permitted_by == "")
        return [row.computer_id for row in await self._transaction.rows(held.order_by(table.computer_id))]

    async def note_rolled_back(self, name: str, version: str, computer_id: str) -> None:
        """Remember that a computer rolled it back."""
        row = {"name": name, "version": version, "computer_id": computer_id, "permitted_by": ""}
        await self._transaction.put(release_rollbacks, [row])

    async def permit(self, name: str, version: str, computer_ids: Sequence[str], person: str) -> None:
        """Let it be offered again to these computers."""
        table = release_rollbacks.c
        for some in pieces(computer_ids):
            held = update(release_rollbacks).where(table.name == name, table.version == version)
            await self._transaction.write(held.where(table.computer_id.in_(some)).values(permitted_by=person))


class SqlSops:
    """Implements the `Sops` port."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def get(self, sop_id: str, revision: int) -> SopRevision | None:
        """Return one revision."""
        one = _REVISIONS.where(sop_revisions.c.id == sop_id, sop_revisions.c.revision == revision)
        return await self._transaction.entity(one, SopRevision)

    async def effective(self, sop_id: str) -> SopRevision | None:
        """Return the one EFFECTIVE revision."""
        in_force = _REVISIONS.where(sop_revisions.c.id == sop_id, sop_revisions.c.state == SopState.EFFECTIVE)
        return await self._transaction.entity(in_force.order_by(sop_revisions.c.revision.desc()), SopRevision)

    async def newest(self, sop_id: str) -> SopRevision | None:
        """Return the revision with the highest number."""
        ordered = _REVISIONS.where(sop_revisions.c.id == sop_id).order_by(sop_revisions.c.revision.desc())
        return await self._transaction.entity(ordered, SopRevision)

    async def revisions(self, sop_id: str) -> Sequence[SopRevision]:
        """Return all revisions, oldest first."""
        ordered = _REVISIONS.where(sop_revisions.c.id == sop_id).order_by(sop_revisions.c.revision)
        return await self._transaction.entities(ordered, SopRevision)

    async def ids(self) -> Sequence[str]:
        """Return the ids of all SOPs."""
        statement = select(sop_revisions.c.id).distinct().order_by(sop_revisions.c.id)
        return [row.id for row in await self._transaction.rows(statement)]

    async def put(self, revision: SopRevision) -> None:
        """Insert or replace."""
        await self._transaction.put(sop_revisions, [vars(revision)])
