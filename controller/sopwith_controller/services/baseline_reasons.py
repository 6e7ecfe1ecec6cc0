"""Why one computer is not offered a baseline at this moment: what `sopwith rollout explain` says after the end.

This module asks, in the order in which a look at newcomers does, and says the first reason; nothing is judged anew. It
changes nothing.
"""

from sopwith_controller.domain import baseline as rules
from sopwith_controller.domain.entities import Computer, ComputerState
from sopwith_controller.domain.lasting_entities import Baseline
from sopwith_controller.domain.rollout import ACTIVE_STATES
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.domain.tick import Explanation
from sopwith_controller.services.newcomers import objection_to
from sopwith_controller.services.ports import UnitOfWork
from sopwith_controller.services.rollout_records import RolloutRecords


async def why_not_offered(
    records: RolloutRecords, unit: UnitOfWork, baseline: Baseline, computer: Computer, *, connected: bool
) -> Explanation:
    """Return why this computer has no share in a catch-up of the baseline."""
    waits_for, reason = "none", ""
    if computer.state is not ComputerState.ACCEPTED:
        reason = f"it is {computer.state}"
    else:
        reason = await objection_to(
            records,
            unit,
            baseline,
            computer,
            in_force=await unit.baselines.in_force(),
            active=await unit.rollouts.in_states(sorted(ACTIVE_STATES)),
        )
    absence = "" if reason else rules.absence(computer, connected=connected)
    if absence:
        waits_for, reason = "readiness" if connected else "connection", absence
    elif not reason:
        waits_for, reason = await _under_way(unit, baseline)
    return Explanation(
        assignment="",
        computer=computer.name,
        state="",
        wave="",
        waits_for=waits_for,
        message=f"{baseline.release} is the baseline since {baseline.name} completed; {computer.name}: {reason}",
        remedy=f"sopwith release permit {baseline.release} --computer {computer.name}, by a second person"
        if "second person" in reason
        else "",
    )


async def _under_way(unit: UnitOfWork, baseline: Baseline) -> tuple[str, str]:
    """Return what a computer waits for that may have the release, and the sentence."""
    catch_up = await unit.rollouts.get(baseline.catch_up_id) if baseline.catch_up_id else None
    if catch_up is not None and catch_up.state is RolloutState.IN_REVIEW:
        return "approval", f"it lacks it, and {catch_up.name} ({catch_up.id}) waits for approval"
    if catch_up is not None and catch_up.state in {RolloutState.DRAFT, RolloutState.APPROVED}:
        why = baseline.waiting or catch_up.state_reason
        return "approval", f"it lacks it, and {catch_up.name} ({catch_up.id}) is {catch_up.state}: {why}"
    if baseline.waiting:
        return "approval", f"it lacks it, and no catch-up may be opened: {baseline.waiting}"
    return "wave", "it lacks it, and a catch-up takes it in at the next look"
