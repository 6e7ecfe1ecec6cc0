"""What the steps need from the rest of the agent; installers and sensors have port modules of their own.

Steps are synchronous functions run in one worker thread: an agent does one thing at a time to its computer. The session
(asyncio) hands them warrants and withdrawals and carries their events to the outbox.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


class Clock(Protocol):
    """Tells times; the only place that asks for them."""

    def now(self) -> datetime:
        """Return wall-clock time, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for time limits."""
        ...

    def boot_seconds(self) -> int:
        """Return whole seconds since the computer booted."""
        ...

    def boot_id(self) -> str:
        """Return the kernel's boot id."""
        ...

    def utc_offset_seconds(self) -> int:
        """Return the computer's own offset from UTC now."""
        ...


@dataclass(frozen=True)
class StagedFile:
    """One verified update file in the private staging folder."""

    file: str
    path: Path
    length: int
    sha256: str


class Source(Protocol):
    """The designated source: what it says is verified by TUF, not by trust in the controller.

    Every method raises `StepError` (domain.errors) with the symptom: NET_SOURCE_UNREACHABLE, SOURCE_NOT_DESIGNATED,
    METADATA_EXPIRED, METADATA_ROLLBACK, SIGNATURE_INVALID, NOT_AUTHORISED_BY_SOURCE, DOWNLOAD_DIGEST_MISMATCH or
    DISK_FULL.
    """

    def root_sha256(self) -> str:
        """Return the digest of the trusted root, empty before designation."""
        ...

    def refresh(self) -> None:
        """Fetch and verify fresh metadata."""
        ...

    def manifest(self, name: str, version: str) -> bytes:
        """Return the verified release.json of a release that the source lists."""
        ...

    def download(
        self, target: str, into: Path, progress: Callable[[int, int], None], cancelled: Callable[[], bool]
    ) -> StagedFile:
        """Fetch one target into a folder, resuming; call progress(bytes so far, bytes in all)."""
        ...


class EventSink(Protocol):
    """Where steps tell what happened; durable before it returns, delivered later, at least once."""

    def progress(
        self,
        assignment_id: str,
        state: str,
        *,
        percent: int = 0,
        symptom: str = "",
        detail: str = "",
    ) -> None:
        """Tell that an assignment entered a state or how far it is."""
        ...
