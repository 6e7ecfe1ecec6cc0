"""The planner: facts, policy and time in; the assignments that should exist now out."""

from datetime import datetime

from sopwith_controller.domain.tick import Explanation, RolloutView, TickDecision


def plan_tick(view: RolloutView, now: datetime) -> TickDecision:
    """Return what should happen to a rollout now."""
    raise NotImplementedError


def explain(view: RolloutView, now: datetime) -> tuple[Explanation, ...]:
    """Return what each unended assignment waits for, in plan order; by the same decision as `plan_tick`."""
    raise NotImplementedError
