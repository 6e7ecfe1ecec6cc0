"""Which deviations cover a rollout now: loads what `domain.deviation` wants to know, and decides nothing itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sopwith_controller.domain import deviation
from sopwith_controller.domain.deviation import Deviation
from sopwith_controller.domain.entities import Computer
from sopwith_controller.services.ports import UnitOfWork
from sopwith_formats.selector import parse_selector


@dataclass(frozen=True)
class Covering:
    """Deviations by gate: those that open it for this plan, and those that were given to an earlier plan."""

    deviations: dict[str, Deviation] = field(default_factory=dict)
    missed: dict[str, Deviation] = field(default_factory=dict)


async def load_covering(
    unit: UnitOfWork,
    *,
    sop_id: str,
    rollout_id: str,
    plan_sha256: str,
    computers: Sequence[Computer],
    now: datetime,
) -> Covering:
    """Return what covers a plan over these computers; `rollout_id` is empty for a plan that is no rollout yet."""
    return covering_among(
        await unit.deviations.unended(),
        sop_id=sop_id,
        rollout_id=rollout_id,
        plan_sha256=plan_sha256,
        computers=computers,
        now=now,
    )


def covering_among(
    unended: Sequence[Deviation],
    *,
    sop_id: str,
    rollout_id: str,
    plan_sha256: str,
    computers: Sequence[Computer],
    now: datetime,
) -> Covering:
    """Return what covers a plan, of deviations that were loaded already."""
    if not unended:
        return Covering()

    def matches_all(text: str) -> bool:
        selector = parse_selector(text)
        return all(selector.matches(computer.labels, computer.facts) for computer in computers)

    return Covering(
        deviations=deviation.covering(
            unended,
            sop_id=sop_id,
            rollout_id=rollout_id,
            plan_sha256=plan_sha256,
            matches_all=matches_all,
            now=now,
        ),
        missed=deviation.missed(unended, rollout_id, plan_sha256, now),
    )
