"""The emergency door: one for all urgency, open to everybody who may start a rollout, and looked at afterwards.

Decides whether the door opens a next time, until when a use of it must be reviewed, and whose review counts; its waves
and the missing prior approval are `approvals`' and `planning`'s, telling people is the incidents'. Rules (SOP, VII):

- Nobody approves before. The review is due within the time that the SOP names, 24 h unless it names a shorter one.
- The reviewer may approve and neither asked for the rollout nor started it.
- While one use waits for its review, the next is started by the owner or the IT manager only.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from sopwith_controller.domain.approvals import APPROVER_ROLES, EMERGENCY, rule_of
from sopwith_controller.domain.deviation import said
from sopwith_controller.domain.errors import Refusal, RefusedError, TransitionNotAllowedError
from sopwith_controller.domain.rollout_entities import Rollout
from sopwith_formats.sop_policy import SopPolicy

REVIEW_WITHIN = timedelta(hours=24)


def review_due(rollout: Rollout, policy: SopPolicy) -> datetime | None:
    """Return until when it must be reviewed; None for one that used no emergency door, or not yet."""
    if not rollout.emergency or rollout.started_time is None:
        return None
    seconds = rule_of(policy, EMERGENCY).review_within_seconds
    return rollout.started_time + (timedelta(seconds=seconds) if seconds else REVIEW_WITHIN)


def waits_for_review(rollout: Rollout) -> bool:
    """Tell whether somebody has yet to look at this use of the door."""
    return rollout.emergency and rollout.started_time is not None and rollout.reviewed_time is None


def check_next(rollout: Rollout, others: Iterable[Rollout], *, person: str, roles: Collection[str]) -> None:
    """Raise RefusedError where an earlier use waits for review and somebody else than its judges starts the next."""
    waiting = [other for other in others if other.id != rollout.id and waits_for_review(other)]
    if not rollout.emergency or not waiting or set(APPROVER_ROLES) & set(roles):
        return
    raise RefusedError(
        Refusal(
            "approval_fresh",
            "VII",
            f"the emergency rollout {waiting[0].name} waits for its review; until then {person} may not start another",
            remedy=f"ask owner or it_manager for sopwith rollout review {waiting[0].id} --note TEXT, or to start this",
        )
    )


def review(
    rollout: Rollout, policy: SopPolicy, *, person: str, roles: Collection[str], note: str, now: datetime
) -> Rollout:
    """Write down that somebody looked at an emergency rollout, and what they found."""
    if not waits_for_review(rollout):
        raise TransitionNotAllowedError(
            f"rollout {rollout.name} waits for no review"
            + (f"; {rollout.reviewed_by} reviewed it" if rollout.reviewed_by else ""),
            remedy="sopwith rollout list",
        )
    allowed = rule_of(policy, EMERGENCY).approver_roles or APPROVER_ROLES
    remedy = f"ask another {' or '.join(allowed)} for sopwith rollout review {rollout.id} --note TEXT"
    if person in {rollout.requester, rollout.operator}:
        reason = f"{person} asked for or started {rollout.name} and cannot review it"
        raise RefusedError(Refusal("operator_role", "III", reason, remedy))
    if not set(allowed) & set(roles):
        reason = f"an emergency change is reviewed by {' or '.join(allowed)}; {person} is neither"
        raise RefusedError(Refusal("operator_role", "III", reason, remedy))
    return replace(rollout, reviewed_by=person, reviewed_time=now, review_note=said(note, "a note", "--note"))
