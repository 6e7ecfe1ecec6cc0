"""The observation: what an agent signs about package changes that it did not make, by hand or by other programs.

It stands in the same chain as started records and receipts (`receipt.py`): the payload is canonical JSON with exactly
these keys, numbered, carrying the digest of the record before it, signed over `receipt.PREFIX + payload`. `read_signed`
reads whatever stands in the chain.
"""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from sopwith_formats import canonical_json
from sopwith_formats.errors import FormatError
from sopwith_formats.receipt import Receipt, read_receipt
from sopwith_formats.units import format_time, parse_time

FORMAT = 2
KIND = "OBSERVED"
SIZE_MAX_BYTES = 512 * 2**10


class ChangeAction(StrEnum):
    """What happened to a package."""

    INSTALLED = "INSTALLED"
    CHANGED = "CHANGED"
    """To another version, up or down."""
    REMOVED = "REMOVED"
    UNFINISHED = "UNFINISHED"
    """Begun and never brought to its end."""


@dataclass(frozen=True)
class PackageChange:
    """One package that somebody else changed."""

    tool: str
    """dpkg or rpm: whose log or database says so."""
    action: str
    package: str
    architecture: str
    version_before: str
    """Empty where it was not installed, or nobody knows."""
    version_after: str
    """Empty where it is not installed now, or not whole."""
    time: datetime
    """As the tool says; when it was noticed where the tool says nothing."""


@dataclass(frozen=True)
class Observation:
    """Some changes, in the order in which they were made."""

    number: int
    previous_sha256: str
    computer_id: str
    mark: str
    """The same for the same changes: whoever reads them twice signs them once."""
    changes: tuple[PackageChange, ...]
    left_out: int
    """Further changes at that time that were too many to list."""
    gap: str
    """Why changes may be missing, in a sentence; empty where none are."""
    observed_time: datetime
    boot_id: str
    boot_seconds: int
    utc_offset_seconds: int
    kind: str = KIND

    def payload(self) -> bytes:
        """Return the canonical bytes that are signed."""
        document = asdict(self)
        document["observed_time"] = format_time(self.observed_time)
        document["changes"] = [change_document(change) for change in self.changes]
        return canonical_json.encode({"format": FORMAT, **document})


def change_document(change: PackageChange) -> dict[str, str]:
    """Return a change as JSON has it."""
    return {**asdict(change), "time": format_time(change.time)}


def read_change(document: object) -> PackageChange:
    """Return the change of a JSON document; raise FormatError."""
    if not isinstance(document, dict) or document.keys() != PackageChange.__dataclass_fields__.keys():
        raise FormatError("is no package change")
    if not all(isinstance(value, str) for value in document.values()) or document["action"] not in set(ChangeAction):
        raise FormatError("is no package change")
    return PackageChange(**{**document, "time": parse_time(document["time"])})


def read_observation(payload: bytes) -> Observation:
    """Return the observation of signed bytes; raise FormatError when a key or a value breaks the format."""
    document = canonical_json.decode_canonical(payload, size_max=SIZE_MAX_BYTES)
    if not isinstance(document, dict) or document.pop("format", None) != FORMAT:
        raise FormatError("is no observation of a known format")
    if document.keys() != Observation.__dataclass_fields__.keys() or document["kind"] != KIND:
        raise FormatError("is no observation")
    integers = {"number", "left_out", "boot_seconds", "utc_offset_seconds"}
    for key, value in document.items():
        wanted = int if key in integers else list if key == "changes" else str
        if type(value) is not wanted:
            raise FormatError(f"has a value of type {type(value).__name__}", where=key)
    document["changes"] = tuple(read_change(change) for change in document["changes"])
    document["observed_time"] = parse_time(document["observed_time"])
    return Observation(**document)


def read_signed(payload: bytes) -> Receipt | Observation:
    """Return what stands in a computer's chain; raise FormatError for what does not belong there."""
    document = canonical_json.decode_canonical(payload, size_max=SIZE_MAX_BYTES)
    if isinstance(document, dict) and document.get("kind") == KIND:
        return read_observation(payload)
    return read_receipt(payload)
