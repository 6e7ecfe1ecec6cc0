"""Plans for people: the dry run behind `rollout plan`, `create` and `submit`.

This module loads what `domain.planning` wants and returns its answer; it changes nothing. Rules: only the effective SOP
revision counts for a submitted plan, a draft is planned against the newest revision so that people can prepare; a plan
that cannot be made for want of release or SOP names what is missing.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from sopwith_controller.domain.approvals import standing
from sopwith_controller.domain.deviation import Deviation
from sopwith_controller.domain.entities import Release, SopRevision
from sopwith_controller.domain.errors import InvalidInputError, NotFoundError, Refusal, RefusedError
from sopwith_controller.domain.gate_decisions import Judgement, gathered, judge
from sopwith_controller.domain.gates import check_sop_effective
from sopwith_controller.domain.plan_inputs import PlanInputs, Planning
from sopwith_controller.domain.plan_risk import Risk, approvals_missing, assess
from sopwith_controller.domain.planning import make_plan
from sopwith_controller.domain.rollout_entities import Approval, Rollout
from sopwith_controller.domain.sop_review import expiry_check
from sopwith_controller.services.covering import load_covering
from sopwith_controller.services.governing import scopes_in_force
from sopwith_controller.services.ports import Clock, SourceStore, UnitOfWork
from sopwith_controller.services.release_lookup import find_release, manifest_of
from sopwith_controller.services.views import load_estimates
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import Manifest, split_release
from sopwith_formats.rollout_spec import RolloutSpec, read_rollout_spec
from sopwith_formats.sop_policy import SopPolicy, read_sop_policy

PLAN_GATES = {
    "sop_effective": "VII",
    "sop_scope": "II",
    "sop_bounds": "V",
    "sop_step_order": "IV",
    "rollback_available": "V.C",
}
"""Gates that a plan is asked by, with their clauses."""


@dataclass(frozen=True)
class Drafted:
    """A plan with what it was made from."""

    spec: RolloutSpec
    planning: Planning
    sop: SopRevision
    policy: SopPolicy
    manifest: Manifest
    refusals: tuple[Refusal, ...]
    """Everything that would refuse a submission now, the SOP's state first."""
    risk: Risk
    approvals_missing: tuple[str, ...]
    """What has to be approved before the start; empty: nothing."""
    judgement: Judgement = field(default_factory=lambda: Judgement((), ()))
    """What the gates said to the plan, and what became of it."""
    deviations: tuple[Deviation, ...] = ()
    """Those in force that cover this plan."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what people should know first, gates that only warn or are deviated from among it."""
        return (*self.judgement.warnings, *self.planning.warnings)

    @property
    def bytes_per_computer(self) -> int:
        """Return the size of the files that one computer downloads at most."""
        return sum(artifact.length for artifact in self.manifest.artifacts)


