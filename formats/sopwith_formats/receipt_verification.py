"""Whether the signed records of an export are whole: signatures, chains, and the entries of the log that cite them.

This module decides what counts as a fault and says each in one sentence. Rules: a computer's key is the one that the
log bound to it, never one that came beside; each record has the next number and carries the digest of the one before;
an entry that cites a record of a computer whose key is bound must find it. A break that the log itself tells of
(RECEIPT_CHAIN_BROKEN) is no fault of the export; records of computers whose key the log does not hold, because it was
bound before keys were recorded, are counted as unproven.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sopwith_formats.errors import FormatError
from sopwith_formats.log_entry import LogRow
from sopwith_formats.observation import read_signed
from sopwith_formats.receipt import PREFIX

FAULTS_MAX = 100
_BINDING = frozenset({"RECEIPT_KEY_BOUND", "RECEIPT_KEY_CHANGED"})
_BROKEN = "RECEIPT_CHAIN_BROKEN"
_CITING = frozenset({"ASSIGNMENT_STARTED", "ASSIGNMENT_ENDED", "OUTCOME_CORRECTED", "OBSERVED", "RECEIPT_RECOVERED"})

VerifySignature = Callable[[str, bytes, bytes], bool]
"""Tells whether (public key, base64 of its DER; signed bytes; signature) fit."""


@dataclass(frozen=True)
class SignedRecord:
    """One record as it stands in an export, believed by nobody yet."""

    computer_id: str
    number: int
    payload: bytes
    signature: bytes


class ReceiptVerification:
    """One verification: feed the log's entries, then the records by computer and number, then ask for the faults."""

    def __init__(self, verify: VerifySignature) -> None:
        self.checked = 0
        """Records whose signature was proven."""
        self.unproven = 0
        """Records of computers whose key is not in the log."""
        self._verify = verify
        self._keys: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._broken: set[str] = set()
        self._cited: dict[bytes, tuple[int, str]] = {}
        self._before: tuple[str, int, str] = ("", 0, "")
        self._faults: list[str] = []

    def add_entries(self, rows: Iterable[LogRow]) -> None:
        """Learn keys, told breaks and citations from entries, in order."""
        for row in rows:
            if row.kind in _BINDING:
                self._bind(row)
            elif row.kind == _BROKEN:
                self._broken.add(str(row.computer))
            elif row.kind in _CITING and row.receipt_sha256 and row.computer in self._names:
                try:
                    self._cited.setdefault(bytes.fromhex(row.receipt_sha256), (row.index, row.computer))
                except (TypeError, ValueError):
                    self._fault(
                        f"Entry {row.index} cites a signed record by {row.receipt_sha256!r}, which is no digest."
                    )

    def add_records(self, records: Iterable[SignedRecord]) -> None:
        """Check records, in order of computer and number."""
        for record in records:
            self._check(record)

    def faults(self) -> list[str]:
        """Return what was found, with what is missing."""
        for index, computer in sorted(self._cited.values()):
            self._fault(f"Entry {index} cites a signed record of {computer} that is not there.")
        return self._faults

    def _bind(self, row: LogRow) -> None:
        try:
            details = json.loads(row.details)
            computer_id, key = str(details["computer_id"]), str(details["receipt_key"])
        except (ValueError, KeyError, TypeError):
            self._fault(f"Entry {row.index} binds a receipt key that cannot be read.")
            return
        if self._keys.setdefault(computer_id, key) != key:
            self._fault(f"Entry {row.index} binds a second receipt key to the computer {computer_id}.")
        self._names[str(row.computer)] = computer_id

    def _check(self, record: SignedRecord) -> None:
        digest = hashlib.sha256(record.payload)
        self._cited.pop(digest.digest(), None)
        before, self._before = self._before, (record.computer_id, record.number, digest.hexdigest())
        at = f"Signed record {record.number} of {record.computer_id}"
        try:
            signed = read_signed(record.payload)
        except FormatError as error:
            self._fault(f"{at} cannot be read: it {error}.")
            return
        if (signed.computer_id, signed.number) != (record.computer_id, record.number):
            self._fault(f"{at} says that it is record {signed.number} of {signed.computer_id}.")
        self._check_signature(at, record)
        self._check_place(at, record, signed.previous_sha256, before)

    def _check_signature(self, at: str, record: SignedRecord) -> None:
        key = self._keys.get(record.computer_id)
        if key is None:
            self.unproven += 1
        elif self._verify(key, PREFIX + record.payload, record.signature):
            self.checked += 1
        else:
            self._fault(f"{at} is not signed by the receipt key that the log bound to that computer.")

    def _check_place(self, at: str, record: SignedRecord, follows: str, before: tuple[str, int, str]) -> None:
        computer, number, digest = before
        if computer != record.computer_id:
            if record.number == 1 and follows:
                self._fault(f"{at} is the first one and follows another.")
        elif record.number <= number:
            self._fault(f"{at} is there twice or out of order.")
        elif any(self._names.get(name) == record.computer_id for name in self._broken):
            return  # the log itself tells of the break
        elif record.number > number + 1:
            last = record.number - 1
            self._fault(f"Signed records {number + 1} to {last} of {record.computer_id} are missing.")
        elif follows != digest:
            self._fault(f"{at} does not follow record {number}.")

    def _fault(self, sentence: str) -> None:
        if len(self._faults) < FAULTS_MAX:
            self._faults.append(sentence.encode("utf-8", "backslashreplace").decode())
