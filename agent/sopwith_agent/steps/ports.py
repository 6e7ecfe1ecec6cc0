"""What the steps need from the rest of the agent; installers, sensors and health checks have port modules of their own.

Steps are synchronous functions run in one worker thread: an agent does one thing at a time to its computer. The session
(asyncio) hands them warrants and withdrawals and delivers what the outbox holds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from sopwith_agent.domain.readiness import Reason
from sopwith_agent.domain.record import Record
from sopwith_formats.manifest import Manifest
from sopwith_formats.plan_approval import PlanApproval
from sopwith_formats.receipt import Receipt


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

    def fleet_now(self) -> datetime:
        """Return the controller's time as well as it is known, for leases and deadlines; before contact our own."""
        ...

    def controller_ahead_seconds(self) -> int | None:
        """Return the controller's clock minus ours; None before the first contact."""
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

    def timestamp_ends(self) -> datetime | None:
        """Return when the timestamp of the last refresh ends; None before the first."""
        ...

    def manifest(self, name: str, version: str) -> bytes:
        """Return the verified release.json of a release that the source lists."""
        ...

    def download(
        self, target: str, into: Path, progress: Callable[[int, int], None], cancelled: Callable[[], bool]
    ) -> StagedFile:
        """Fetch one target into a folder, resuming; call progress(bytes so far, bytes in all)."""
        ...


class Journal(Protocol):
    """Where the state of every assignment stands, written before anything acts on it.

    Methods raise `JournalError` (domain.errors) when the disk does not take or give a record.
    """

    def save(self, record: Record) -> None:
        """Make the record durable in place of the assignment's older one."""
        ...

    def load(self, assignment_id: str) -> Record | None:
        """Return the assignment's record, None when there is none."""
        ...

    def records(self) -> list[Record]:
        """Return every readable record, oldest first."""
        ...


class Outbox(Protocol):
    """Where steps tell what happened; durable before it returns, delivered later in order, at least once."""

    def entered(self, record: Record, reasons: Sequence[Reason] = (), next_try_time: datetime | None = None) -> None:
        """Tell that an assignment entered its state or waits in it; raise OSError when the disk does not take it."""
        ...

    def advanced(self, record: Record, percent: int) -> None:
        """Tell how far the state is; may be lost."""
        ...

    def started(self, receipt: Receipt) -> None:
        """Keep a started record, numbered, chained and signed; raise OSError when the disk does not take it."""
        ...

    def ended(self, receipt: Receipt) -> None:
        """Keep a receipt, numbered, chained and signed; a second one for assignment and generation is dropped."""
        ...

    def repeat_receipt(self, assignment_id: str, generation: int) -> bool:
        """Send an acknowledged receipt that is still kept once more; tell whether there was one."""
        ...


class WarrantKeys(Protocol):
    """The public keys whose warrants this computer obeys."""

    def verify(self, signed: bytes, signature: bytes) -> bool:
        """Tell whether one of the trusted keys signed these bytes."""
        ...


class ApprovalProof(Protocol):
    """Proves who approved a plan, by the authorities that this computer pinned."""

    def approver(self, envelope_json: str, certificate_pem: str) -> tuple[str, PlanApproval]:
        """Return the id of the person who signed, and what they approved; raise TrustError where that is not proved."""
        ...


class HeldPolicies(Protocol):
    """Remembers which policies of the SOP this computer was told of."""

    def digests(self, sop_id: str) -> dict[int, str]:
        """Return revision to policy digest of a SOP; empty where none was told."""
        ...


class Register(Protocol):
    """Remembers which releases were brought to this computer, so that they can be read back and compared."""

    def remember(self, manifest: Manifest) -> None:
        """Keep the manifest of the release that runs now, in place of an older version's."""
        ...

    def forget(self, name: str) -> None:
        """Forget a release that runs no more."""
        ...

    def manifest(self, name: str) -> Manifest | None:
        """Return the manifest of the version that was brought last, None for a release that never was."""
        ...

    def manifests(self) -> list[Manifest]:
        """Return all of them, by name."""
        ...


class Power(Protocol):
    """Reboots the computer, where that is this agent's to do."""

    def reboot_pending(self) -> bool:
        """Tell whether the computer asks for a reboot."""
        ...

    def may_reboot(self) -> bool:
        """Tell whether the agent may reboot this computer by itself."""
        ...

    def reboot(self) -> None:
        """Start the reboot; raise StepError when that fails."""
        ...
