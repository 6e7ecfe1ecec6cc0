"""What a change class asks for before a rollout may start, and whose approval counts.

Decides class, need, and whether one approval or all of them hold; signatures are checked where keys are known. Rules:

- standard: covered by the signed SOP, nobody is asked. normal: named approvers before the start. emergency: nobody
  before, a review afterwards.
- The strictest of SOP, release and profile counts; `regulated` makes every rollout at least normal.
- An approver is never the requester, holds one of the class's roles, and approves the digest of the plan as it stands
  now; a changed plan makes an approval stale.
"""

from collections.abc import Collection, Sequence

from sopwith_controller.domain.errors import Refusal, RefusedError
from sopwith_controller.domain.rollout_entities import Approval, Rollout
from sopwith_formats.manifest import Manifest
from sopwith_formats.rollout_spec import RolloutSpec
from sopwith_formats.sop_policy import ChangeClass, SopPolicy

STANDARD, NORMAL, EMERGENCY = "standard", "normal", "emergency"
APPROVER_ROLES = ("owner", "it_manager")

_DEFAULTS = {
    STANDARD: ChangeClass(approval="sop"),
    NORMAL: ChangeClass(approval="before", approvers_count=1, approver_roles=APPROVER_ROLES),
    EMERGENCY: ChangeClass(approval="after", approver_roles=APPROVER_ROLES, review_within_seconds=24 * 3600),
}


def change_class_of(spec: RolloutSpec, manifest: Manifest, profile: str) -> str:
    """Return the strictest class; only the rollout itself opens the emergency door."""
    if spec.emergency:
        return EMERGENCY
    return NORMAL if manifest.change_class != STANDARD or profile == "regulated" else STANDARD


def rule_of(policy: SopPolicy, change_class: str) -> ChangeClass:
    """Return what the SOP says of a class, else what the shipped SOP says."""
    return policy.change_classes.get(change_class, _DEFAULTS[change_class])


def approvers_needed(policy: SopPolicy, change_class: str, profile: str) -> int:
    """Return how many approvals must stand before the start; a normal change in `regulated` needs at least one."""
    rule = rule_of(policy, change_class)
    needed = max(1, rule.approvers_count) if rule.approval == "before" else 0
    return max(1, needed) if profile == "regulated" and change_class == NORMAL else needed


def check_approver(
    rollout: Rollout, policy: SopPolicy, *, person: str, roles: Collection[str], plan_sha256: str
) -> None:
    """Raise RefusedError unless this person may approve this plan now."""
    rule = rule_of(policy, rollout.change_class)
    allowed = rule.approver_roles or APPROVER_ROLES
    if plan_sha256 != rollout.plan_sha256:
        raise RefusedError(
            Refusal(
                "approval_fresh",
                "VII",
                f"the plan of {rollout.name} changed: {_short(plan_sha256)} was approved, it is now "
                f"{_short(rollout.plan_sha256)}",
                remedy=f"sopwith rollout show {rollout.id}, then approve again",
            )
        )
    if rule.not_requester and person == rollout.requester:
        raise RefusedError(
            Refusal(
                "operator_role",
                "III",
                f"{person} asked for {rollout.name} and cannot approve it",
                remedy=f"ask another {' or '.join(allowed)} for sopwith rollout approve {rollout.id}",
            )
        )
    if not set(allowed) & set(roles):
        raise RefusedError(
            Refusal(
                "operator_role",
                "III",
                f"a {rollout.change_class} change is approved by {' or '.join(allowed)}; {person} is neither",
                remedy=f"ask one for sopwith rollout approve {rollout.id}",
            )
        )


def _short(digest: str) -> str:
    return f"{digest[:12]}..."


def valid_approvals(rollout: Rollout) -> tuple[Approval, ...]:
    """Return one approval per person over the plan as it stands now."""
    by_person = {a.person: a for a in rollout.approvals if a.plan_sha256 == rollout.plan_sha256}
    return tuple(by_person.values())


def is_enough(rollout: Rollout, policy: SopPolicy, profile: str, added: Sequence[Approval] = ()) -> bool:
    """Tell whether the approvals (with `added` ones) suffice for a start."""
    people = {a.person for a in (*rollout.approvals, *added) if a.plan_sha256 == rollout.plan_sha256}
    return len(people) >= approvers_needed(policy, rollout.change_class, profile)


def check_fresh(rollout: Rollout, policy: SopPolicy, profile: str) -> None:
    """Raise RefusedError at the start when approvals are missing or were given to another plan."""
    if is_enough(rollout, policy, profile):
        return
    raise RefusedError(
        Refusal(
            "approval_fresh",
            "VII",
            f"{rollout.name} has {len(valid_approvals(rollout))} of "
            f"{approvers_needed(policy, rollout.change_class, profile)} approvals of its present plan",
            remedy=f"sopwith rollout approve {rollout.id}",
        )
    )
