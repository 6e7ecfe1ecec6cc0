"""What really happened on the computers, whatever the controller knows of it.

Decides nothing; it writes down who installs what since when, how often a commit point was passed and how each
assignment ended on its computer, and lets the invariants look at every start.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sopwith_controller.services.agent_reports import Report
from sopwith_formats.warrant import Warrant
from tests.simulation.promises import Promise


@dataclass(frozen=True)
class Start:
    """One install or reboot that may start now, as its computer decided."""

    computer: Any
    assignment_id: str
    rollout_id: str
    time: datetime


@dataclass
class Truth:
    """The record of one run."""

    installing: dict[str, dict[str, str]] = field(default_factory=dict)
    """Computer id to the assignments that are being installed there, with their rollouts."""
    commits: dict[tuple[str, int], int] = field(default_factory=dict)
    outcomes: dict[tuple[str, int], str] = field(default_factory=dict)
    """By assignment and generation."""
    approved: set[tuple[str, str]] = field(default_factory=set)
    """Rollout and digest of each plan that a second person signed."""
    proven: set[tuple[str, int]] = field(default_factory=set)
    """Those whose version was read back and whose health checks passed."""
    acknowledged: list[tuple[str, bytes]] = field(default_factory=list)
    """Computer and payload of each receipt that was forgotten after it was acknowledged."""
    on_start: Callable[[Start], None] = print
    on_reboot: Callable[[Start], None] = print
    on_break: Callable[[Promise, str], None] = print
    on_forgotten: Callable[[Report], None] = print

    def started(self, computer: Any, warrant: Warrant) -> None:
        here = self.installing.setdefault(computer.id, {})
        if here.keys() - {warrant.assignment_id}:
            text = f"two installs at once on {computer.name}: {sorted(here)} and {warrant.assignment_id}"
            self.on_break(Promise.ALONE, text)
        here[warrant.assignment_id] = warrant.rollout_id
        self.on_start(Start(computer, warrant.assignment_id, warrant.rollout_id, computer.clock.now()))

    def rebooting(self, computer: Any, warrant: Warrant) -> None:
        self.on_reboot(Start(computer, warrant.assignment_id, warrant.rollout_id, computer.clock.now()))

    def released(self, computer: Any, warrant: Warrant) -> None:
        here = self.installing.get(computer.id, {})
        here.pop(warrant.assignment_id, None)
        if not here:
            self.installing.pop(computer.id, None)

    def committed(self, computer: Any, warrant: Warrant) -> None:
        key = (warrant.assignment_id, warrant.generation)
        count = self.commits[key] = self.commits.get(key, 0) + 1
        if count > 1:
            self.on_break(Promise.ONE_COMMIT, f"{key} passed its commit point {count} times on {computer.name}")

    def found_healthy(self, warrant: Warrant, read_back: str) -> None:
        if read_back == warrant.version:
            self.proven.add((warrant.assignment_id, warrant.generation))

    def ended(self, computer: Any, warrant: Warrant, outcome: str) -> None:
        key = (warrant.assignment_id, warrant.generation)
        known = self.outcomes.setdefault(key, outcome)
        if known != outcome:
            self.on_break(Promise.ONE_OUTCOME, f"{key} ended {known} and {outcome} on {computer.name}")
        self.released(computer, warrant)
