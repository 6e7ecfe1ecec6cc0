"""Recoveries of the update log: from which size it went on anew, and which memories of computers that explains.

A log that was restored from a backup is shorter than what was signed once. The entry LOG_RECOVERED stands at the index
where the old log went on otherwise: whoever remembers more than that many entries remembers entries that are lost. This
module decides what a memory means; that a log was recovered is decided by people, once, with a reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class LogRecovery:
    """One recovery."""

    size: int
    """Entries that were kept; the entry LOG_RECOVERED has this index."""
    root: str
    """Root over them, 64 hexadecimal digits."""
    operator: str
    reason: str
    backup_sha256: str
    backup_time: datetime
    recovered_time: datetime
    witnessed_size: int
    """Entries of the longest log that a computer remembers beyond it; `size` while none does."""


def recovery_of(recoveries: Sequence[LogRecovery], remembered_size: int) -> LogRecovery | None:
    """Return the newest recovery that left a log of more entries than it kept, as this memory is one; None for none."""
    left = [one for one in recoveries if one.size < remembered_size]
    return max(left, key=lambda one: one.recovered_time, default=None)
