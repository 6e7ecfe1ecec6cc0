"""The controller's gates that refuse a command: each says gate, clause, reason and mend.

Decides whether a rollout may be submitted or started; thresholds while it runs are `waves`', bounds `plan_bounds`',
approvals `approvals`', windows and freezes the planner's, because they make it wait instead of refusing it.
"""

from collections.abc import Sequence

from sopwith_controller.domain.deviation import GRANTED_BY
from sopwith_controller.domain.entities import Release, ReleaseState, SopRevision, SopState
from sopwith_controller.domain.errors import Refusal, RefusedError
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.rollout_entities import Rollout


def check_sop_effective(sop_id: str, newest: SopRevision | None, effective: SopRevision | None) -> SopRevision:
    """Return the effective revision; raise RefusedError that says what the SOP still waits for."""
    if effective is not None and effective.state is SopState.EFFECTIVE:
        return effective
    if newest is None:
        reason, remedy = f"there is no SOP {sop_id}", f"sopwith sop new --out {sop_id}.md"
    elif newest.state is SopState.DRAFT:
        reason = f"{sop_id} revision {newest.revision} is a draft"
        remedy = f"sopwith sop submit {sop_id}"
    elif newest.state is SopState.IN_REVIEW:
        signed = sorted({signature.role for signature in newest.signatures if not signature.voided})
        reason = f"{sop_id} revision {newest.revision} is signed by {', '.join(signed) or 'nobody'} so far"
        remedy = f"sopwith sop sign {sop_id}, by each signatory that is missing"
    else:
        reason = f"{sop_id} revision {newest.revision} is {newest.state}"
        remedy = f"sopwith sop show {sop_id}"
    raise RefusedError(Refusal("sop_effective", "VII", f"{reason}; rollouts follow an effective SOP", remedy))


def check_release(release: Release) -> None:
    """Raise RefusedError where the release was withdrawn."""
    if release.state is ReleaseState.WITHDRAWN:
        why = f": {release.withdrawn_reason}" if release.withdrawn_reason else ""
        raise RefusedError(
            Refusal(
                "sop_step_order",
                "IV",
                f"{release.release} was withdrawn{why}",
                remedy="sopwith release list shows what may be rolled out",
            )
        )


def check_refusals(refusals: Sequence[Refusal]) -> None:
    """Raise RefusedError for the first refusal of a plan, naming the number of the others."""
    if not refusals:
        return
    first, others = refusals[0], len(refusals) - 1
    more = f" ({others} more: sopwith rollout plan -f FILE)" if others else ""
    raise RefusedError(Refusal(first.gate, first.clause, first.reason + more, first.remedy, first.deviation))


def check_plan_unchanged(rollout: Rollout, plan_sha256: str) -> None:
    """Raise RefusedError where the plan that would run is not the plan that was submitted."""
    if plan_sha256 != rollout.plan_sha256:
        raise RefusedError(
            Refusal(
                "approval_fresh",
                "VII",
                f"the plan of {rollout.name} is not the one that was submitted",
                remedy=f"sopwith rollout submit {rollout.id}",
            )
        )


def check_ready_quorum(plan: Plan, ready: int) -> None:
    """Raise RefusedError when fewer computers than the quorum are ready at the start (SOP, clause V.A)."""
    if ready < plan.ready_quorum:
        raise RefusedError(
            Refusal(
                "ready_quorum",
                "V.A",
                f"{ready} of {len(plan.members)} computers are ready, and {plan.ready_quorum} must be",
                remedy="sopwith computer readiness NAME says what stands in the way of each",
                deviation=GRANTED_BY,
            )
        )


def check_role(person: str, roles: Sequence[str], allowed: Sequence[str], what: str) -> None:
    """Raise RefusedError where none of a person's roles allows an act (SOP, clause III)."""
    if not set(roles) & set(allowed):
        raise RefusedError(
            Refusal(
                "operator_role",
                "III",
                f"{person} has the role {' and '.join(sorted(roles)) or 'none'}; {what} needs {' or '.join(allowed)}",
                remedy=f"ask the owner for sopwith person grant {person} --role {allowed[0]}",
            )
        )
