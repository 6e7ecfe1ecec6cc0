"""One planner tick over 10,000 and 100,000 assignments: a busy rollout in the middle of its last wave."""

from datetime import timedelta

from bench.measure import Line, best_cpu_seconds

from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.planner import plan_tick
from sopwith_controller.domain.rollout_entities import Assignment, Rollout, RolloutState, WaveProgress
from sopwith_controller.domain.tick import ComputerView, RolloutView
from sopwith_formats.vocabulary import AssignmentState, Outcome
from tests.controller.domain.builders import NOW, READY, a_plan, a_rollout

LIMIT_SECONDS = 0.25
_MIX = (
    AssignmentState.ENDED,
    AssignmentState.ENDED,
    AssignmentState.PENDING,
    AssignmentState.PENDING,
    AssignmentState.PENDING,
    AssignmentState.PENDING,
    AssignmentState.DOWNLOADING,
    AssignmentState.INSTALLING,
)
"""What the members of the open wave are doing."""


def lines() -> list[Line]:
    """Measure both sizes, and how the time grows from one to the other."""
    seconds = {size: _tick_seconds(size) for size in (10_000, 100_000)}
    growth = seconds[100_000] / seconds[10_000]
    large = seconds[100_000]
    return [
        Line(
            "planner tick, 100,000 assignments",
            f"{large * 1000:.0f} ms",
            f"{LIMIT_SECONDS * 1000:.0f} ms",
            large / LIMIT_SECONDS,
            f"10,000 assignments: {seconds[10_000] * 1000:.0f} ms",
        ),
        Line("planner tick, growth for ten times as many", f"{growth:.1f} x", "10 x (linear)", growth / 10),
    ]


def _tick_seconds(size: int) -> float:
    view = _view(size)
    return best_cpu_seconds(lambda: plan_tick(view, NOW), runs=4)


def _view(size: int) -> RolloutView:
    first = size // 10
    plan = a_plan(1, first, size - first - 1, max_concurrency=size // 10)
    passed = WaveProgress(NOW, NOW, NOW)
    rollout = a_rollout(
        plan,
        state=RolloutState.RUNNING,
        started_time=NOW,
        deadline_time=NOW + timedelta(days=14),
        waves=(passed, passed, WaveProgress(opened_time=NOW), WaveProgress()),
    )
    assignments = tuple(_assignment(plan, rollout, position, first) for position in range(size))
    computers = {
        member.id: ComputerView(id=member.id, name=member.name, connected=True, readiness=READY, last_seen_time=NOW)
        for member in plan.members
    }
    return RolloutView(rollout=rollout, plan=plan, assignments=assignments, computers=computers)


def _assignment(plan: Plan, rollout: Rollout, position: int, first: int) -> Assignment:
    """Return one that succeeded in a passed wave, installs, downloads, or waits."""
    member = plan.members[position]
    wave = 0 if position == 0 else 1 if position <= first else 2
    doing = AssignmentState.ENDED if wave < 2 else _MIX[position % len(_MIX)]
    waits = doing is AssignmentState.PENDING
    return Assignment(
        id=f"a{position}",
        rollout_id=rollout.id,
        computer_id=member.id,
        computer=member.name,
        position=position,
        wave=wave,
        state=doing,
        outcome=Outcome.SUCCEEDED if doing is AssignmentState.ENDED else "",
        offered_time=None if waits else NOW,
        start_until_time=None if waits else NOW + timedelta(minutes=4),
        ended_time=NOW if doing is AssignmentState.ENDED else None,
    )
