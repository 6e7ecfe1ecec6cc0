"""How a rollout stands, as people read it: counts, waves with their states, and what each computer waits for.

This module reads and adds up; it changes nothing. Rules: a rollout's counts are its assignments' (a correction counts
as the truth it tells); the tail is shown while it has members.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sopwith_controller.domain.deviation import Deviation
from sopwith_controller.domain.emergency import review_due
from sopwith_controller.domain.entities import Computer
from sopwith_controller.domain.errors import NotFoundError
from sopwith_controller.domain.lasting_entities import Baseline, Repetition
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.plan_risk import Risk, approvals_missing, assess
from sopwith_controller.domain.planner import explain
from sopwith_controller.domain.rollout import ACTIVE_STATES, ENDED_STATES, NOT_STARTED_STATES
from sopwith_controller.domain.rollout_entities import PATCH_DAY, Assignment, Rollout, RolloutState
from sopwith_controller.domain.tick import Explanation
from sopwith_controller.domain.waves import Counts, WaveView, count, wave_views
from sopwith_controller.services.baseline_reasons import why_not_offered
from sopwith_controller.services.covering import covering_among
from sopwith_controller.services.large_answers import without_collection
from sopwith_controller.services.planning import standing_approvals
from sopwith_controller.services.ports import Clock, Database, UnitOfWork
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_controller.services.rollouts import find_rollout
from sopwith_controller.services.views import Views
from sopwith_formats.reboot_only import is_reboot_only


@dataclass(frozen=True)
class PlanOutlook:
    """What a stored plan dares, and what it waits for."""

    risk: Risk
    approvals_missing: tuple[str, ...]
    """Empty where none is missing, or where it was started."""


@dataclass(frozen=True)
class RolloutStatus:
    """One rollout as it stands."""

    rollout: Rollout
    plan: Plan
    waves: tuple[WaveView, ...]
    counts: Counts
    guidance: tuple[str, ...] = ()
    baseline: Baseline | None = None
    """The one that it set."""
    repetition: Repetition | None = None
    """The patch day that it belongs to, while that is in force."""
    stalled: tuple[str, ...] = ()
    """Names of computers in contact that tell nothing more."""
    deviations: tuple[Deviation, ...] = ()
    """Those asked for this rollout, and others in force that cover it."""
    review_due_time: datetime | None = None
    outlook: PlanOutlook | None = None
    """None where many rollouts are read at once."""

    @property
    def joined(self) -> int:
        """Return how many computers joined after the start."""
        return max(0, self.counts.total - len(self.plan.members)) if self.rollout.started_time else 0


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
            status = await self.status(unit, await find_rollout(unit, rollout_id))
            return replace(status, outlook=await self._outlook(unit, status))

    async def _outlook(self, unit: UnitOfWork, status: RolloutStatus) -> PlanOutlook:
        rollout = status.rollout
        manifest = await self._records.manifest(unit, rollout)
        checked = bool(manifest.health_checks) or is_reboot_only(rollout.release)
        missing: tuple[str, ...] = ()
        if rollout.state in NOT_STARTED_STATES:
            policy, profile = await self._records.policy(unit, rollout), (await unit.settings()).profile
            given = await standing_approvals(unit, rollout, policy, self._clock.now())
            missing = approvals_missing(policy, rollout.change_class, profile, len(given))
        return PlanOutlook(assess(status.plan, has_health_checks=checked), missing)

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
            asked = await find_rollout(unit, rollout_id)
            rollout = await self._catch_up_of(unit, asked) or asked
            found = await unit.computers.find(computer) if computer else None
            name = found.name if found else computer
            explanations: Sequence[Explanation] = ()
            if rollout.state not in ENDED_STATES:
                view = await self._views.load(unit, rollout, now)
                with without_collection():
                    explanations = explain(view, now, name)
            if rollout.state in NOT_STARTED_STATES:
                self._views.forget(rollout.id)
            if explanations or not computer:
                return rollout, list(explanations)
            if found is None:
                raise NotFoundError(f"there is no computer {computer}", remedy="sopwith computer list")
            return asked, await self._of_baseline(unit, asked, found)

    async def _of_baseline(self, unit: UnitOfWork, rollout: Rollout, computer: Computer) -> list[Explanation]:
        """Return why a computer that waits nowhere is not offered the baseline that a rollout left; empty: none."""
        baseline = await unit.baselines.get(rollout.id) if rollout.state is RolloutState.COMPLETED else None
        if baseline is None or baseline.ended_time is not None:
            return []
        connected = self._views.is_connected(computer.id)
        return [await why_not_offered(self._records, unit, baseline, computer, connected=connected)]

    async def _catch_up_of(self, unit: UnitOfWork, rollout: Rollout) -> Rollout | None:
        """Return the open catch-up of a completed rollout: whoever waits, waits there."""
        baseline = await unit.baselines.get(rollout.id) if rollout.state is RolloutState.COMPLETED else None
        return await unit.rollouts.get(baseline.catch_up_id) if baseline and baseline.catch_up_id else None

    async def status(self, unit: UnitOfWork, rollout: Rollout) -> RolloutStatus:
        """Return the rollout as it stands in this transaction."""
        plan = self._records.plan(rollout)
        shares = await unit.assignments.shares(rollout.id) if rollout.started_time else ()
        stalled = tuple(await unit.assignments.stalled(rollout.id)) if rollout.state in ACTIVE_STATES else ()
        guidance = [
            note.text
            for incident in await unit.incidents.all()
            if incident.rollout_id == rollout.id
            for note in incident.notes
            if note.guidance
        ]
        repetition = await unit.repetitions.get(rollout.origin_id if rollout.origin == PATCH_DAY else rollout.id)
        return RolloutStatus(
            rollout,
            plan,
            wave_views(rollout, plan, shares),
            count(shares),
            tuple(guidance),
            stalled=stalled,
            baseline=await unit.baselines.get(rollout.id),
            repetition=repetition if repetition is not None and repetition.ended_time is None else None,
            deviations=await self._deviations(unit, rollout, plan),
            review_due_time=review_due(rollout, await self._records.policy(unit, rollout))
            if rollout.emergency
            else None,
        )

    async def _deviations(self, unit: UnitOfWork, rollout: Rollout, plan: Plan) -> tuple[Deviation, ...]:
        known = await unit.deviations.all()
        if not known:
            return ()
        own = [deviation for deviation in known if deviation.rollout_id == rollout.id]
        members = await unit.computers.many([member.id for member in plan.members])
        covering = covering_among(
            known,
            sop_id=rollout.sop_id,
            rollout_id=rollout.id,
            plan_sha256=rollout.plan_sha256,
            computers=members,
            now=self._clock.now(),
        )
        others = [] if rollout.state in ENDED_STATES else list(covering.deviations.values())
        return tuple({deviation.id: deviation for deviation in (*own, *others)}.values())