class Planner:
    """Makes plans from the tables."""

    def __init__(self, source: SourceStore, clock: Clock) -> None:
        self._source = source
        self._clock = clock

    async def draft(
        self, unit: UnitOfWork, rollout_json: str, rollout_id: str = "", *, only: frozenset[str] | None = None
    ) -> Drafted:
        """Return the plan of a rollout file; raise InvalidInputError or NotFoundError where none can be made.

        `rollout_id` names the rollout that the plan is for, where there is one: deviations are given to rollouts.
        `only`: ids of the computers that may be in it; None: the whole fleet.
        """
        try:
            spec = read_rollout_spec(rollout_json)
            split_release(spec.release)
        except FormatError as error:
            raise InvalidInputError(f"{error.where or 'rollout'}: {error.message}", remedy=error.remedy) from error
        release = await find_release(unit, spec.release)
        if release is None:
            raise NotFoundError(
                f"{spec.release} is not published",
                remedy="sopwith release list; sopwith release publish FOLDER --keys KEYS",
            )
        effective = await unit.sops.effective(spec.sop)
        newest = await unit.sops.newest(spec.sop)
        refusals: tuple[Refusal, ...] = ()
        try:
            sop = check_sop_effective(spec.sop, newest, effective)
        except RefusedError as error:
            if newest is None:
                raise
            sop, refusals = newest, (error.refusal,)
        policy = read_sop_policy(sop.policy_json)
        planning, manifest = await self._plan(unit, spec, release, sop, policy, only=only)
        planning = replace(planning, refusals=(*refusals, *planning.refusals))
        expiry, overdue = expiry_check(sop, policy, await unit.practice.reviews.all(), self._clock.now())
        late = [f"{refusal.reason}: {refusal.remedy}" for refusal in expiry.refusals] or [overdue] * bool(overdue)
        planning = replace(planning, warnings=(*planning.warnings, *late))
        settings = await unit.settings()
        drafted = Drafted(
            spec,
            planning,
            sop,
            policy,
            manifest,
            refusals=planning.refusals,
            risk=assess(planning.plan, has_health_checks=bool(manifest.health_checks) or spec.reboot_only),
            approvals_missing=approvals_missing(
                policy,
                planning.plan.change_class,
                settings.profile,
                await self._given(unit, rollout_id, planning.plan.sha256(), policy),
            ),
        )
        return await self.judged(unit, drafted, rollout_id, planning.plan.sha256())

    async def _given(self, unit: UnitOfWork, rollout_id: str, plan_sha256: str, policy: SopPolicy) -> int:
        """Return how many approvals of this very plan the rollout has that would count for a start."""
        rollout = await unit.rollouts.get(rollout_id) if rollout_id else None
        if rollout is None or rollout.plan_sha256 != plan_sha256:
            return 0
        return len(await standing_approvals(unit, rollout, policy, self._clock.now()))

    async def judged(self, unit: UnitOfWork, drafted: Drafted, rollout_id: str, plan_sha256: str) -> Drafted:
        """Return a plan as the gates judge it now, with the deviations that were given to the plan of this digest."""
        planning, sop = drafted.planning, drafted.sop
        members = {member.id for member in planning.plan.members}
        covering = await load_covering(
            unit,
            sop_id=sop.id,
            rollout_id=rollout_id,
            plan_sha256=plan_sha256,
            computers=[computer for computer in await unit.computers.all() if computer.id in members],
            now=self._clock.now(),
        )
        judgement = judge(gathered(planning.refusals, PLAN_GATES), drafted.policy, covering.deviations, covering.missed)
        return replace(
            drafted,
            refusals=judgement.blocking,
            judgement=judgement,
            deviations=tuple(covering.deviations.values()),
        )

    async def _plan(
        self,
        unit: UnitOfWork,
        spec: RolloutSpec,
        release: Release,
        sop: SopRevision,
        policy: SopPolicy,
        *,
        only: frozenset[str] | None,
    ) -> tuple[Planning, Manifest]:
        manifest = manifest_of(release)
        settings = await unit.settings()
        inputs = PlanInputs(
            spec=spec,
            policy=policy,
            sop_revision=sop.revision,
            policy_sha256=sop.policy_sha256,
            release=release,
            manifest=manifest,
            profile=settings.profile,
            computers=await unit.computers.all() if only is None else await unit.computers.many(sorted(only)),
            now=self._clock.now(),
            rolled_back=frozenset(await unit.releases.rolled_back_on(release.name, release.version)),
            other_scopes=await scopes_in_force(unit, without=sop.id),
            source_designated=await self._source.view() is not None,
            estimates=await load_estimates(unit, release.name),
            freezes=tuple(reversed(await unit.freezes.all())),
        )
        return make_plan(inputs), manifest


async def standing_approvals(
    unit: UnitOfWork, rollout: Rollout, policy: SopPolicy, now: datetime
) -> tuple[Approval, ...]:
    """Return the approvals of a rollout's plan that would count for a start now."""
    roster = {person.name: person.roles for person in await unit.people.all() if person.state != "REVOKED"}
    return standing(rollout, policy, roster, now)
