"""Counting: how many assignments ended how, per wave and over the rollout, and whether a threshold is crossed.

Decides numbers and verdicts (contract, section 5); what follows from them is the planner's. Rules:

- n = the members of a wave. A computer that moved to the tail is a member of the tail; one that was taken back
  (CANCELLED) says nothing about the release and is no member any more.
- success = (SUCCEEDED + SKIPPED) / n, judged once all n have ended. Computers that await their reboot are not waited
  for where others have ended: the wave is judged on the results of the others.
- errors = FAILED + ROLLED_BACK + UNREACHABLE; errors / n above `error_percent`, errors over the rollout reaching
  `error_count`, or lost computers reaching `lost` suspend it.
- Whatever ended, or was lost, before `counted_from` (a resume) was accepted by a person: it is neither in the counts
  nor in n.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from sopwith_controller.domain.assignment import ERRORS, SUCCESSES
from sopwith_controller.domain.plan import Plan, PlanThresholds
from sopwith_controller.domain.rollout import ENDED_STATES
from sopwith_controller.domain.rollout_entities import Assignment, Rollout, WaveProgress, WaveShare
from sopwith_formats.units import parse_percent
from sopwith_formats.vocabulary import AssignmentState, Outcome, Symptom

_HUNDRED = Decimal(100)


@dataclass(frozen=True)
class Counts:
    """Numbers of assignments, as people see them."""

    succeeded: int = 0
    failed: int = 0
    rolled_back: int = 0
    skipped: int = 0
    not_ready: int = 0
    not_started: int = 0
    unreachable: int = 0
    cancelled: int = 0
    pending: int = 0
    """Not offered yet."""
    active: int = 0
    """Offered, not ended."""

    @property
    def total(self) -> int:
        """Return the number of all."""
        return sum(vars(self).values())

    @property
    def all_well(self) -> bool:
        """Tell whether every one succeeded or was skipped; exit code 0 of `rollout status --wait`."""
        return self.total == self.succeeded + self.skipped


def count(shares: Iterable[WaveShare]) -> Counts:
    """Return the numbers by outcome."""
    numbers = dict.fromkeys(Counts.__dataclass_fields__, 0)
    for share in shares:
        if share.state is AssignmentState.ENDED:
            numbers[share.outcome.lower()] += share.number
        elif share.state is AssignmentState.PENDING:
            numbers["pending"] += share.number
        else:
            numbers["active"] += share.number
    return Counts(**numbers)


def in_words(counts: Counts) -> str:
    """Return the numbers that are not zero, for example "4 succeeded, 1 rolled back"."""
    named = [f"{number} {name.replace('_', ' ')}" for name, number in vars(counts).items() if number]
    return ", ".join(named) or "nobody"


@dataclass(frozen=True)
class WaveView:
    """One wave as people see it."""

    name: str
    state: str
    """PENDING, OPEN, SOAKING, PASSED, or ENDED where the rollout is over and the wave did not pass."""
    size: int
    soak_seconds: int
    counts: Counts


def wave_views(rollout: Rollout, plan: Plan, shares: Sequence[WaveShare]) -> tuple[WaveView, ...]:
    """Return the waves in order; the tail stands last while it has members. Before the start: as planned."""
    if not shares:
        return tuple(WaveView(wave.name, "PENDING", wave.size, wave.soak_seconds, Counts()) for wave in plan.waves)
    counts = [count(share for share in shares if share.wave == index) for index in range(plan.tail + 1)]
    views = [
        WaveView(wave.name, _state(rollout, index), counts[index].total, wave.soak_seconds, counts[index])
        for index, wave in enumerate(plan.waves)
    ]
    tail = counts[plan.tail]
    if tail.total:
        views.append(WaveView(plan.wave_name(plan.tail), _state(rollout, plan.tail), tail.total, 0, tail))
    return tuple(views)


def _state(rollout: Rollout, index: int) -> str:
    progress = rollout.waves[index] if index < len(rollout.waves) else WaveProgress()
    if progress.passed_time:
        return "PASSED"
    if progress.opened_time and rollout.state in ENDED_STATES:
        return "ENDED"
    if progress.ended_time:
        return "SOAKING"
    return "OPEN" if progress.opened_time else "PENDING"


@dataclass
class Tally:
    """What was counted of one wave; the planner fills it in one pass."""

    unended: int = 0
    awaiting_reboot: int = 0
    ended: int = 0
    """Ended members, accepted ones too, taken-back ones not."""
    cancelled: int = 0
    """Taken back: no members any more."""
    accepted: int = 0
    """Of those: ended before `counted_from`."""
    succeeded: int = 0
    errors: int = 0
    error_names: list[str] = field(default_factory=list)

    @property
    def members(self) -> int:
        """Return n with the accepted ones."""
        return self.unended + self.ended

    @property
    def has_ended(self) -> bool:
        """Tell whether nobody but computers that await their reboot is left, and somebody has a result."""
        return self.ended > 0 and self.unended == self.awaiting_reboot

    def add_ended(self, name: str, outcome: str, ended_time: datetime | None, counted_from: datetime | None) -> None:
        """Count one that ended."""
        if outcome == Outcome.CANCELLED:
            self.cancelled += 1
            return
        self.ended += 1
        if counted_from and ended_time and ended_time <= counted_from:
            self.accepted += 1
        elif outcome in SUCCESSES:
            self.succeeded += 1
        elif outcome in ERRORS:
            self.errors += 1
            self.error_names.append(name)


@dataclass(frozen=True)
class Crossing:
    """A threshold that was crossed."""

    gate: str
    reason: str
    computers: tuple[str, ...]
    inputs: dict[str, str]


def crossed_error_threshold(
    thresholds: PlanThresholds, tallies: Sequence[Tally], names: Sequence[str], lost: Sequence[str]
) -> Crossing | None:
    """Return the first error threshold that is crossed: share of a wave, count, lost; `names` are the waves'."""
    limit = parse_percent(thresholds.error_percent)
    for name, tally in zip(names, tallies, strict=True):
        n = tally.members - tally.accepted
        if tally.errors and tally.errors * _HUNDRED > limit * n:
            return Crossing(
                "error_threshold",
                f"{tally.errors} of {n} computers of wave {name} went wrong, more than {thresholds.error_percent}",
                tuple(tally.error_names),
                {"wave": name, "errors": str(tally.errors), "n": str(n), "limit": thresholds.error_percent},
            )
    wrong = [computer for tally in tallies for computer in tally.error_names]
    if wrong and len(wrong) >= thresholds.error_count:
        return Crossing(
            "error_threshold",
            f"{len(wrong)} computers went wrong, and {thresholds.error_count} are the limit",
            tuple(wrong),
            {"errors": str(len(wrong)), "limit": str(thresholds.error_count)},
        )
    if lost and len(lost) >= thresholds.lost:
        return Crossing(
            "error_threshold",
            f"{len(lost)} computers fell silent while they were updated, and {thresholds.lost} are the limit",
            tuple(lost),
            {"lost": str(len(lost)), "limit": str(thresholds.lost)},
        )
    return None


def missed_success_threshold(thresholds: PlanThresholds, name: str, tally: Tally) -> Crossing | None:
    """Return what an ended wave misses; None where it holds, or where everything in it was accepted."""
    n = tally.ended - tally.accepted
    if n == 0 or tally.succeeded * _HUNDRED >= parse_percent(thresholds.success) * n:
        return None
    return Crossing(
        "wave_success",
        f"{tally.succeeded} of {n} computers of wave {name} succeeded, less than {thresholds.success}",
        tuple(tally.error_names),
        {"wave": name, "succeeded": str(tally.succeeded), "n": str(n), "limit": thresholds.success},
    )


def is_unsafe(assignment: Assignment) -> bool:
    """Tell whether a computer may stand between two versions: lost, unreachable, or its way back failed."""
    unsafe = assignment.outcome == Outcome.UNREACHABLE or assignment.symptom == Symptom.ROLLBACK_FAILED
    return assignment.lost or (assignment.ended and unsafe)
