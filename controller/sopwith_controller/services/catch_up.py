"""Catch-ups: the rollouts that bring a baseline to computers that came late.

This module plans, records and starts them without asking anybody where the SOP has approved the change class before;
who needs one is decided by `domain.baseline`. Rules: one is open per baseline; it is planned by the rules of any
rollout, from the file of the rollout that set the baseline, under the SOP revision that is effective now; a class that
wants approval gets it for every catch-up anew, and the start follows the approval; a catch-up that the gates refuse is
not opened, and the baseline says why. Who started the first rollout counts as operator; the log tells the machine's
acts by an empty operator.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sopwith_controller.domain import approvals, gates
from sopwith_controller.domain import baseline as rules
from sopwith_controller.domain import rollout as machine
from sopwith_controller.domain.entities import Computer
from sopwith_controller.domain.errors import DomainError
from sopwith_controller.domain.evaluation import check_life
from sopwith_controller.domain.lasting_entities import Baseline
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.rollout_entities import CATCH_UP, Rollout, RolloutState
from sopwith_controller.services.advance import rollout_draft
from sopwith_controller.services.planning import Drafted
from sopwith_controller.services.ports import UnitOfWork
from sopwith_controller.services.rollout_start import new_assignments
from sopwith_controller.services.rollouts import RolloutTools
from sopwith_formats.manifest import split_release
from sopwith_formats.rollout_spec import read_rollout_spec


class CatchUps:
    """Opens and starts catch-ups inside the caller's unit of work."""

    def __init__(self, tools: RolloutTools) -> None:
        self._tools = tools

    async def open(
        self, unit: UnitOfWork, baseline: Baseline, lacking: Sequence[Computer], now: datetime
    ) -> tuple[Rollout | None, bool]:
        """Open a catch-up for these computers; return it, None where a gate refuses, and whether anything changed."""
        first = await self._tools.records.get(unit, baseline.rollout_id)
        spec = rules.catch_up_spec(read_rollout_spec(first.spec_json))
        try:
            settings = await unit.settings()
            check_life(settings, now)
            drafted = await self._tools.planner.draft(
                unit, spec.to_json().decode(), only=frozenset(computer.id for computer in lacking)
            )
            gates.check_refusals(drafted.refusals)
        except DomainError as error:
            if baseline.waiting == error.message:
                return None, False
            await unit.baselines.put(replace(baseline, waiting=error.message))
            return None, True
        plan = drafted.planning.plan
        needed = approvals.approvers_needed(drafted.policy, plan.change_class, settings.profile)
        draft = _drafted(self._tools.ids.new("r"), first, baseline, drafted, now)
        rollout = machine.submit(draft, plan_json=plan.to_json(), plan_sha256=plan.sha256(), needs_approval=needed > 0)
        names = ", ".join(computer.name for computer in lacking[:5]) + (" and more" if len(lacking) > 5 else "")  # noqa: PLR2004  names that fit a line
        await unit.update_log.append(
            rollout_draft(
                LogKind.ROLLOUT_CREATED, rollout, f"{rollout.name} was drafted: {names} lack {baseline.release}"
            )
        )
        await unit.update_log.append(
            rollout_draft(LogKind.ROLLOUT_SUBMITTED, rollout, f"{rollout.name} was submitted: {rollout.state_reason}")
        )
        await unit.rollouts.put(rollout)
        await unit.baselines.put(replace(baseline, catch_up_id=rollout.id, waiting=""))
        if rollout.state is RolloutState.APPROVED:
            rollout = await self._start(unit, rollout, plan, now)
        return rollout, True

    async def start_if_approved(self, unit: UnitOfWork, catch_up: Rollout, now: datetime) -> bool:
        """Start a catch-up that people approved meanwhile; tell whether it did."""
        if catch_up.state is not RolloutState.APPROVED:
            return False
        plan = self._tools.records.plan(catch_up)
        settings = await unit.settings()
        policy = await self._tools.records.policy(unit, catch_up)
        release = await unit.releases.get(*split_release(catch_up.release))
        effective = await unit.sops.effective(catch_up.sop_id)
        newest = await unit.sops.newest(catch_up.sop_id)
        try:
            gates.check_sop_effective(catch_up.sop_id, newest, effective)
            check_life(settings, now)
            approvals.check_fresh(catch_up, policy, settings.profile)
            if release is not None:
                gates.check_release(release)
        except DomainError:
            return False
        await self._start(unit, catch_up, plan, now)
        return True

    async def _start(self, unit: UnitOfWork, approved: Rollout, plan: Plan, now: datetime) -> Rollout:
        first = await self._tools.records.get(unit, approved.origin_id)
        rollout = machine.start(
            approved,
            operator=first.operator,
            reason=f"catch-up of {first.name}, which {first.operator} started",
            now=now,
            deadline_seconds=plan.deadline_seconds,
            waves=len(plan.waves),
        )
        await unit.rollouts.put(rollout)
        members = await unit.computers.many([member.id for member in plan.members])
        await unit.assignments.put_all(new_assignments(self._tools.ids, rollout, plan, members))
        await unit.update_log.append(
            rollout_draft(
                LogKind.ROLLOUT_STARTED,
                rollout,
                f"{rollout.name} started: {rollout.start_reason}",
                details={"computers": len(plan.members), "change_class": rollout.change_class},
            )
        )
        return rollout


def _drafted(rollout_id: str, first: Rollout, baseline: Baseline, drafted: Drafted, now: datetime) -> Rollout:
    plan = drafted.planning.plan
    return Rollout(
        id=rollout_id,
        name=plan.rollout,
        state=RolloutState.DRAFT,
        release=plan.release,
        spec_json=drafted.spec.to_json().decode(),
        sop_id=plan.sop_id,
        sop_revision=plan.sop_revision,
        policy_sha256=plan.policy_sha256,
        plan_json=plan.to_json(),
        plan_sha256=plan.sha256(),
        change_class=plan.change_class,
        requester=first.requester,
        created_time=now,
        audience=plan.audience,
        ticket=plan.ticket,
        origin=CATCH_UP,
        origin_id=baseline.rollout_id,
    )
