"""What the steps need to know and say about the trial of a new agent version.

The port names the two versions' words; what they mean is `domain.trial`'s, where they are written the adapter's.
"""

from typing import Protocol

from sopwith_agent.domain.trial import Trial


class Trials(Protocol):
    """The trial of a new version, as one of the two versions sees it."""

    def running_version(self) -> str:
        """Return the version that this process is, empty for an agent that cannot update itself."""
        ...

    def trial(self) -> Trial | None:
        """Return the trial that is written."""
        ...

    def connected(self) -> bool:
        """Tell whether the controller welcomed this process and the stream lives."""
        ...

    def confirm(self) -> None:
        """Write down that the new version stays."""
        ...

    def fall_back(self, why: str) -> None:
        """Write down that the new version goes back."""
        ...

    def hand_over(self) -> None:
        """End this process in order, for the other version to work."""
        ...


class NoTrials:
    """Of an agent that has no versions beside it, and so never tries one."""

    def running_version(self) -> str:
        """Return that there is none."""
        return ""

    def trial(self) -> Trial | None:
        """Return that there is none."""
        return None

    def connected(self) -> bool:
        """Return what nobody needs to know."""
        return False

    def confirm(self) -> None:
        """Confirm nothing."""

    def fall_back(self, why: str) -> None:
        """Take nothing back."""

    def hand_over(self) -> None:
        """Go on."""
