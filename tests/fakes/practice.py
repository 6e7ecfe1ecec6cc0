"""The SOP's practice without a disk: records of one kind each."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class FakeKept(Generic[T]):
    """Records under one attribute."""

    def __init__(self, shelf: Any, key: str) -> None:
        self._shelf = shelf
        self._key = key

    async def get(self, key: str) -> T | None:
        found: T | None = self._shelf.get(key)
        return found

    async def all(self) -> Sequence[T]:
        return sorted(self._shelf.all(), key=lambda one: str(getattr(one, self._key)))

    async def put_all(self, many: Sequence[T]) -> None:
        for one in many:
            self._shelf.put(getattr(one, self._key), one)


class FakePractice:
    """Everything that is kept of the SOP's practice."""

    def __init__(self, shelf: Callable[[str], Any]) -> None:
        self.known_computers: FakeKept[Any] = FakeKept(shelf("known_computers"), "name")
        self.training: FakeKept[Any] = FakeKept(shelf("training_records"), "id")
        self.reviews: FakeKept[Any] = FakeKept(shelf("sop_reviews"), "id")
        self.review_marks: FakeKept[Any] = FakeKept(shelf("review_marks"), "id")
        self.feedback: FakeKept[Any] = FakeKept(shelf("sop_feedback"), "id")
