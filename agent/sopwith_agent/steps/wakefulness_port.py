"""What the worker needs to keep the computer awake while it is being changed."""

from typing import Protocol


class Wakefulness(Protocol):
    """Keeps the computer from sleeping and from being switched off by its desktop."""

    def hold(self, why: str) -> str:
        """Keep it awake from now on; return in words for the record what came of it. Holding twice changes nothing."""
        ...

    def release(self) -> None:
        """Let it sleep again; without effect where nothing is held."""
        ...


class SleepsFreely:
    """For computers on which nobody can be asked."""

    def hold(self, why: str) -> str:
        """Hold nothing."""
        return "nobody on this computer can be asked to keep it awake"

    def release(self) -> None:
        """Hold nothing."""
