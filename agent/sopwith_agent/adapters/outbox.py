"""The outbox: what the controller has to hear, kept until it says that it is durable there.

Decides numbers, order and keeping; how a message travels is the link's. Every message is one file, named by its
sequence number, that counts from 1 without gaps over the computer's whole life. Signed records (started records and
receipts) carry a number and the digest of the one before them, are signed when they are put in, and stay for 30 days
after they were acknowledged: a controller that was restored from a backup is sent again what it lacks, under the
records' own numbers and not under the messages', because these stay what they were.

Rules: a message is on disk before anybody counts on it; an acknowledgement is on disk before the files it covers go;
the numbers are found again from the files alone, whatever moment the power fails; the newest receipt is never removed,
so that the next one can name it; a file that cannot be read leaves its number to an empty message and a line in the
log, because a gap would hold back everything behind it; a state folder that is older than what the controller knows
gives what it holds new numbers, and never uses one twice.
"""

import base64
import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from sopwith_agent.adapters.receipt_chain import ReceiptChain, link_in, outcome_of, subject
from sopwith_agent.domain import limits
from sopwith_agent.domain.messages import Body, OutboxMessage
from sopwith_agent.domain.readiness import Reason
from sopwith_agent.domain.record import Record
from sopwith_formats import canonical_json
from sopwith_formats.durable import durable_move, durable_remove, durable_replace, make_private_folder, sweep
from sopwith_formats.errors import FormatError
from sopwith_formats.observation import Observation
from sopwith_formats.receipt import PREFIX, Receipt
from sopwith_formats.units import format_time
from sopwith_formats.vocabulary import AssignmentState

_log = structlog.get_logger()
_SUFFIX = ".json"
_ACKNOWLEDGED = "acknowledged"
_TAKEN_OVER = "taken_over"
"""A link that only the controller knows, in the folder of the kept receipts."""


