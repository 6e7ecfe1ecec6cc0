"""The update log as use cases see it: what is appended and read, who tells that it grew, who signs it."""

from collections.abc import Sequence
from typing import Protocol

from sopwith_controller.domain.entities import LogDraft
from sopwith_formats.log_entry import LogRow
from sopwith_formats.merkle import TreeNode


class UpdateLog(Protocol):
    """The append-only, verifiable record. What is read is as it lies in the store, nothing is cached."""

    async def append(self, draft: LogDraft) -> int:
        """Append one entry in this transaction; return its index. It is recorded with the database's clock."""
        ...

    async def size(self) -> int:
        """Return the number of entries."""
        ...

    async def entries(self, start: int, limit: int, *, rollout: str = "", computer: str = "") -> Sequence[LogRow]:
        """Return entries from an index on, in order; only those of a rollout id or a computer's name where given."""
        ...

    async def nodes(self, after: tuple[int, int] | None, limit: int) -> Sequence[TreeNode]:
        """Return stored tree nodes after (level, index), None for the beginning, in that order."""
        ...

    async def checkpoints(self) -> Sequence[str]:
        """Return the stored signed checkpoints, smallest first."""
        ...

    async def newest_checkpoint(self) -> str:
        """Return the signed checkpoint of the largest size; empty before the first, or where no log key is set."""
        ...

    async def consistency_proof(self, old: int, new: int) -> Sequence[bytes]:
        """Return the hashes that prove that the log of `new` entries begins with that of `old` (RFC 6962)."""
        ...

    async def inclusion_proof(self, index: int, size: int) -> Sequence[bytes]:
        """Return the hashes that prove that an entry is in the log of `size` entries (RFC 6962)."""
        ...


class LogGrowth(Protocol):
    """Tells when the update log may have grown."""

    async def wait_for_growth(self, timeout_seconds: float) -> None:
        """Return when entries were committed, or after the timeout."""
        ...


class PublishedCheckpoints(Protocol):
    """Checkpoints that were published outside the database."""

    def all(self) -> Sequence[str]:
        """Return the notes as they lie there, also what is no note."""
        ...


class LogSigner(Protocol):
    """Signs what the update log is at a size, with the log key."""

    def sign(self, size: int, root: bytes) -> str:
        """Return the signed checkpoint, C2SP form."""
        ...
