"""The gates that a start passes, also a start that begins again: class and approvals, plan, release, people, readiness.

This module loads and asks; the domain's gates answer, `gate_decisions` says what becomes of the answers. Rules:

- The plan is worked out anew. An equal effect retains what was approved; a plan that moved replaces the old one by
  itself where the SOP covers the change, and goes back to DRAFT where people approved it; a rollout of which nothing is
  left is closed. So do approvals that are too old or whose givers may not approve any more.
- Each gate's decision is recorded with what it was made from.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sopwith_controller.domain import approvals, emergency, gates, sop_gates, sop_review
from sopwith_controller.domain import rollout as machine
from sopwith_controller.domain.agent_gates import despite, opened_by
from sopwith_controller.domain.baseline import only_of
from sopwith_controller.domain.entities import Computer, ComputerState, SopRevision
from sopwith_controller.domain.errors import NotFoundError, Refusal, RefusedError
from sopwith_controller.domain.evaluation import check_life
from sopwith_controller.domain.gate_decisions import GateCheck, GateDecision, asked, judge
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.plan_change import Change, PlanChange, compare
from sopwith_controller.domain.readiness import is_ready
from sopwith_controller.domain.rollout_entities import Rollout
from sopwith_controller.services.access import Caller
from sopwith_controller.services.advance import rollout_draft
from sopwith_controller.services.approval_standing import check_standing, load_standing
from sopwith_controller.services.covering import load_covering
from sopwith_controller.services.planning import Drafted
from sopwith_controller.services.ports import AgentGateway, UnitOfWork
from sopwith_controller.services.release_lookup import find_release
from sopwith_controller.services.rollouts import RolloutTools
from sopwith_formats.sop_policy import SopPolicy
from sopwith_formats.vocabulary import GateResult


@dataclass(frozen=True)
class Cleared:
    """A rollout that may start, as it starts."""

    rollout: Rollout
    plan: Plan
    members: Sequence[Computer]
    decisions: tuple[GateDecision, ...]
    replaced: tuple[str, ...] = ()
    """What moved in the plan since the submit; empty: it is the one that was submitted."""
    warnings: tuple[str, ...] = ()
    """What a plan made now warns of, and what moved in it."""


class SentBackError(Exception):
    """The rollout went back to its requester or was closed; the caller commits, then raises the refusal."""

    def __init__(self, rollout: Rollout, refusal: Refusal) -> None:
        self.rollout = rollout
        self.refusal = refusal
        super().__init__(refusal.reason)


class StartChecks:
    """Asks the gates."""

    def __init__(self, tools: RolloutTools, gateway: AgentGateway) -> None:
        self._tools = tools
        self._gateway = gateway

    async def check(self, unit: UnitOfWork, caller: Caller, rollout: Rollout) -> Cleared:
        """Return the rollout as it may start; raise RefusedError, or SentBackError with the rollout as it is then."""
        now = self._tools.clock.now()
        effect = await check_effect(unit, self._tools, rollout)
        rollout, plan, policy = effect.rollout, effect.plan, effect.drafted.policy
        if rollout.emergency:
            emergency.check_next(rollout, await unit.rollouts.all(), person=caller.name, roles=caller.roles)
        members = await unit.computers.many([member.id for member in plan.members])
        people = sop_gates.people_checks(
            effect.sop, policy, person=caller.name, roles=caller.roles, profile=effect.profile, now=now
        )
        covering = await load_covering(
            unit,
            sop_id=rollout.sop_id,
            rollout_id=rollout.id,
            plan_sha256=rollout.plan_sha256,
            computers=members,
            now=now,
        )
        expiry, overdue = sop_review.expiry_check(effect.sop, policy, await unit.practice.reviews.all(), now)
        checks = [expiry, *people, self._quorum(plan, members, covering.deviations)]
        judgement = judge(checks, policy, covering.deviations, covering.missed)
        gates.check_refusals(judgement.blocking)
        decided = tuple(
            replace(one, result=GateResult.WARNED, reason=overdue) if overdue and one.gate == expiry.gate else one
            for one in judgement.decisions
        )
        warnings = (*effect.moved, *effect.drafted.warnings, *judgement.warnings)
        return Cleared(
            rollout, plan, members, (*effect.decisions, *decided), effect.words, tuple(dict.fromkeys(warnings))
        )

    def _quorum(self, plan: Plan, members: Sequence[Computer], deviated: Collection[str]) -> GateCheck:
        now, connected = self._tools.clock.now(), self._gateway.connected_ids()
        ready = sum(
            computer.state is ComputerState.ACCEPTED
            and computer.id in connected
            and is_ready(despite(computer.readiness, {*deviated, *opened_by(plan.release)}), now)
            for computer in members
        )
        inputs = {"ready": ready, "quorum": plan.ready_quorum, "computers": len(plan.members)}
        return asked("ready_quorum", "V.A", inputs, lambda: gates.check_ready_quorum(plan, ready))


@dataclass(frozen=True)
class Effect:
    """What a start would bring about now, its approvals looked at, people and readiness not yet."""

    rollout: Rollout
    plan: Plan
    drafted: Drafted
    sop: SopRevision
    """The effective revision."""
    profile: str
    words: tuple[str, ...] = ()
    """What moved in the plan since the submit."""

    @property
    def moved(self) -> tuple[str, ...]:
        """Return as one sentence what moved in the plan; empty where nothing did."""
        return (f"the plan moved since it was submitted: {'; '.join(self.words)}",) if self.words else ()

    @property
    def decisions(self) -> tuple[GateDecision, ...]:
        """Return what the gates said to the plan, and to its approvals."""
        inputs = {
            "change_class": self.rollout.change_class,
            "approved_by": [approval.person for approval in approvals.valid_approvals(self.rollout)],
            "plan_sha256": self.rollout.plan_sha256,
        }
        passed = GateDecision("approval_fresh", "VII", GateResult.PASSED, inputs)
        return (*self.drafted.judgement.decisions, passed)


async def check_effect(unit: UnitOfWork, tools: RolloutTools, rollout: Rollout) -> Effect:
    """Pass the gates of SOP, release, plan and approvals; raise RefusedError or SentBackError."""
    newest = await unit.sops.newest(rollout.sop_id)
    effective = gates.check_sop_effective(rollout.sop_id, newest, await unit.sops.effective(rollout.sop_id))
    release = await find_release(unit, rollout.release)
    if release is None:
        raise NotFoundError(f"{rollout.release} is not published any more", remedy="sopwith release list")
    gates.check_release(release)
    settings = await unit.settings()
    check_life(settings, tools.clock.now())
    rollout, plan, drafted, words = await _present(unit, tools, rollout, settings.profile)
    await _check_approvals(unit, tools, rollout, drafted.policy, settings.profile)
    return Effect(rollout, plan, drafted, effective, settings.profile, words)


async def _present(
    unit: UnitOfWork, tools: RolloutTools, rollout: Rollout, profile: str
) -> tuple[Rollout, Plan, Drafted, tuple[str, ...]]:
    """Return rollout and plan as they are to start, the plan as it would be made now, and what moved."""
    approved = tools.records.plan(rollout)
    drafted = await tools.planner.draft(unit, rollout.spec_json, rollout.id, only=only_of(rollout))
    present = drafted.planning.plan
    change = compare(approved, present)
    if change.change is Change.CLEAR:
        raise _cleared(tools, rollout, change)
    if change.change is Change.RETAIN:
        drafted = await tools.planner.judged(unit, drafted, rollout.id, rollout.plan_sha256)
        gates.check_refusals(drafted.refusals)
        return rollout, approved, drafted, ()
    policy = await tools.records.policy(unit, rollout)
    for those, change_class in ((policy, rollout.change_class), (drafted.policy, present.change_class)):
        if approvals.approvers_needed(those, change_class, profile):
            raise _sent_back(rollout, f"the plan changed since its approval: {'; '.join(change.words)}")
    gates.check_refusals(drafted.refusals)
    replaced = replace(
        rollout,
        sop_revision=present.sop_revision,
        policy_sha256=present.policy_sha256,
        change_class=present.change_class,
        plan_json=present.to_json(),
        plan_sha256=present.sha256(),
    )
    return replaced, present, drafted, change.words


def _cleared(tools: RolloutTools, rollout: Rollout, change: PlanChange) -> SentBackError:
    closed = machine.clear(rollout, why="; ".join(change.words), now=tools.clock.now())
    reason = f"{rollout.name} is closed: {closed.state_reason}"
    refusal = Refusal("approval_fresh", "VII", reason, "sopwith rollout create -f FILE")
    return SentBackError(closed, refusal)


def _sent_back(rollout: Rollout, reason: str) -> SentBackError:
    refusal = Refusal(
        "approval_fresh",
        "VII",
        f"{rollout.name} went back to its requester: {reason}",
        remedy=f"sopwith rollout submit {rollout.id}, then have it approved again",
    )
    return SentBackError(machine.replan(rollout, reason=reason), refusal)


async def send_back(unit: UnitOfWork, person: str, error: SentBackError) -> None:
    """Write down that a rollout went back or was closed, in the transaction that `check` was asked in."""
    rollout = error.rollout
    await unit.rollouts.put(rollout)
    message = f"{rollout.name} is {rollout.state}: {rollout.state_reason}"
    await unit.update_log.append(rollout_draft(LogKind.ROLLOUT_REPLANNED, rollout, message, person=person))


def refused(error: SentBackError) -> RefusedError:
    """Return what the person hears."""
    return RefusedError(error.refusal)


async def _check_approvals(
    unit: UnitOfWork, tools: RolloutTools, rollout: Rollout, policy: SopPolicy, profile: str
) -> None:
    standing = await load_standing(unit, rollout, policy, tools.clock.now())
    if not standing.needed:
        return
    approvals.check_fresh(rollout, policy, profile)
    if not standing.enough:
        raise _sent_back(rollout, standing.words)


async def check_again(
    unit: UnitOfWork, tools: RolloutTools, caller: Caller, rollout: Rollout, effective: SopRevision
) -> list[dict[str, Any]]:
    """Pass the gates about people and approvals of a rollout that begins again; return the decisions' records."""
    settings = await unit.settings()
    now, policy = tools.clock.now(), await tools.records.policy(unit, rollout)
    await check_standing(unit, rollout, policy, now, "sopwith rollout create -f FILE")
    if rollout.emergency:
        emergency.check_next(rollout, await unit.rollouts.all(), person=caller.name, roles=caller.roles)
    members = await unit.computers.many([member.id for member in tools.records.plan(rollout).members])
    covering = await load_covering(
        unit,
        sop_id=rollout.sop_id,
        rollout_id=rollout.id,
        plan_sha256=rollout.plan_sha256,
        computers=members,
        now=now,
    )
    people = sop_gates.people_checks(
        effective, policy, person=caller.name, roles=caller.roles, profile=settings.profile, now=now
    )
    judgement = judge(people, policy, covering.deviations, covering.missed)
    gates.check_refusals(judgement.blocking)
    return judgement.records()