class FileOutbox:
    """Messages below one private folder; safe to use from several threads of one process."""

    def __init__(self, folder: Path, sign: Callable[[bytes], bytes], now: Callable[[], datetime]) -> None:
        """Find the numbers again; `sign` signs receipts."""
        self._folder = folder
        self._receipts = folder / "receipts"
        self._sign_bytes = sign
        self._now = now
        self._lock = threading.Lock()
        make_private_folder(folder)
        make_private_folder(self._receipts)
        sweep(folder)
        sweep(self._receipts)
        self.changed: Callable[[], None] = lambda: None
        """Called after each new reliable message; set by whoever delivers."""
        self.passing: Callable[[OutboxMessage], None] = lambda _message: None
        """Called with messages that may be lost; set by whoever delivers."""
        self._acknowledged = self._read_acknowledged()
        pending = self._sequences()
        self._newest = max([self._acknowledged, *pending])
        self._pending_receipts: dict[int, int] = {}
        """Number of a signed record to the sequence under which it waits; the others are acknowledged."""
        self._chain = self._find_chain(pending)
        for sequence in [number for number in pending if number <= self._acknowledged]:
            self._settle(sequence)

    @property
    def first_unacknowledged(self) -> int:
        """Return the lowest sequence that is still held; 0 when none is."""
        with self._lock:
            return self._acknowledged + 1 if self._newest > self._acknowledged else 0

    def entered(self, record: Record, reasons: Sequence[Reason] = (), next_try_time: datetime | None = None) -> None:
        """Tell that an assignment entered its state or waits in it."""
        body = _progress(record)
        body["reasons"] = [{"code": r.code, "message": r.message, "remedy": r.remedy} for r in reasons]
        body["next_try_time"] = format_time(next_try_time) if next_try_time else ""
        self.put("progress", body)

    def advanced(self, record: Record, percent: int) -> None:
        """Tell how far the state is; lost when nobody listens."""
        self.passing(OutboxMessage(0, "progress", {**_progress(record), "percent": percent}))

    def started(self, receipt: Receipt) -> None:
        """Keep a started record, numbered, chained and signed; a second one of the same start is dropped."""
        self._sign(receipt)

    def ended(self, receipt: Receipt) -> None:
        """Keep a receipt, numbered, chained and signed; a second one for assignment and generation is dropped."""
        self._sign(receipt)

    def observed(self, observation: Observation) -> None:
        """Keep an observation, numbered, chained and signed; a second one with its mark is dropped."""
        self._sign(observation)

    def _sign(self, receipt: Receipt | Observation) -> None:
        with self._lock:
            if self._chain.number_of(subject(receipt)):
                return
            newest = self._chain.newest
            payload = replace(receipt, number=newest.number + 1, previous_sha256=newest.sha256).payload()
            signature = self._sign_bytes(PREFIX + payload)
            self._put("receipt", {"payload": payload.decode(), "signature": base64.b64encode(signature).decode()})
        self.changed()

    @property
    def newest_receipt(self) -> tuple[int, str]:
        """Return number and digest of the newest signed record; 0 and nothing before the first."""
        with self._lock:
            newest = self._chain.newest
            return newest.number, newest.sha256

    def lacking(self, newest: tuple[int, str] | None) -> list[int]:
        """Return the numbers of acknowledged records behind what the controller says it has, in order.

        None is the word of a controller that does not say; it is sent nothing again.
        """
        if newest is None:
            return []
        with self._lock:
            self._chain.agree(*newest)
            found = [number for number in self._chain.lacking(newest[0]) if number not in self._pending_receipts]
        if found:
            _log.warning("receipts_sent_again", count=len(found), first=found[0])
        return found

    def again(self, number: int) -> OutboxMessage | None:
        """Return an acknowledged record, to be sent once more outside the sequence; None when it is gone."""
        message = self._read(self._kept_path(number), 0)
        return replace(message, kind="receipt_again") if message else None

    def repeat_receipt(self, assignment_id: str, generation: int) -> bool:
        """Send an acknowledged receipt that is still kept once more; tell whether there was one."""
        with self._lock:
            number = self._chain.number_of(outcome_of(assignment_id, generation))
            message = (
                self._read(self._kept_path(number), 0) if number and number not in self._pending_receipts else None
            )
            if message is None:
                return False
            self._put(message.kind, message.body)
        self.changed()
        return True

    def put(self, kind: str, body: Body) -> int:
        """Keep a message until it is acknowledged and return its sequence; raise OSError when the disk refuses."""
        with self._lock:
            sequence = self._put(kind, body)
        self.changed()
        return sequence

    def after(self, sequence: int, count_max: int = 100) -> list[OutboxMessage]:
        """Return the next unacknowledged messages behind a sequence, in order."""
        with self._lock:
            first = max(sequence, self._acknowledged) + 1
            return [self._load(number) for number in range(first, min(self._newest, first + count_max - 1) + 1)]

    def acknowledge(self, sequence: int) -> None:
        """Let go of everything up to a sequence, because it is durable at the controller."""
        with self._lock:
            if sequence <= self._acknowledged:
                return
            settled = range(self._acknowledged + 1, min(sequence, self._newest) + 1)
            if sequence > self._newest:
                self._renumber(sequence)
            durable_replace(self._folder / _ACKNOWLEDGED, str(sequence).encode(), 0o600)
            self._acknowledged = sequence
            for number in settled:
                if self._path(number).exists():
                    self._settle(number)
        self._forget_old_receipts()

    def _renumber(self, sequence: int) -> None:
        """Put what is held behind a number that the controller knows and this folder does not."""
        _log.error("outbox_behind_controller", newest=self._newest, acknowledged=sequence)
        held = [self._load(number) for number in range(self._acknowledged + 1, self._newest + 1)]
        self._newest = sequence
        for message in held:
            if message.kind:
                self._put(message.kind, message.body)

    def _put(self, kind: str, body: Body) -> int:
        sequence = self._newest + 1
        document = {"kind": kind, "kept_time": format_time(self._now()), "body": body}
        durable_replace(self._path(sequence), canonical_json.encode(document), 0o600)
        self._newest = sequence
        self._know(OutboxMessage(sequence, kind, body))
        return sequence

    def _know(self, message: OutboxMessage) -> None:
        """Know the signed record of a waiting message."""
        link = link_in(message)
        if link is not None:
            self._chain.add(link)
            self._pending_receipts[link.number] = message.sequence

    def _settle(self, sequence: int) -> None:
        """Move an acknowledged receipt to the kept ones; drop any other message."""
        path = self._path(sequence)
        link = link_in(self._load(sequence))
        if link:
            os.utime(path)  # the days are counted from now
            durable_move(path, self._kept_path(link.number))
            if self._pending_receipts.get(link.number, 0) <= sequence:
                self._pending_receipts.pop(link.number, None)
        else:
            durable_remove(path)

    def _load(self, sequence: int) -> OutboxMessage:
        message = self._read(self._path(sequence), sequence)
        return message or OutboxMessage(sequence, "", {})

    def _read(self, path: Path, sequence: int) -> OutboxMessage | None:
        try:
            document = canonical_json.decode(path.read_bytes(), size_max=limits.outbox_message_max_bytes)
            return OutboxMessage(sequence, str(document["kind"]), dict(document["body"]))
        except (OSError, FormatError, KeyError, TypeError, ValueError) as error:
            _log.error("outbox_message_broken", path=str(path), error=str(error))
            return None

    def _find_chain(self, pending: list[int]) -> ReceiptChain:
        """Know every signed record again, from the files alone."""
        self._chain = ReceiptChain(self._receipts / _TAKEN_OVER)
        for number in _numbers(self._receipts):
            message = self._read(self._kept_path(number), 0)
            link = link_in(message) if message else None
            if link is not None:
                self._chain.add(link)
        for sequence in pending:
            self._know(self._load(sequence))
        return self._chain

    def _forget_old_receipts(self) -> None:
        """Drop kept receipts after their time; the newest stays, for the next one to name."""
        before = self._now() - timedelta(days=limits.receipts_kept_days)
        for number in _numbers(self._receipts)[:-1]:
            path = self._kept_path(number)
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < before.timestamp():
                    durable_remove(path)
                    with self._lock:
                        self._chain.forget(number)

    def _read_acknowledged(self) -> int:
        try:
            return int((self._folder / _ACKNOWLEDGED).read_bytes())
        except FileNotFoundError:
            return 0
        except ValueError:
            _log.error("outbox_acknowledged_broken")
            return max(min(self._sequences(), default=1) - 1, 0)

    def _sequences(self) -> list[int]:
        return _numbers(self._folder)

    def _path(self, sequence: int) -> Path:
        return self._folder / f"{sequence:012}{_SUFFIX}"

    def _kept_path(self, number: int) -> Path:
        return self._receipts / f"{number:012}{_SUFFIX}"


def _numbers(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.glob(f"*{_SUFFIX}") if path.stem.isdigit())


def _progress(record: Record) -> Body:
    return {
        "assignment_id": record.warrant.assignment_id,
        "state": record.state.value,
        "percent": 0,
        "symptom": record.symptom,
        "detail": record.detail,
        "attempts": record.attempts,
        "entered_time": format_time(record.entered_time),
        "version_before": record.version_before,
        "reboot": _reboot_wish(record),
    }


def _reboot_wish(record: Record) -> Body | None:
    going_back = record.state is AssignmentState.ROLLING_BACK and record.way_back_boot_id
    if record.state not in {AssignmentState.AWAITING_REBOOT, AssignmentState.REBOOTING} and not going_back:
        return None
    return {
        "wanted": record.reboot_wanted,
        "forced": record.reboot_forced,
        "asked_time": format_time(record.reboot_asked_time or record.entered_time),
        "deferrals": record.reboot_deferrals,
    }
