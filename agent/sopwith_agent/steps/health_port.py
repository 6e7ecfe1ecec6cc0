"""What the steps need to know whether a release works: its health checks, held for its `settle` time.

The port decides what is asked and answered; how a program, an address or a service is asked is the adapter's, and what
follows from an unhealthy answer (one more check, rollback) is the steps'.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sopwith_formats.manifest import Manifest


@dataclass(frozen=True)
class HealthContext:
    """What a health check's environment tells it."""

    root: Path
    computer_name: str
    step: str
    """confirm or roll_back."""


@dataclass(frozen=True)
class HealthFailure:
    """One check that does not hold."""

    index: int
    """Position in the manifest's `health_checks`."""
    check: str
    """The check as people wrote it, short: "exec /usr/bin/hello --version"."""
    message: str
    """What was found, with the escaped end of the output."""


@dataclass(frozen=True)
class HealthReport:
    """What came of watching."""

    failures: tuple[HealthFailure, ...]
    """Empty: every check held for the release's `settle` time."""
    rounds: int
    """How often the checks were made."""
    cancelled: bool = False

    @property
    def healthy(self) -> bool:
        """Tell whether everything held to the end."""
        return not self.failures and not self.cancelled


class HealthChecker(Protocol):
    """Asks a release's health checks."""

    def watch(
        self, manifest: Manifest, context: HealthContext, cancelled: Callable[[], bool] = lambda: False
    ) -> HealthReport:
        """Ask until all checks passed (each within its own time), then until they held for `settle`."""
        ...
