"""Writing warrants: one assignment's instruction, from the frozen plan and the SOP revision that the rollout cited.

This module decides nothing about when; it fills in what was decided. Signing happens where the warrant leaves.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_formats.agent_policy import read_agent_policy
from sopwith_formats.manifest import split_release
from sopwith_formats.sop_policy import SopPolicy
from sopwith_formats.warrant import Warrant


@dataclass(frozen=True)
class WarrantBasis:
    """What all warrants of one rollout share."""

    rollout: Rollout
    plan: Plan
    agent_policy: dict[str, Any]


def warrant_basis(rollout: Rollout, plan: Plan, policy: SopPolicy) -> WarrantBasis:
    """Return the shared part; the agent-side parameters are those of the cited revision."""
    return WarrantBasis(rollout, plan, read_agent_policy(policy.readiness).to_document())


def write_warrant(
    basis: WarrantBasis, assignment: Assignment, *, start_until: datetime | None, now: datetime
) -> Warrant:
    """Return the warrant of one assignment."""
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
        policy=basis.agent_policy,
    )
