"""Signed records of an export: what is falsified, missing, or unproven is said."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sopwith_formats.log_entry import LogEntry, LogRow, row_of
from sopwith_formats.receipt_verification import ReceiptVerification, SignedRecord
from tests.formats.test_core_formats import a_receipt

PLAIN: dict[str, Any] = {
    **dict.fromkeys(("time", "date", "local_time", "release", "version_before", "version_after"), ""),
    **dict.fromkeys(("outcome", "corrected_outcome", "symptom", "operator", "rollout", "ticket", "sop_id"), ""),
    "attempts": 0,
    "sop_revision": 0,
    "message": "",
}


def holds(key: str, data: bytes, signature: bytes) -> bool:
    """A signature that this test can make: the digest of key and data."""
    return signature == hashlib.sha256(key.encode() + data).digest()


def signed(payload: bytes, number: int, key: str = "K1", computer: str = "c-1") -> SignedRecord:
    signature = hashlib.sha256(key.encode() + b"sopwith-receipt-v1\n" + payload).digest()
    return SignedRecord(computer, number, payload, signature)


def chain(count: int, first: int = 1) -> list[SignedRecord]:
    records: list[SignedRecord] = []
    for number in range(first, first + count):
        previous = hashlib.sha256(records[-1].payload).hexdigest() if records else ""
        receipt = a_receipt(number=number, previous_sha256=previous, assignment_id=f"a-{number}", computer_id="c-1")
        records.append(signed(receipt.payload(), number))
    return records


def entry(index: int, kind: str, sha256: str = "", **details: str) -> LogRow:
    said = LogEntry(index=index, kind=kind, computer="pc1", receipt_sha256=sha256, details=details, **PLAIN)
    return row_of(said, bytes(32))[0]


def log(records: list[SignedRecord], *more: LogRow) -> list[LogRow]:
    bound = entry(0, "RECEIPT_KEY_BOUND", computer_id="c-1", receipt_key="K1")
    cited = [
        entry(index, "ASSIGNMENT_ENDED", hashlib.sha256(record.payload).hexdigest())
        for index, record in enumerate(records, 1)
    ]
    return [bound, *cited, *more]


def found(rows: list[LogRow], records: list[SignedRecord]) -> ReceiptVerification:
    work = ReceiptVerification(holds)
    work.add_entries(rows)
    work.add_records(records)
    return work


def test_whole_chains_have_no_fault_and_are_counted():
    records = chain(4)

    work = found(log(records), records)

    assert (work.faults(), work.checked, work.unproven) == ([], 4, 0)


def _other_signature(records: list[SignedRecord]) -> None:
    records[1] = signed(records[1].payload, 2, key="K2")


def _one_less(records: list[SignedRecord]) -> None:
    del records[1]


def _other_content(records: list[SignedRecord]) -> None:
    payload = json.loads(records[1].payload) | {"outcome": "FAILED"}
    changed = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    records[1] = signed(changed, 2)


def _twice(records: list[SignedRecord]) -> None:
    records.insert(1, records[0])


def _another_number(records: list[SignedRecord]) -> None:
    records[1] = replace(records[1], number=7)


def _unreadable(records: list[SignedRecord]) -> None:
    records[1] = signed(b"{}", 2)


@pytest.mark.parametrize(
    ("falsify", "said"),
    [
        (_other_signature, "is not signed by the receipt key"),
        (_one_less, "Signed records 2 to 2 of c-1 are missing"),
        (_one_less, "Entry 2 cites a signed record of pc1 that is not there"),
        (_other_content, "Signed record 3 of c-1 does not follow record 2"),
        (_other_content, "Entry 2 cites a signed record"),
        (_twice, "is there twice or out of order"),
        (_another_number, "says that it is record 2 of c-1"),
        (_unreadable, "cannot be read"),
    ],
)
def test_what_was_falsified_is_said(falsify: Callable[[list[SignedRecord]], None], said: str):
    records = chain(3)
    rows = log(records)
    falsify(records)

    assert said in " ".join(found(rows, records).faults())


def test_first_record_that_follows_another_is_a_fault():
    record = signed(a_receipt(previous_sha256="ab" * 32, computer_id="c-1").payload(), 1)

    assert "the first one and follows another" in " ".join(found(log([record]), [record]).faults())


def test_break_that_the_log_tells_of_is_no_fault_of_the_export():
    records = chain(4)
    kept = [records[0], records[3]]

    work = found(log(kept, entry(9, "RECEIPT_CHAIN_BROKEN")), kept)

    assert work.faults() == []


def test_records_without_a_key_in_the_log_are_unproven_and_no_fault():
    records = chain(2)

    work = found(log(records)[1:], records)

    assert (work.faults(), work.checked, work.unproven) == ([], 0, 2)


def test_second_key_for_one_computer_and_broken_entries_are_faults():
    second = entry(5, "RECEIPT_KEY_BOUND", computer_id="c-1", receipt_key="K2")
    broken = entry(6, "RECEIPT_KEY_BOUND", computer_id="c-1")
    cites = entry(7, "OBSERVED", "no digest")

    faults = found(log([], second, broken, cites), []).faults()

    assert ["binds a second" in faults[0], "cannot be read" in faults[1], "no digest" in faults[2]] == [True] * 3
