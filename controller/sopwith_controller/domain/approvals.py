"""What a change class asks for before a rollout may start, and whose approval counts.

Decides class, need, and whether one approval or all of them hold; signatures are checked where keys are known. Rules:

- standard: covered by the signed SOP, nobody is asked. normal: named approvers before the start. emergency: nobody
  before, a review afterwards.
- The strictest of SOP, release and profile counts: a SOP whose standard changes are not covered by its signatures, a
  release of class normal or emergency, and `regulated` each make a rollout at least normal.
- An approver is never the requester, holds one of the class's roles, and approves the digest of the plan as it stands
  now; a changed plan makes an approval stale. At the start an approval is at most 14 days old, and who gave it may
  still approve.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sopwith_controller.domain.errors import Refusal, RefusedError
from sopwith_controller.domain.rollout_entities import Approval, Rollout, RolloutState
from sopwith_formats.manifest import Manifest
from sopwith_formats.rollout_spec import RolloutSpec
from sopwith_formats.sop_policy import ChangeClass, SopPolicy, WaveRule

STANDARD, NORMAL, EMERGENCY = "standard", "normal", "emergency"
APPROVER_ROLES = ("owner", "it_manager")
APPROVAL_LIFE = timedelta(days=14)
"""How long an approval may wait for the start of its rollout."""

_DEFAULTS = {
    STANDARD: ChangeClass(approval="sop"),
    NORMAL: ChangeClass(approval="before", approvers_count=1, approver_roles=APPROVER_ROLES),
    EMERGENCY: ChangeClass(
        approval="after",
        approver_roles=APPROVER_ROLES,
        review_within_seconds=24 * 3600,
        waves=(WaveRule("canary", 1, 600), WaveRule("early", "10%", 900), WaveRule("rest", "100%")),
    ),
}


def change_class_of(spec: RolloutSpec, manifest: Manifest, policy: SopPolicy, profile: str) -> str:
    """Return the strictest class; only the rollout itself opens the emergency door."""
    if spec.emergency:
        return EMERGENCY
    by_sop = NORMAL if rule_of(policy, STANDARD).approval != "sop" else STANDARD
    by_release = NORMAL if manifest.change_class != STANDARD else STANDARD
    by_profile = NORMAL if profile == "regulated" else STANDARD
    return NORMAL if NORMAL in {by_sop, by_release, by_profile} else STANDARD


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


def standing(
    rollout: Rollout, policy: SopPolicy, roster: Mapping[str, Collection[str]], now: datetime
) -> tuple[Approval, ...]:
    """Return the approvals that still count for a start: young enough, by people who still may approve.

    `roster` names the roles of everybody who may act at all, by name.
    """
    rule = rule_of(policy, rollout.change_class)
    allowed = set(rule.approver_roles or APPROVER_ROLES)
    return tuple(
        approval
        for approval in valid_approvals(rollout)
        if now < approval.time + APPROVAL_LIFE
        and allowed & set(roster.get(approval.person, ()))
        and not (rule.not_requester and approval.person == rollout.requester)
    )


def check_prepared(rollout: Rollout) -> None:
    """Raise RefusedError for a rollout whose preparation or approval is still to come; nothing of it may start."""
    if rollout.state is RolloutState.DRAFT:
        reason = f"{rollout.name} was not submitted: preparation comes before the start"
        raise RefusedError(Refusal("sop_step_order", "III", reason, f"sopwith rollout submit {rollout.id}"))
    if rollout.state is RolloutState.IN_REVIEW:
        reason = f"{rollout.name} is IN_REVIEW: its plan waits for its approval"
        remedy = f"sopwith rollout approve {rollout.id}, by somebody else than {rollout.requester}"
        raise RefusedError(Refusal("approval_fresh", "VII", reason, remedy))


def check_envelope(
    rollout: Rollout, named: tuple[str, str, str], person: str, signed_time: datetime, now: datetime
) -> None:
    """Raise RefusedError for an approval that was signed for something else, by somebody else, or long ago.

    `named`: the rollout's id, the plan's digest and the person, as the signed words have them.
    """
    wrong = ""
    if named[0] != rollout.id:
        wrong = "for another rollout"
    elif named[1] != rollout.plan_sha256:
        wrong = "for another plan"
    elif named[2] != person:
        wrong = f"by {named[2]}"
    elif signed_time + APPROVAL_LIFE <= now:
        wrong = f"more than {APPROVAL_LIFE.days} days ago"
    if wrong:
        reason = f"the approval that came for {rollout.name} was signed {wrong}"
        raise RefusedError(Refusal("approval_fresh", "VII", reason, f"sopwith rollout approve {rollout.id}"))


def is_enough(rollout: Rollout, policy: SopPolicy, profile: str, added: Sequence[Approval] = ()) -> bool:
    """Tell whether the approvals (with `added` ones) suffice for a start."""
    people = {a.person for a in (*rollout.approvals, *added) if a.plan_sha256 == rollout.plan_sha256}
    return len(people) >= approvers_needed(policy, rollout.change_class, profile)


def check_fresh(rollout: Rollout, policy: SopPolicy, profile: str) -> None:
    """Raise RefusedError when approvals are missing or were given to another plan."""
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
