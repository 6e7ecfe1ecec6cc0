"""How a rollout went: who did not succeed and why, how long it took, how many tries and generations it needed.

Decides numbers and groups only; whether that was good enough was decided by thresholds and people. Rules:

- Whoever ended neither SUCCEEDED nor SKIPPED stands once, by outcome and symptom; the sentence shown for a group is the
  one that most of its computers said.
- Durations are those of computers that succeeded in the generation that counts, by the controller's clock; a percentile
  is the nearest rank, so that it is a duration that really was.
- A retry's earlier assignments count in their own generation and nowhere else.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from sopwith_controller.domain.assignment import SUCCESSES
from sopwith_controller.domain.rollout_entities import Assignment, WaveShare
from sopwith_controller.domain.waves import Counts, count
from sopwith_formats.vocabulary import Outcome

IN_ALL, BEFORE_INSTALL, INSTALL = "in_all", "before_install", "install"
_HALF, _NEARLY_ALL = 50, 95
_HUNDRED = 100


@dataclass(frozen=True)
class Failure:
    """Computers that ended alike, and not well."""

    outcome: str
    symptom: str
    detail: str
    """What the most of them said."""
    computers: tuple[str, ...]
    """Names, in plan order."""


@dataclass(frozen=True)
class Duration:
    """How long one part of the updates took."""

    what: str
    computers: int
    median_seconds: float
    p95_seconds: float
    longest_seconds: float


@dataclass(frozen=True)
class Generation:
    """One try of the whole rollout."""

    number: int
    computers: int
    counts: Counts


def failures(assignments: Sequence[Assignment]) -> tuple[Failure, ...]:
    """Return who did not succeed, most first; `assignments` in plan order."""
    groups: dict[tuple[str, str], list[Assignment]] = {}
    for one in assignments:
        if one.ended and one.outcome not in SUCCESSES:
            groups.setdefault((one.outcome, one.symptom), []).append(one)
    found = [
        Failure(outcome, symptom, _commonest(alike), tuple(one.computer for one in alike))
        for (outcome, symptom), alike in groups.items()
    ]
    return tuple(sorted(found, key=lambda one: -len(one.computers)))


def durations(assignments: Sequence[Assignment]) -> tuple[Duration, ...]:
    """Return how long it took where it succeeded; nothing where nobody did."""
    done = [one for one in assignments if one.outcome == Outcome.SUCCEEDED]
    parts = (
        (IN_ALL, [(one.offered_time, one.ended_time) for one in done]),
        (BEFORE_INSTALL, [(one.offered_time, one.install_started_time) for one in done]),
        (INSTALL, [(one.install_started_time, one.ended_time) for one in done]),
    )
    return tuple(found for what, spans in parts if (found := _duration(what, spans)))


def attempts(assignments: Sequence[Assignment]) -> tuple[tuple[int, int], ...]:
    """Return how many computers made how many tries, fewest tries first."""
    return tuple(sorted(Counter(one.attempts for one in assignments).items()))


def generations(assignments: Sequence[Assignment]) -> tuple[Generation, ...]:
    """Return the tries of the whole rollout in order; `assignments` are all, also those that a retry replaced."""
    of_number: dict[int, list[Assignment]] = {}
    for one in assignments:
        of_number.setdefault(one.generation, []).append(one)
    return tuple(
        Generation(
            number, len(of_number[number]), count(WaveShare(0, one.state, one.outcome, 1) for one in of_number[number])
        )
        for number in sorted(of_number)
    )


def _commonest(alike: Sequence[Assignment]) -> str:
    said = Counter(one.detail for one in alike if one.detail).most_common(1)
    return said[0][0] if said else ""


def _duration(what: str, spans: Sequence[tuple[datetime | None, datetime | None]]) -> Duration | None:
    took = sorted(max(0.0, (end - begin).total_seconds()) for begin, end in spans if begin and end)
    if not took:
        return None
    return Duration(what, len(took), _percentile(took, _HALF), _percentile(took, _NEARLY_ALL), took[-1])


def _percentile(in_order: Sequence[float], percent: int) -> float:
    return in_order[ceil(len(in_order) * percent / _HUNDRED) - 1]
