"""What the steps ask of commands that people wrote: drain before a reboot, undrain after it, snapshot before install.

The port decides which moments there are; whose commands they are and how they are run is the adapter's. Rules: commands
come from the signed release or from the computer's own agent.toml and from nowhere else; each is a list of words, never
a shell line; whoever refuses says so by an exit code other than 0, and its last words are kept.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sopwith_agent.steps.health_port import HealthContext
from sopwith_formats.manifest import Manifest


class Moment(StrEnum):
    """When commands are run."""

    DRAIN = "drain"
    """Before a reboot: take the work away from the computer."""
    UNDRAIN = "undrain"
    """After it, once the new version is healthy: give it work again."""
    SNAPSHOT = "snapshot"
    """Before an install."""


@dataclass(frozen=True)
class Said:
    """What came of a moment's commands."""

    commands: int
    """How many there are; 0: nobody asked for anything."""
    refusal: str = ""
    """Which one refused, with its last words; empty: all agreed."""

    @property
    def agreed(self) -> bool:
        """Tell whether nothing refused."""
        return not self.refusal


class Commands(Protocol):
    """Runs what people wrote for a moment."""

    def run(self, moment: Moment, manifest: Manifest | None, context: HealthContext) -> Said:
        """Run the commands of the release, where there is one, and of the computer, in order, up to the first no."""
        ...
