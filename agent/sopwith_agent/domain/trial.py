"""The trial of a new agent version: it runs as a child of the old one until it is confirmed.

Decides, from what is written about the trial and what its process does, what the watching old agent does next; starting
and ending processes is the supervisor's, confirming the update step's. Rules: the link `current` names the old version
until the new one is confirmed, so that whatever starts the agent meanwhile starts the old one, which watches; the new
version may start a few times, each counted before it starts; one that was not confirmed in time, or crashed each time,
is ended and the old one works again; a verdict stands once it is written.
"""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from sopwith_agent.domain import limits
from sopwith_formats import canonical_json
from sopwith_formats.errors import FormatError


class Verdict(StrEnum):
    """What is known of a trial."""

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    FELL_BACK = "FELL_BACK"


@dataclass(frozen=True)
class Trial:
    """One trial, as it lies on disk."""

    folder: str
    """Absolute: where the versions lie side by side."""
    before: str
    """The version that watches; also the name of its folder."""
    after: str
    """The version that is tried."""
    within_seconds: int
    """How long each start may take to be confirmed."""
    starts: int = 0
    verdict: Verdict = Verdict.PENDING
    why: str = ""

    def to_json(self) -> bytes:
        """Return the bytes that are kept."""
        return canonical_json.encode({**asdict(self), "verdict": self.verdict.value})

    def started(self) -> "Trial":
        """Return the trial with one more start."""
        return replace(self, starts=self.starts + 1)

    def interrupted(self) -> "Trial":
        """Return the trial with one start less: the watcher was asked to stop, which is nobody's failure."""
        return replace(self, starts=max(0, self.starts - 1))

    def judged(self, verdict: Verdict, why: str = "") -> "Trial":
        """Return the trial with its verdict; the first one stands."""
        if self.verdict is not Verdict.PENDING:
            return self
        return replace(self, verdict=verdict, why=why[: limits.detail_max_characters])


def read_trial(data: bytes) -> Trial:
    """Return the trial of kept bytes; raise FormatError for anything else."""
    document: Any = canonical_json.decode(data)
    try:
        trial = Trial(**{**document, "verdict": Verdict(document["verdict"])})
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"is no trial: {error}") from error
    texts = (trial.folder, trial.before, trial.after, trial.why)
    numbers = (trial.within_seconds, trial.starts)
    if not all(isinstance(text, str) for text in texts) or not all(type(number) is int for number in numbers):
        raise FormatError("is a trial with values of another kind")
    return trial


class Act(StrEnum):
    """What the watcher does next."""

    START = "START"
    """Count a start and start the new version."""
    WAIT = "WAIT"
    TAKE_OVER = "TAKE_OVER"
    """Confirmed: switch the link and become the new version."""
    FALL_BACK = "FALL_BACK"
    """Write the verdict with its reason, then go back."""
    GO_BACK = "GO_BACK"
    """Fallen back: become the old version."""


@dataclass(frozen=True)
class Seen:
    """What the watcher sees of the new version's process."""

    running: bool
    elapsed_seconds: float = 0.0
    """Since its last start."""
    ended: str = ""
    """How it ended, in words; empty before the first start of this watcher."""


def next_act(trial: Trial, seen: Seen) -> tuple[Act, str]:
    """Return what to do, and for FALL_BACK why."""
    if trial.verdict is Verdict.CONFIRMED:
        return Act.TAKE_OVER, ""
    if trial.verdict is Verdict.FELL_BACK:
        return Act.GO_BACK, ""
    if seen.running:
        if seen.elapsed_seconds < trial.within_seconds:
            return Act.WAIT, ""
        return Act.FALL_BACK, (
            f"Agent {trial.after} started, and was not connected and confirmed within {trial.within_seconds} s;"
            f" agent {trial.before} runs again."
        )
    if trial.starts < limits.trial_starts_max:
        return Act.START, ""
    how = seen.ended or "the computer or the watching agent went down each time"
    return Act.FALL_BACK, (
        f"Agent {trial.after} did not stay up in {trial.starts} starts ({how}); agent {trial.before} runs again."
    )
