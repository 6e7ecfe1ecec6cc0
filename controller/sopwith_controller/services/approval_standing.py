"""Whether the approvals of a rollout still stand: counts them against what their change class asks for.

Asked at a start, at a retry and at a resume; what follows from too few is the caller's. The tick and the agent look at
the signatures only: what runs goes on when an approver leaves, what stands still does not begin again.
"""

from dataclasses import dataclass
from datetime import datetime

from sopwith_controller.domain import approvals
from sopwith_controller.domain.errors import Refusal, RefusedError
from sopwith_controller.domain.rollout_entities import Approval, Rollout
from sopwith_controller.services.planning import standing_approvals
from sopwith_controller.services.ports import UnitOfWork
from sopwith_formats.sop_policy import SopPolicy


@dataclass(frozen=True)
class Standing:
    """The approvals that count, and how many are needed."""

    counted: tuple[Approval, ...]
    needed: int

    @property
    def enough(self) -> bool:
        """Tell whether nothing is missing."""
        return len(self.counted) >= self.needed

    @property
    def words(self) -> str:
        """Say what is missing."""
        return (
            f"{len(self.counted)} of {self.needed} approvals still count: an approval is at most "
            f"{approvals.APPROVAL_LIFE.days} days old and its giver may still approve"
        )


async def load_standing(unit: UnitOfWork, rollout: Rollout, policy: SopPolicy, now: datetime) -> Standing:
    """Return which approvals of the rollout's plan count now."""
    needed = approvals.approvers_needed(policy, rollout.change_class, (await unit.settings()).profile)
    if not needed:
        return Standing((), 0)
    return Standing(await standing_approvals(unit, rollout, policy, now), needed)


async def check_standing(unit: UnitOfWork, rollout: Rollout, policy: SopPolicy, now: datetime, remedy: str) -> None:
    """Raise RefusedError where too few approvals count."""
    standing = await load_standing(unit, rollout, policy, now)
    if not standing.enough:
        raise RefusedError(Refusal("approval_fresh", "VII", f"{rollout.name}: {standing.words}", remedy))
