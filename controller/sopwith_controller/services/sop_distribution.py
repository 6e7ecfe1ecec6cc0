"""Who holds the revision in force: every computer's receipt, and every person's acknowledgement.

Decides what counts as holding: the computer said that it holds this revision with this policy digest. Receipts come
with every connection and every change; they wait in memory for a second, so that a fleet that is told at once costs a
few transactions, and one that is lost comes again with the next connection.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sopwith_controller.domain.entities import ComputerState, SopRevision
from sopwith_controller.domain.errors import NotFoundError
from sopwith_controller.domain.sop_life_entities import SopReceipt
from sopwith_controller.services.ports import Clock, Database

READERS = frozenset({"owner", "it_manager", "authority", "operator", "release_manager"})
"""Who acknowledges a SOP."""


@dataclass(frozen=True)
class Lacking:
    """Somebody who does not hold the revision, and what they hold; 0 and empty: nothing of this SOP."""

    name: str
    revision: int = 0
    policy_sha256: str = ""


@dataclass(frozen=True)
class Distribution:
    """Who holds one revision, and who does not."""

    revision: SopRevision
    computers: tuple[str, ...]
    computers_lacking: tuple[Lacking, ...]
    people: tuple[str, ...]
    people_lacking: tuple[str, ...]


class SopDistribution:
    """Use cases of distribution; `soon` lets `flush` run in a moment."""

    def __init__(self, database: Database, clock: Clock, soon: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._soon = soon
        self._waiting: dict[tuple[str, str], SopReceipt] = {}
        self._known: dict[tuple[str, str], tuple[int, str]] = {}

    def received(self, computer_id: str, sop_id: str, revision: int, policy_sha256: str) -> None:
        """Take a computer's word; what is known already costs nothing."""
        if self._known.get((computer_id, sop_id)) == (revision, policy_sha256):
            return
        self._known[computer_id, sop_id] = (revision, policy_sha256)
        receipt = SopReceipt(computer_id, sop_id, revision, policy_sha256, self._clock.now())
        self._waiting[computer_id, sop_id] = receipt
        self._soon()

    async def flush(self) -> None:
        """Write what came."""
        waiting, self._waiting = self._waiting, {}
        if not waiting:
            return
        async with self._database.write() as unit:
            for receipt in waiting.values():
                await unit.sop_receipts.put(receipt)
            await unit.commit()

    async def held_by(self, computer_ids: list[str]) -> dict[str, SopReceipt]:
        """Return the newest receipt of each of these computers."""
        await self.flush()
        async with self._database.read() as unit:
            if len(computer_ids) == 1:
                found = await unit.sop_receipts.of_computer(computer_ids[0])
            else:
                found = await unit.sop_receipts.all()
        newest: dict[str, SopReceipt] = {}
        for receipt in sorted(found, key=lambda one: one.received_time):
            newest[receipt.computer_id] = receipt
        return newest

    async def of(self, sop_id: str, number: int = 0) -> Distribution:
        """Return who holds a revision; 0 means the effective one, else the newest."""
        await self.flush()
        async with self._database.read() as unit:
            if number:
                revision = await unit.sops.get(sop_id, number)
            else:
                revision = await unit.sops.effective(sop_id) or await unit.sops.newest(sop_id)
            if revision is None:
                raise NotFoundError(f"there is no SOP {sop_id}", remedy="sopwith sop list")
            receipts = {one.computer_id: one for one in await unit.sop_receipts.all() if one.sop_id == sop_id}
            members = [one for one in await unit.computers.all() if one.state is ComputerState.ACCEPTED]
            people = [one for one in await unit.people.all() if one.state != "REVOKED"]
        holding: list[str] = []
        lacking: list[Lacking] = []
        for computer in members:
            receipt = receipts.get(computer.id)
            if receipt and (receipt.revision, receipt.policy_sha256) == (revision.revision, revision.policy_sha256):
                holding.append(computer.name)
            else:
                held = (receipt.revision, receipt.policy_sha256) if receipt else (0, "")
                lacking.append(Lacking(computer.name, *held))
        readers = [one.name for one in people if not READERS.isdisjoint(one.roles)]
        read = set(revision.acknowledged_by)
        return Distribution(
            revision,
            tuple(holding),
            tuple(lacking),
            tuple(name for name in readers if name in read),
            tuple(name for name in readers if name not in read),
        )
