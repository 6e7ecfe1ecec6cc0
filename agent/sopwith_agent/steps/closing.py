"""How an assignment ends: the outcome is kept, then its receipt is made, once, and what it needed is cleared away.

Decides what a receipt says, and what the started record says before it. Rules: the record with its outcome is durable
before the receipt is handed to the outbox, so that a restart in between makes the same receipt and not a second one;
the version after is read back from the computer; clearing away comes before the record says that all is done, so that
a restart in between clears away too, and its failure changes nothing.
"""

import contextlib
import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

import structlog

from sopwith_agent.domain.record import Record
from sopwith_agent.steps.workbench import Workbench
from sopwith_formats.manifest import read_manifest
from sopwith_formats.receipt import Receipt, ReceiptKind

_log = structlog.get_logger()


def end(record: Record, bench: Workbench) -> Record:
    """Keep an ended record, report it and clear away; raise JournalError or OSError to be called again."""
    record = replace(
        record,
        version_after=_read_back(record, bench),
        ended_boot_id=bench.clock.boot_id(),
        ended_boot_seconds=bench.clock.boot_seconds(),
        ended_utc_offset_seconds=bench.clock.utc_offset_seconds(),
    )
    bench.journal.save(record)
    return report(record, bench)


def report(record: Record, bench: Workbench) -> Record:
    """Hand the receipt of an ended record to the outbox, and clear away."""
    warrant = record.warrant
    bench.outbox.ended(receipt_of(record, bench.computer_id()))
    shutil.rmtree(bench.folder(record), ignore_errors=True)
    bench.orders.forget(warrant.assignment_id)
    bench.people.forget(warrant.assignment_id)
    record = replace(record, reported=True)
    bench.journal.save(record)
    _log.info(
        "assignment_ended",
        assignment=warrant.assignment_id,
        release=f"{warrant.release}@{warrant.version}",
        outcome=record.outcome,
        symptom=record.symptom,
        detail=record.detail,
    )
    return record


def clear_strangers(records: Iterable[Record], bench: Workbench) -> None:
    """Remove staged files that belong to none of the unfinished records: nobody else would ever do it."""
    known = {bench.folder(record).name for record in records}
    with contextlib.suppress(OSError):
        for folder in bench.staging.iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)


def started_record(record: Record, bench: Workbench) -> Receipt:
    """Return what is signed before the computer is touched: no outcome yet, and the clocks of now."""
    return replace(
        receipt_of(record, bench.computer_id()),
        kind=ReceiptKind.STARTED.value,
        boot_id=bench.clock.boot_id(),
        boot_seconds=bench.clock.boot_seconds(),
        utc_offset_seconds=bench.clock.utc_offset_seconds(),
    )


def receipt_of(record: Record, computer_id: str) -> Receipt:
    """Return the receipt of an ended record; number and chain are the outbox's."""
    warrant = record.warrant
    return Receipt(
        number=0,
        previous_sha256="",
        assignment_id=warrant.assignment_id,
        generation=warrant.generation,
        rollout_id=warrant.rollout_id,
        computer_id=computer_id,
        release=warrant.release,
        version=warrant.version,
        manifest_sha256=warrant.manifest_sha256,
        warrant_sha256=hashlib.sha256(record.warrant_payload.encode()).hexdigest(),
        sop_id=warrant.sop_id,
        sop_revision=warrant.sop_revision,
        policy_sha256=warrant.policy_sha256,
        outcome=record.outcome,
        symptom=record.symptom,
        detail=record.detail,
        version_before=record.version_before,
        version_after=record.version_after,
        attempts=record.attempts,
        commits=record.commits,
        started_time=record.started_time,
        ended_time=_ended(record),
        boot_id=record.ended_boot_id,
        boot_seconds=record.ended_boot_seconds,
        steps=tuple(step.as_text() for step in record.steps),
        decisions=record.decisions,
        utc_offset_seconds=record.ended_utc_offset_seconds,
    )


def _ended(record: Record) -> datetime:
    return record.ended_time or record.entered_time


def _read_back(record: Record, bench: Workbench) -> str:
    """Return the installed version; what cannot be read back is told as what was known before."""
    if not record.manifest_json:
        return record.version_before
    try:
        return bench.installed_version(read_manifest(record.manifest_json.encode()))
    except Exception:  # noqa: BLE001  an outcome is owed whatever the package tool says
        _log.exception("version_read_back_failed", assignment=record.warrant.assignment_id)
        return record.version_before
