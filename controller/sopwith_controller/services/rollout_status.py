"""How a rollout stands, as people read it: counts, waves with their states, and what each computer waits for.

This module reads and adds up; it changes nothing. Rules: a rollout's counts are its assignments' (a correction counts
as the truth it tells); before the start the plan's sizes stand for them; the tail is shown while it has members.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sopwith_controller.domain.entities import Assignment, Rollout, RolloutState, WaveProgress
from sopwith_controller.domain.errors import NotFoundError
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.planner import explain
from sopwith_controller.domain.rollout import ACTIVE_STATES
from sopwith_controller.domain.tick import Explanation
from sopwith_controller.services.ports import Clock, Database, UnitOfWork
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_controller.services.rollouts import find_rollout
from sopwith_controller.services.views import Views
from sopwith_formats.vocabulary import AssignmentState, Outcome

COUNT_NAMES = (*(outcome.lower() for outcome in Outcome), "pending", "active")


def no_counts() -> dict[str, int]:
    """Return every count at zero."""
    return dict.fromkeys(COUNT_NAMES, 0)


@dataclass
class WaveStatus:
    """One wave as it stands."""

    name: str
    state: str
    size: int
    soak_seconds: int
    counts: dict[str, int] = field(default_factory=no_counts)


@dataclass(frozen=True)
class RolloutStatus:
    """One rollout as it stands."""

    rollout: Rollout
    plan: Plan
    waves: tuple[WaveStatus, ...]
    counts: dict[str, int]
    guidance: tuple[str, ...] = ()


class RolloutStatuses:
    """Reads rollouts for people."""

    def __init__(self, database: Database, clock: Clock, records: RolloutRecords, views: Views) -> None:
        self._database = database
        self._clock = clock
        self._records = records
        self._views = views

    async def get(self, rollout_id: str) -> RolloutStatus:
        """Return one rollout."""
        async with self._database.read() as unit:
            return await self.status(unit, await find_rollout(unit, rollout_id))

    async def all(self) -> list[RolloutStatus]:
        """Return all rollouts, newest first."""
        async with self._database.read() as unit:
            return [await self.status(unit, rollout) for rollout in await unit.rollouts.all()]

    async def assignments(self, rollout_id: str) -> tuple[RolloutStatus, Sequence[Assignment]]:
        """Return a rollout with its assignments in plan order."""
        async with self._database.read() as unit:
            rollout = await find_rollout(unit, rollout_id)
            return await self.status(unit, rollout), await unit.assignments.of_rollout(rollout.id)

    async def explain(self, rollout_id: str, computer: str) -> tuple[Rollout, list[Explanation]]:
        """Return what each waiting computer, or one of them, waits for, by the planner's own decision."""
        now = self._clock.now()
        async with self._database.read() as unit:
            rollout = await find_rollout(unit, rollout_id)
            if rollout.state not in ACTIVE_STATES:
                return rollout, []
            explanations = explain(await self._views.load(unit, rollout, now), now)
            if not computer:
                return rollout, list(explanations)
            found = await unit.computers.find(computer)
        name = found.name if found else computer
        chosen = [explanation for explanation in explanations if explanation.computer == name]
        if not chosen and found is None:
            raise NotFoundError(f"there is no computer {computer}", remedy="sopwith computer list")
        return rollout, chosen

    async def status(self, unit: UnitOfWork, rollout: Rollout) -> RolloutStatus:
        """Return the rollout as it stands in this transaction."""
        plan = self._records.plan(rollout)
        assignments = await unit.assignments.of_rollout(rollout.id) if rollout.started_time else ()
        waves = _waves(rollout, plan, assignments)
        total = no_counts()
        for wave in waves:
            for name, number in wave.counts.items():
                total[name] += number
        guidance = [
            note.text
            for incident in await unit.incidents.all()
            if incident.rollout_id == rollout.id
            for note in incident.notes
            if note.guidance
        ]
        return RolloutStatus(rollout, plan, tuple(waves), total, tuple(guidance))


def _waves(rollout: Rollout, plan: Plan, assignments: Sequence[Assignment]) -> list[WaveStatus]:
    waves = [
        WaveStatus(wave.name, wave_state(rollout, index), wave.size, wave.soak_seconds)
        for index, wave in enumerate(plan.waves)
    ]
    waves.append(WaveStatus(plan.wave_name(plan.tail), wave_state(rollout, plan.tail), 0, 0))
    if rollout.started_time is None:
        for wave in waves:
            wave.counts["pending"] = wave.size
        return waves[:-1]
    for wave in waves:
        wave.size = 0
    for assignment in assignments:
        wave = waves[assignment.wave]
        wave.size += 1
        wave.counts[count_name(assignment)] += 1
    return waves if waves[-1].size else waves[:-1]


def count_name(assignment: Assignment) -> str:
    """Return the name of the count that an assignment belongs to."""
    if assignment.ended:
        return assignment.outcome.lower()
    return "pending" if assignment.state is AssignmentState.PENDING else "active"


def wave_state(rollout: Rollout, index: int) -> str:
    """Return PENDING, OPEN, SOAKING or PASSED."""
    progress = rollout.waves[index] if index < len(rollout.waves) else WaveProgress()
    if progress.passed_time is not None:
        return "PASSED"
    if progress.ended_time is not None:
        return "PASSED" if rollout.state in (RolloutState.COMPLETED, RolloutState.ABORTED) else "SOAKING"
    return "PENDING" if progress.opened_time is None else "OPEN"
