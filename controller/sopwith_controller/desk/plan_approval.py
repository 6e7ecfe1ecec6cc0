"""Approving a plan with the person's own key, on the person's own machine."""

from datetime import UTC, datetime

from sopwith_certs import signing
from sopwith_certs.plan_approvals import sign_approval
from sopwith_controller.desk.context import Context
from sopwith_formats.plan_approval import PlanApproval
from sopwith_formats.units import format_time


def sign_plan(context: Context, rollout_id: str, plan_sha256: str) -> bytes:
    """Return the DSSE envelope of this person's approval of a plan's digest."""
    key = signing.read_private_key(context.read(context.key))
    approval = PlanApproval(
        rollout_id=rollout_id,
        plan_sha256=plan_sha256,
        person=context.person,
        signed_time=format_time(datetime.now(UTC)),
        key_id=signing.fingerprint(key.public_key()),
    )
    return sign_approval(approval, key)
