"""Writing warrants: one assignment's instruction, from the frozen plan and the SOP revision that the rollout cited.

This module decides nothing about when; it fills in what was decided, with the evidence by which the agent decides it
again. Signing happens where the warrant leaves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sopwith_controller.domain import approvals
from sopwith_controller.domain.agent_gates import opened_by, relaxed
from sopwith_controller.domain.deviation import Deviation
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_controller.services.ports import UnitOfWork
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_formats.agent_policy import read_agent_policy
from sopwith_formats.manifest import split_release
from sopwith_formats.sop_policy import SopPolicy
from sopwith_formats.warrant import EVIDENCE_MAX, Warrant


@dataclass(frozen=True)
class Evidence:
    """What the agent checks the change class by."""

    requester: str
    approvals_needed: int = 0
    approvals: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class WarrantBasis:
    """What all warrants of one rollout share."""

    rollout: Rollout
    plan: Plan
    agent_policy: dict[str, Any]
    policy: SopPolicy
    evidence: Evidence
    despite_freeze: str = ""
    """Id of the deviation by which a freeze does not hold this rollout; empty: none."""


async def warrant_basis(
    unit: UnitOfWork, rollout: Rollout, plan: Plan, policy: SopPolicy, deviations: Mapping[str, Deviation]
) -> WarrantBasis:
    """Return the shared part; the agent-side parameters are the cited revision's, relaxed by the deviations."""
    opened = {*deviations, *opened_by(rollout.release)}
    agent_policy = relaxed(read_agent_policy(policy.readiness), opened).to_document()
    freeze = deviations.get("freeze")
    evidence = await _evidence(unit, rollout, policy)
    return WarrantBasis(rollout, plan, agent_policy, policy, evidence, freeze.id if freeze else "")


async def is_approved(unit: UnitOfWork, rollout: Rollout, records: RolloutRecords) -> bool:
    """Tell whether the approvals of the plan stand that the change class asks for: no warrant is written without."""
    if rollout.change_class != approvals.NORMAL:
        return True
    policy = await records.policy(unit, rollout)
    return approvals.is_enough(rollout, policy, (await unit.settings()).profile)


async def _evidence(unit: UnitOfWork, rollout: Rollout, policy: SopPolicy) -> Evidence:
    """Return the evidence of a change class that people approve before; the others need none."""
    if rollout.change_class != approvals.NORMAL:
        return Evidence(rollout.requester)
    requester = await unit.people.find(rollout.requester)
    profile = (await unit.settings()).profile
    given = approvals.valid_approvals(rollout)[:EVIDENCE_MAX]
    return Evidence(
        requester=requester.id if requester is not None else rollout.requester,
        approvals_needed=approvals.approvers_needed(policy, rollout.change_class, profile),
        approvals=tuple({"envelope": one.envelope_json, "certificate": one.certificate_pem} for one in given),
    )


def write_warrant(
    basis: WarrantBasis, assignment: Assignment, *, group: str, start_until: datetime | None, now: datetime
) -> Warrant:
    """Return the warrant of one assignment; `group` is the maintenance group of a computer that the plan does not hold.

    What people at the computer are owed is their group's.
    """
    rollout, plan = basis.rollout, basis.plan
    if rollout.deadline_time is None:
        raise ValueError(f"rollout {rollout.id} was never started")
    release, version = split_release(rollout.release)
    return Warrant(
        assignment_id=assignment.id,
        generation=assignment.generation,
        computer_id=assignment.computer_id,
        computer_name=assignment.computer,
        rollout_id=rollout.id,
        release=release,
        version=version,
        manifest_sha256=plan.manifest_sha256,
        sop_id=rollout.sop_id,
        sop_revision=rollout.sop_revision,
        policy_sha256=rollout.policy_sha256,
        plan_sha256=rollout.plan_sha256,
        change_class=rollout.change_class,
        emergency=rollout.emergency,
        attempts_max=plan.attempts_max,
        deadline_time=rollout.deadline_time,
        start_until_time=start_until,
        issued_time=now,
        policy={**basis.agent_policy, **_notice(basis, assignment.computer_id, group)},
        requester=basis.evidence.requester,
        approvals_needed=basis.evidence.approvals_needed,
        approvals=list(basis.evidence.approvals),
        despite_freeze=basis.despite_freeze,
    )


def _notice(basis: WarrantBasis, computer_id: str, group: str) -> dict[str, int]:
    name = basis.plan.groups_of_members.get(computer_id, group)
    groups = basis.policy.maintenance_groups
    owed = next((known for known in groups if known.name == name), basis.policy.user_notice)
    return {
        "notice_seconds": owed.notice_seconds,
        "notice_deferrals": owed.deferrals_max,
        "notice_defer_seconds": owed.defer_at_most_seconds,
        "notice_grace_seconds": owed.grace_seconds,
    }
