"""What the steps need of whoever watches the package tools of this computer."""

from typing import Protocol


class PackageWatch(Protocol):
    """Reports package changes that others made, each once, and tells them from the agent's own."""

    def look(self) -> None:
        """Report what others changed since the last look; never called while an own change is under way."""
        ...

    def begin_own(self) -> None:
        """Report what others changed until now; from here on changes are the agent's own, also over a crash."""
        ...

    def end_own(self) -> None:
        """Take what changed since `begin_own` as the agent's own."""
        ...


class NoPackageWatch:
    """Watches nothing."""

    def look(self) -> None:
        """Report nothing."""

    def begin_own(self) -> None:
        """Note nothing."""

    def end_own(self) -> None:
        """Take nothing."""
