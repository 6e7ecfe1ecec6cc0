"""What the steps need from the sensors: answers to one question about the computer, as measured facts.

Sensors measure and judge nothing: `domain.readiness` compares what they found with what the SOP requires. A sensor that
cannot answer here says None for its value; it never raises for what it finds, and every wait in it is bounded.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sopwith_agent.domain.measurements import Measurements


@dataclass(frozen=True)
class Question:
    """What is asked: about the computer in general, or about room for one release on it."""

    root: Path
    staging: Path
    blocking_processes: tuple[str, ...] = ()
    """Names of processes that the release does not want to see running."""
    labels: dict[str, str] = field(default_factory=dict)
    """Labels that the controller gave the computer."""
    controller_connected: bool = False
    controller_ahead_seconds: int | None = None
    """The controller's clock minus ours, None before the first answer."""
    source_designated: bool = False
    source_url: str = ""
    """Where the source's metadata is; empty before designation."""
    source_ca_file: Path | None = None
    """Authorities that the source's certificate must come from; None: the system's."""
    throughput_bytes_per_second: int | None = None
    """As the last refresh or download measured it."""


class Sensors(Protocol):
    """Measures the computer."""

    def measure(self, question: Question) -> Measurements:
        """Return everything measured now; takes a few seconds at most."""
        ...

    def facts(self) -> dict[str, Any]:
        """Return the inventory: what kind of computer this is; JSON values without floats, no names of people."""
        ...
