"""Whether a warrant's change class is carried by evidence: the agent asks the controller's question again.

Decides by what the warrant brings and what this computer was told of the SOP; whose signature holds is the port's, what
the SOP asks of people before a start is the controller's. Rules:

- standard: the SOP covers it. Of the revision that this computer holds the policy digest must be the warrant's, and no
  revision counts that it was never told of, because the controller tells of a revision before it rolls anything out
  under it. An older one than the first that it was told of may stand: a rollout keeps the revision that it cited.
- normal: enough approvals of exactly this rollout's plan, at least one, each by another person, none by who asked.
- emergency: nobody before; the flag and the class must say the same.
- Any other class is refused.
"""

from sopwith_agent.domain.errors import TrustError
from sopwith_agent.steps.ports import ApprovalProof, HeldPolicies
from sopwith_formats.vocabulary import Symptom
from sopwith_formats.warrant import Warrant

STANDARD, NORMAL, EMERGENCY = "standard", "normal", "emergency"


def check_authorised(warrant: Warrant, proof: ApprovalProof, held: HeldPolicies) -> None:
    """Raise TrustError unless the change class of this warrant is carried by its evidence."""
    if warrant.change_class not in {STANDARD, NORMAL, EMERGENCY}:
        raise refused(f"it is of the unknown change class {warrant.change_class[:40]!r}")
    if warrant.emergency != (warrant.change_class == EMERGENCY):
        raise refused("its change class and its emergency flag contradict each other")
    if warrant.change_class == NORMAL:
        _check_approvals(warrant, proof)
    _check_policy(warrant, held.digests(warrant.sop_id))


def refused(why: str) -> TrustError:
    """Return the refusal of a warrant."""
    return TrustError(
        Symptom.WARRANT_REFUSED,
        f"The warrant is refused: {why}.",
        remedy="check that the instruction came from the fleet's own controller",
    )


def _check_approvals(warrant: Warrant, proof: ApprovalProof) -> None:
    needed = max(1, warrant.approvals_needed)
    approvers: set[str] = set()
    for one in warrant.approvals:
        person, approval = proof.approver(one["envelope"], one["certificate"])
        if (approval.rollout_id, approval.plan_sha256) != (warrant.rollout_id, warrant.plan_sha256):
            raise refused(f"the approval of {approval.person} was given to another rollout or plan")
        if person == warrant.requester:
            raise refused(f"{approval.person} approved what they asked for themselves")
        approvers.add(person)
    if not warrant.requester or len(approvers) < needed:
        raise refused(f"it is a normal change, and {len(approvers)} of {needed} approvals of its plan came with it")


def _check_policy(warrant: Warrant, digests: dict[int, str]) -> None:
    if not digests:
        return
    known = digests.get(warrant.sop_revision)
    if known is not None and known != warrant.policy_sha256:
        raise refused(f"{warrant.sop_id} revision {warrant.sop_revision} has another policy than the warrant names")
    if known is None and warrant.sop_revision > max(digests):
        raise refused(f"this computer was never told of {warrant.sop_id} revision {warrant.sop_revision}")
