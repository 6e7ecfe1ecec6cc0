"""The repositories of what outlives a rollout: baselines and patch days. Part of a unit of work, like all others."""

from collections.abc import Sequence
from typing import Protocol

from sopwith_controller.domain.deviation import Deviation
from sopwith_controller.domain.lasting_entities import Baseline, Repetition


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
