"""Verifying an exported update log on a person's own machine, with keys that this person got by another way.

This module decides what an export is held against; what a fault is, is `sopwith_formats.log_verification`'s, the same
rules as on the controller. Rules: without a key and without a checkpoint the answer is about consistency only, and says
so; a key that came inside the file is never used; a checkpoint of one's own must be contained in the export.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from sopwith.v1 import update_log_service_pb2
from sopwith_certs import signing
from sopwith_certs.log_key import verify
from sopwith_controller.desk.errors import DeskError
from sopwith_formats.checkpoint import VerifierKey, read_checkpoint, read_verifier_key
from sopwith_formats.errors import FormatError
from sopwith_formats.log_export import LogExport
from sopwith_formats.log_verification import LogVerification, Verdict
from sopwith_formats.receipt_verification import ReceiptVerification

T = TypeVar("T")
_BATCH = 5000


@dataclass(frozen=True)
class Finding:
    """What a verification on this machine found."""

    verdict: Verdict
    log_key: str
    """Name of the key that proved the origin; empty when it is not proven."""
    root_at_checkpoint: bytes
    """Recomputed root at the size that was asked for, empty when none was."""
    records_proven: int = 0
    """Signed records of computers whose signature and place were proven."""
    records_unproven: int = 0
    """Signed records of computers whose receipt key the log does not hold."""

    @property
    def conclusion(self) -> str:
        """Return the answer in words."""
        if self.verdict.faults:
            count = len(self.verdict.faults)
            return f"NOT WHOLE: {count} {'fault' if count == 1 else 'faults'} in {self.verdict.size} entries"
        proven = f"origin proven by log key {self.log_key}" if self.log_key else "origin not proven"
        records = f", {self.records_proven} signed records" if self.records_proven else ""
        unproven = f", {self.records_unproven} without a key in the log" if self.records_unproven else ""
        return f"consistent, {proven}: {self.verdict.size} entries{records}{unproven}"


def verify_export(
    path: Path, *, key: VerifierKey | None = None, checkpoint: str = "", root_wanted_at: int | None = None
) -> Finding:
    """Return what is found; raise FormatError when the file is no export, OSError when it cannot be read."""
    work, signed = LogVerification(), ReceiptVerification(_receipt_holds)
    with LogExport(path) as export:
        for rows in _batches(export.entries()):
            work.add_entries(rows)
            signed.add_entries(rows)
        for nodes in _batches(export.nodes()):
            work.add_nodes(nodes)
        signed.add_records(export.receipts())
        notes = list(dict.fromkeys([*export.checkpoints(), *([checkpoint] if checkpoint else [])]))
    for note in notes:
        work.add_checkpoint(note, key, verify)
    if key is not None and not notes:
        work.add_absence("No checkpoint in it proves the origin.")
    for fault in signed.faults():
        work.add_absence(fault)
    known = root_wanted_at is not None and root_wanted_at <= work.size
    root = work.root_at(root_wanted_at) if known and root_wanted_at is not None else b""
    verdict = work.verdict()
    name = key.name if key is not None and not verdict.faults else ""
    return Finding(verdict, name, root, signed.checked, signed.unproven)


def _receipt_holds(key: str, data: bytes, signature: bytes) -> bool:
    """Tell whether a signature fits a public key as the log holds it: base64 of its DER."""
    pem = f"-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n"
    try:
        return signing.verify(signing.read_public_key(pem.encode()), data, signature)
    except FormatError:
        return False


def told(reply: update_log_service_pb2.VerifyLogResponse) -> Finding:
    """Return what the controller says about itself; it proves nothing about the controller."""
    root = base64.b64decode(reply.root_hash)
    return Finding(Verdict(reply.size, root, tuple(reply.faults), reply.checkpoints, 0), "", root)


def read_log_key(text: str) -> VerifierKey:
    """Return the log key of its one-line form, or of a file that holds it; raise DeskError with the mend."""
    given = text
    if "+" not in text or Path(text).is_file():
        try:
            given = Path(text).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DeskError(
                f"{text} is neither a log key nor a file with one",
                remedy="give the line NAME+ID+KEY that `sopwith log checkpoint -o json` prints, or a file with it",
            ) from error
    try:
        return read_verifier_key(given)
    except FormatError as error:
        raise DeskError(f"{text[:120]} {error.message}", remedy=error.remedy) from error


def read_note(path: Path) -> str:
    """Return the checkpoint in a file; raise DeskError when it holds none."""
    try:
        text = path.read_text(encoding="utf-8")
        read_checkpoint(text)
    except UnicodeDecodeError as error:
        raise DeskError(f"{path} is no checkpoint", remedy="give the file that `log checkpoint` wrote") from error
    except FormatError as error:
        raise DeskError(f"{path} {error.message}", remedy=error.remedy) from error
    return text


def _batches(items: Iterator[T]) -> Iterator[list[T]]:
    while batch := list(islice(items, _BATCH)):
        yield batch
