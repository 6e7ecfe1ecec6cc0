"""What really happened on the computers, whatever the controller knows of it.

Decides nothing; it writes down who installs what since when, how often a commit point was passed and how each
assignment ended on its computer, and lets the invariants look at every start.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sopwith_formats.warrant import Warrant


@dataclass(frozen=True)
class Start:
    """One install that may start now, as its computer decided."""

    computer: Any
    assignment_id: str
    rollout_id: str
    time: datetime


@dataclass
class Truth:
    """The record of one run."""

    installing: dict[str, dict[str, str]] = field(default_factory=dict)
    """Computer id to the assignments that are being installed there, with their rollouts."""
    commits: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    touched: dict[str, set[str]] = field(default_factory=dict)
    """Rollout id to the computers on which an install started."""
    on_start: Callable[[Start], None] = print
    on_break: Callable[[str], None] = print

    def started(self, computer: Any, warrant: Warrant) -> None:
        here = self.installing.setdefault(computer.id, {})
        if here.keys() - {warrant.assignment_id}:
            self.on_break(f"two installs at once on {computer.name}: {sorted(here)} and {warrant.assignment_id}")
        here[warrant.assignment_id] = warrant.rollout_id
        self.touched.setdefault(warrant.rollout_id, set()).add(computer.id)
        self.on_start(Start(computer, warrant.assignment_id, warrant.rollout_id, computer.clock.now()))

    def released(self, computer: Any, warrant: Warrant) -> None:
        self.installing.get(computer.id, {}).pop(warrant.assignment_id, None)

    def committed(self, computer: Any, warrant: Warrant) -> None:
        count = self.commits[warrant.assignment_id] = self.commits.get(warrant.assignment_id, 0) + 1
        if count > 1:
            self.on_break(f"{warrant.assignment_id} passed its commit point {count} times on {computer.name}")

    def ended(self, computer: Any, warrant: Warrant, outcome: str) -> None:
        known = self.outcomes.setdefault(warrant.assignment_id, outcome)
        if known != outcome:
            self.on_break(f"{warrant.assignment_id} ended {known} and {outcome} on {computer.name}")
        self.released(computer, warrant)

    def active(self, rollout_id: str) -> int:
        """Return how many computers are being changed by a rollout."""
        return sum(rollout_id in here.values() for here in self.installing.values())
