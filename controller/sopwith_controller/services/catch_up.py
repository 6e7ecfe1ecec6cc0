"""Catch-ups: the rollouts that bring a baseline to computers that came late.

This module plans, records and starts them without asking anybody where the SOP has approved the change class before;
who needs one is decided by `domain.baseline`. Rules: one is open per baseline; it is planned by the rules of any
rollout, from the file of the rollout that set the baseline, under the SOP revision that is effective now; a class that
wants approval gets it for every catch-up anew, and the start follows the approval by the gates of any start: a plan
that moved meanwhile, or approvals that ran out, are asked for again; a catch-up that the gates refuse is not opened, or
not asked for again, and the baseline says why; it is tried again after a minute at the earliest, or when the whole
fleet is looked at. One that a person rejected waits for a person. Who started the first rollout counts as operator; the
log tells the machine's acts by an empty operator.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

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
from sopwith_controller.services.start_checks import SentBackError, check_effect, send_back
from sopwith_formats.rollout_spec import read_rollout_spec

AGAIN_AFTER = timedelta(minutes=1)
"""How long one that was refused is left alone, however many computers come: planning costs, and they rarely help."""


class CatchUps:
    """Opens and starts catch-ups inside the caller's unit of work."""

    def __init__(self, tools: RolloutTools) -> None:
        self._tools = tools
        self._refused: dict[str, datetime] = {}
        """By rollout that set the baseline: when the gates last refused its catch-up."""

    def try_all(self) -> None:
        """Try again at the next look what was refused, however short ago."""
        self._refused.clear()

    async def open(
        self, unit: UnitOfWork, baseline: Baseline, lacking: Sequence[Computer], now: datetime
    ) -> tuple[Rollout | None, bool]:
        """Open a catch-up for these computers; return it, None where a gate refuses, and whether anything changed."""
        if self._left_alone(baseline, now):
            return None, False
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
            return None, await self._refuse(unit, baseline, error.message, now)
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
            details = {"gates": drafted.judgement.records()}
            rollout = await self._start(unit, rollout, plan, now, details)
        return rollout, True

    async def move_on(self, unit: UnitOfWork, baseline: Baseline, catch_up: Rollout, now: datetime) -> bool:
        """Start a catch-up that people approved meanwhile, or take it back where it moved; tell whether it changed."""
        if catch_up.state is RolloutState.DRAFT and baseline.waiting and not self._left_alone(baseline, now):
            return await self._ask_again(unit, baseline, catch_up, now)
        if catch_up.state is not RolloutState.APPROVED:
            return False
        try:
            effect = await check_effect(unit, self._tools, catch_up)
        except SentBackError as error:
            await send_back(unit, "", error)
            await self._ask_again(unit, baseline, error.rollout, now)
            return True
        except DomainError as error:
            return await self._refuse(unit, baseline, error.message, now)
        details = {"replaced": list(effect.words), "gates": [decision.record() for decision in effect.decisions]}
        await self._start(unit, effect.rollout, effect.plan, now, details)
        await unit.baselines.put(replace(baseline, waiting=""))
        return True

    async def _ask_again(self, unit: UnitOfWork, baseline: Baseline, rollout: Rollout, now: datetime) -> bool:
        """Submit the present plan of a catch-up that went back; forget one of which nothing was left."""
        if rollout.state is not RolloutState.DRAFT:
            await unit.baselines.put(rules.without_catch_up(baseline))
            return True
        only = rules.only_of(rollout)
        try:
            drafted = await self._tools.planner.draft(unit, rollout.spec_json, rollout.id, only=only)
            gates.check_refusals(drafted.refusals)
        except DomainError as error:
            return await self._refuse(unit, baseline, error.message, now)
        plan, profile = drafted.planning.plan, (await unit.settings()).profile
        needed = approvals.approvers_needed(drafted.policy, plan.change_class, profile)
        present = replace(
            rollout,
            sop_revision=plan.sop_revision,
            policy_sha256=plan.policy_sha256,
            change_class=plan.change_class,
        )
        again = machine.submit(present, plan_json=plan.to_json(), plan_sha256=plan.sha256(), needs_approval=needed > 0)
        await unit.rollouts.put(again)
        await unit.baselines.put(replace(baseline, waiting=""))
        message = f"{again.name} was submitted again: {again.state_reason}"
        await unit.update_log.append(rollout_draft(LogKind.ROLLOUT_SUBMITTED, again, message))
        return True

    def _left_alone(self, baseline: Baseline, now: datetime) -> bool:
        """Tell whether the gates refused a moment ago."""
        refused = self._refused.get(baseline.rollout_id)
        return refused is not None and timedelta(0) <= now - refused < AGAIN_AFTER

    async def _refuse(self, unit: UnitOfWork, baseline: Baseline, reason: str, now: datetime) -> bool:
        """Write down why it does not go on, once; tell whether that is news."""
        self._refused[baseline.rollout_id] = now
        if baseline.waiting == reason:
            return False
        await unit.baselines.put(replace(baseline, waiting=reason))
        return True

    async def _start(
        self, unit: UnitOfWork, approved: Rollout, plan: Plan, now: datetime, details: dict[str, Any]
    ) -> Rollout:
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
                details={"computers": len(plan.members), "change_class": rollout.change_class, **details},
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
