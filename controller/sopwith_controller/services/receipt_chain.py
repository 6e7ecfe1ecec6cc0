"""Keeping computers' signed records: each once, byte for byte, and what is missing or forked is never taken silently.

What a record's place means is `domain.receipt_chain`'s; this module loads what is recorded, writes the rows of a batch
and the log entry of a broken chain. Rules: a record is kept although something before it is missing, because it is
signed; one that contradicts a recorded one is not; the caller raises the alarm for every fault that is returned.
"""

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from sopwith_controller.domain.entities import Computer, LogDraft
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.receipt_chain import BROKEN, Place, Standing, arrival_fault, standing
from sopwith_controller.services.agent_reports import ReceiptReported
from sopwith_controller.services.lasting_repositories import ReceiptRow
from sopwith_controller.services.ports import Clock, UnitOfWork
from sopwith_formats.errors import FormatError
from sopwith_formats.observation import Observation, read_signed
from sopwith_formats.receipt import Receipt


class ReceiptChains:
    """The chains of the computers of one unit of work."""

    def __init__(self, unit: UnitOfWork, clock: Clock) -> None:
        self._unit = unit
        self._now = clock.now()
        self._recorded: dict[tuple[str, int], str] = {}
        self._rows: list[ReceiptRow] = []

    async def load(self, computers: dict[str, Computer], contents: Sequence[tuple[str, ReceiptReported]]) -> None:
        """Read what is recorded under the numbers of records that are not new."""
        places = []
        for computer_id, content in contents:
            computer, number = computers.get(computer_id), _number(content)
            if computer is not None and 0 < number <= computer.receipts_seen:
                places.append((computer_id, number))
        if places:
            self._recorded.update(await self._unit.receipts.digests(places))

    async def take(
        self, computer: Computer, receipt: Receipt | Observation, content: ReceiptReported
    ) -> tuple[Computer, Standing]:
        """Keep a record whose signature holds; return its computer and how it stands. A fault is logged here."""
        place = computer.id, receipt.number
        record = Place(receipt.number, sha256(content.payload).hexdigest())
        newest = Place(computer.receipts_seen, computer.newest_receipt_sha256)
        found = standing(
            newest,
            record,
            follows_sha256=receipt.previous_sha256,
            recorded_sha256=self._recorded.get(place, ""),
        )
        if found in BROKEN:
            await self._log(computer, fault_of(found, record.number, newest.number), record)
        if found in {Standing.REPEATED, Standing.CONTRADICTED}:
            return computer, found
        self._recorded[place] = record.sha256
        self._rows.append(
            ReceiptRow(*place, receipt.kind, record.sha256, content.payload, content.signature, self._now)
        )
        if record.number > newest.number:
            computer = replace(computer, receipts_seen=record.number, newest_receipt_sha256=record.sha256)
        return computer, found

    async def compare(self, computer: Computer, told: Place) -> str:
        """Return what is wrong with the newest record that a computer names when it comes; empty for nothing."""
        known = {(computer.id, computer.receipts_seen): computer.newest_receipt_sha256}
        if 0 < told.number < computer.receipts_seen:
            known = await self._unit.receipts.digests([(computer.id, told.number)])
        newest = Place(computer.receipts_seen, computer.newest_receipt_sha256)
        return arrival_fault(newest, told, recorded_sha256=known.get((computer.id, told.number), ""))

    async def log_fault(self, computer: Computer, fault: str, told: Place) -> None:
        """Record what is wrong with the place that a computer named."""
        await self._log(computer, fault, told)

    async def save(self) -> None:
        """Write the new rows."""
        if self._rows:
            await self._unit.receipts.add_all(self._rows)

    async def _log(self, computer: Computer, fault: str, record: Place) -> None:
        await self._unit.update_log.append(
            LogDraft(
                kind=LogKind.RECEIPT_CHAIN_BROKEN,
                message=f"{computer.name}: {fault}",
                computer=computer.name,
                receipt_sha256=record.sha256,
                details={
                    "number": record.number,
                    "newest_number": computer.receipts_seen,
                    "newest_sha256": computer.newest_receipt_sha256,
                },
            )
        )


FAULTS = {
    Standing.GAP: "signed records before number {number} never came; the newest one was {newest}",
    Standing.FORKED: "signed record {number} does not follow the recorded one before it",
    Standing.CONTRADICTED: "signed record {number} came twice with different content",
}


def fault_of(found: Standing, number: int, newest: int) -> str:
    """Return in a sentence what is wrong with a record; empty for one that fits."""
    return FAULTS[found].format(number=number, newest=newest) if found in FAULTS else ""


def _number(content: ReceiptReported) -> int:
    try:
        return read_signed(content.payload).number
    except FormatError:
        return 0
