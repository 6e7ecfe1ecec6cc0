"""The repositories of the SOP's practice: known computers, training, reviews, feedback. Part of a unit of work."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from sopwith_controller.domain.practice_entities import Feedback, KnownComputer, ReviewMark, SopReview, TrainingRecord

T = TypeVar("T")


class Kept(Protocol[T]):
    """Records of one kind, few enough to be read together."""

    async def get(self, key: str) -> T | None:
        """Return the one under this id (of a known computer: its name)."""
        ...

    async def all(self) -> Sequence[T]:
        """Return all by id (known computers: by name)."""
        ...

    async def put_all(self, many: Sequence[T]) -> None:
        """Insert or replace."""
        ...


class Practice(Protocol):
    """Everything that is kept of the SOP's practice."""

    @property
    def known_computers(self) -> Kept[KnownComputer]:
        """Return the company's own list."""
        ...

    @property
    def training(self) -> Kept[TrainingRecord]:
        """Return who was trained, and how."""
        ...

    @property
    def reviews(self) -> Kept[SopReview]:
        """Return reviews of SOPs."""
        ...

    @property
    def review_marks(self) -> Kept[ReviewMark]:
        """Return what triggers have seen."""
        ...

    @property
    def feedback(self) -> Kept[Feedback]:
        """Return what was said about clauses."""
        ...
