"""The receipt: what an agent signs about how an assignment ended on its computer.

The payload is canonical JSON with exactly these keys, signed (ECDSA P-256 over SHA-256) over `PREFIX + payload` by the
receipt key that the agent made at enrolment. Each receipt carries the digest of the one before it, so that a missing
one shows.
"""

from dataclasses import asdict, dataclass
from datetime import datetime

from sopwith_formats import canonical_json
from sopwith_formats.errors import FormatError
from sopwith_formats.units import format_time, parse_time
from sopwith_formats.vocabulary import Outcome, Symptom

FORMAT = 1
PREFIX = b"sopwith-receipt-v1\n"


@dataclass(frozen=True)
class Receipt:
    """One assignment's end. Times are UTC by the computer's clock; `boot_seconds` are by its monotonic one."""

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
    boot_id: str
    boot_seconds: int
    steps: tuple[dict[str, str], ...]
    """One per step taken, in order: {"step", "time", "result", "detail"}, all text."""
    utc_offset_seconds: int
    """The computer's own offset from UTC at the end, for local times in the log."""

    def payload(self) -> bytes:
        """Return the canonical bytes that are signed."""
        document = asdict(self)
        document["started_time"] = format_time(self.started_time)
        document["ended_time"] = format_time(self.ended_time)
        document["steps"] = list(self.steps)
        return canonical_json.encode({"format": FORMAT, **document})


def read_receipt(payload: bytes) -> Receipt:
    """Return the receipt of signed bytes; raise FormatError when a key or a value breaks the format."""
    document = canonical_json.decode_canonical(payload, size_max=512 * 2**10)
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise FormatError("is no receipt of a known format")
    fields = Receipt.__dataclass_fields__
    if document.keys() != fields.keys():
        raise FormatError(f"lacks or adds the keys {', '.join(sorted(document.keys() ^ fields.keys()))}")
    integers = {"number", "generation", "sop_revision", "attempts", "commits", "boot_seconds", "utc_offset_seconds"}
    for key, value in document.items():
        wanted = int if key in integers else list if key == "steps" else str
        if type(value) is not wanted:
            raise FormatError(f"has a value of type {type(value).__name__}", where=key)
    if document["outcome"] not in set(Outcome) or document["symptom"] not in {"", *Symptom}:
        raise FormatError("names an unknown outcome or symptom", where="outcome")
    for index, step in enumerate(document["steps"]):
        if not isinstance(step, dict) or not all(isinstance(value, str) for value in step.values()):
            raise FormatError("is no step", where=f"steps[{index}]")
    document["steps"] = tuple(document["steps"])
    document["started_time"] = parse_time(document["started_time"])
    document["ended_time"] = parse_time(document["ended_time"])
    return Receipt(**document)
