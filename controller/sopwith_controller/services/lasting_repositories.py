"""The repositories of what outlives a rollout: baselines, patch days, deviations, signed records of computers.

Part of a unit of work, like all others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sopwith_controller.domain.deviation import Deviation
from sopwith_controller.domain.lasting_entities import Baseline, Repetition
from sopwith_controller.domain.log_recovery import LogRecovery


class Baselines(Protocol):
    """What completed rollouts brought, and their audiences should have."""

    async def get(self, rollout_id: str) -> Baseline | None:
        """Return the baseline that a rollout made."""
        ...

    async def in_force(self) -> Sequence[Baseline]:
        """Return those that have not ended, oldest first."""
        ...

    async def put(self, baseline: Baseline) -> None:
        """Insert or replace."""
        ...


class Repetitions(Protocol):
    """Patch days."""

    async def get(self, repetition_id: str) -> Repetition | None:
        """Return one."""
        ...

    async def in_force(self) -> Sequence[Repetition]:
        """Return those that have not ended, by id."""
        ...

    async def put(self, repetition: Repetition) -> None:
        """Insert or replace."""
        ...


class Deviations(Protocol):
    """Exceptions to single gates."""

    async def get(self, deviation_id: str) -> Deviation | None:
        """Return one."""
        ...

    async def all(self) -> Sequence[Deviation]:
        """Return all, newest first."""
        ...

    async def unended(self) -> Sequence[Deviation]:
        """Return OPEN and APPROVED ones, newest first."""
        ...

    async def put(self, deviation: Deviation) -> None:
        """Insert or replace."""
        ...


@dataclass(frozen=True)
class ReceiptRow:
    """One signed record of a computer, byte for byte as it came; its signature was verified."""

    computer_id: str
    number: int
    kind: str
    """STARTED or ENDED."""
    sha256: str
    """Of the payload."""
    payload: bytes
    signature: bytes
    received_time: datetime


class Receipts(Protocol):
    """Signed records of computers; append only."""

    async def digests(self, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], str]:
        """Return what is recorded under these computers' numbers."""
        ...

    async def add_all(self, rows: Sequence[ReceiptRow]) -> None:
        """Insert many; a computer and number that is there already is an error."""
        ...

    async def after(self, place: tuple[str, int], limit: int) -> Sequence[ReceiptRow]:
        """Return the records behind a computer's number, by computer and number; ("", 0) for the beginning."""
        ...


class Recoveries(Protocol):
    """Recoveries of the update log from a backup."""

    async def all(self) -> Sequence[LogRecovery]:
        """Return all, by the size that was kept."""
        ...

    async def put(self, recovery: LogRecovery) -> None:
        """Insert or replace."""
        ...
