"""The receipt: what an agent signs about an assignment on its computer, before it touches it and when it ended.

The payload is canonical JSON with exactly these keys, signed (ECDSA P-256 over SHA-256) over `PREFIX + payload` by the
receipt key that the agent made at enrolment. Started records and outcomes stand in one chain: each has the next number
and carries the digest of the one before it, so that a missing one shows. A started record carries what the computer's
own gates decided before it, a receipt what they decided since, or all of it where nothing was started; `policy_sha256`
says under which policy. Format 1 knew outcomes only, format 2 no decisions; both are still read.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sopwith_formats import canonical_json
from sopwith_formats.agent_decision import AgentDecision, read_decisions
from sopwith_formats.errors import FormatError
from sopwith_formats.units import format_time, parse_time
from sopwith_formats.vocabulary import Outcome, Symptom

FORMAT = 3
_FORMAT_WITHOUT_DECISIONS = 2
_FORMAT_WITHOUT_KIND = 1
_ADDED = ("kind", "decisions")
PREFIX = b"sopwith-receipt-v1\n"


class ReceiptKind(StrEnum):
    """What is signed."""

    STARTED = "STARTED"
    """The install begins; written down before anything of the computer is changed. It has no outcome."""
    ENDED = "ENDED"
    """The assignment has its outcome."""


@dataclass(frozen=True)
class Receipt:
    """What is signed. Times are UTC by the computer's wall clock; `boot_seconds` are by its monotonic one."""

    number: int
    """Counts this computer's receipts from 1 without gaps."""
    previous_sha256: str
    """Digest of the previous receipt's payload; empty in the first."""
    assignment_id: str
    generation: int
    rollout_id: str
    computer_id: str
    release: str
    version: str
    manifest_sha256: str
    warrant_sha256: str
    sop_id: str
    sop_revision: int
    policy_sha256: str
    outcome: str
    """Empty in a started record."""
    symptom: str
    """Empty where there is none."""
    detail: str
    """One sentence for people, at most 1,000 characters."""
    version_before: str
    version_after: str
    """As read back from the computer after the last step; empty when nothing is installed."""
    attempts: int
    commits: int
    """How often the installer's commit point was passed; at most 1 unless a rollback followed."""
    started_time: datetime
    ended_time: datetime
    """When the assignment ended; of a started record, when it entered INSTALLING."""
    boot_id: str
    boot_seconds: int
    steps: tuple[dict[str, str], ...]
    """One per step taken, in order: {"step", "time", "result", "detail"}, all text."""
    utc_offset_seconds: int
    """The computer's own offset from UTC then, for local times in the log."""
    kind: str = ReceiptKind.ENDED.value
    decisions: tuple[AgentDecision, ...] = ()
    """What the computer's gates decided, each at most once."""

    def payload(self) -> bytes:
        """Return the canonical bytes that are signed."""
        document = asdict(self)
        document["started_time"] = format_time(self.started_time)
        document["ended_time"] = format_time(self.ended_time)
        document["steps"] = list(self.steps)
        document["decisions"] = [one.as_text() for one in self.decisions]
        return canonical_json.encode({"format": FORMAT, **document})


def read_receipt(payload: bytes) -> Receipt:
    """Return the receipt of signed bytes; raise FormatError when a key or a value breaks the format."""
    document = _with_kind(canonical_json.decode_canonical(payload, size_max=512 * 2**10))
    fields = Receipt.__dataclass_fields__
    if document.keys() != fields.keys():
        raise FormatError(f"lacks or adds the keys {', '.join(sorted(document.keys() ^ fields.keys()))}")
    integers = {"number", "generation", "sop_revision", "attempts", "commits", "boot_seconds", "utc_offset_seconds"}
    for key, value in document.items():
        wanted = int if key in integers else list if key in {"steps", "decisions"} else str
        if type(value) is not wanted:
            raise FormatError(f"has a value of type {type(value).__name__}", where=key)
    _check_words(document)
    for index, step in enumerate(document["steps"]):
        if not isinstance(step, dict) or not all(isinstance(value, str) for value in step.values()):
            raise FormatError("is no step", where=f"steps[{index}]")
    document["steps"] = tuple(document["steps"])
    document["decisions"] = read_decisions(document["decisions"])
    document["started_time"] = parse_time(document["started_time"])
    document["ended_time"] = parse_time(document["ended_time"])
    return Receipt(**document)


def _with_kind(document: Any) -> dict[str, Any]:
    """Return the document's keys in the present form, without its format."""
    if isinstance(document, dict):
        written = document.pop("format", None)
        if type(written) is int and written == FORMAT:
            return document
        if type(written) is int and written == _FORMAT_WITHOUT_DECISIONS and "decisions" not in document:
            return {**document, "decisions": []}
        if type(written) is int and written == _FORMAT_WITHOUT_KIND and document.keys().isdisjoint(_ADDED):
            return {**document, "kind": ReceiptKind.ENDED.value, "decisions": []}
    raise FormatError("is no receipt of a known format")


def _check_words(document: dict[str, Any]) -> None:
    if document["kind"] not in set(ReceiptKind):
        raise FormatError("names an unknown kind", where="kind")
    outcomes = set(Outcome) if document["kind"] == ReceiptKind.ENDED else {""}
    if document["outcome"] not in outcomes or document["symptom"] not in {"", *Symptom}:
        raise FormatError("names an unknown outcome or symptom", where="outcome")
