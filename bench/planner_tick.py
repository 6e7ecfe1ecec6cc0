"""One planner tick over 1,000, 10,000 and 100,000 assignments: a busy rollout in the middle of its last wave."""

from datetime import timedelta

from bench.measure import Line, best_cpu_seconds

from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.planner import plan_tick
from sopwith_controller.domain.rollout_entities import Assignment, Rollout, RolloutState, WaveProgress
from sopwith_controller.domain.tick import ComputerView, RolloutView
from sopwith_formats.vocabulary import AssignmentState, Outcome
from tests.controller.domain.builders import NOW, READY, a_plan, a_rollout

LIMIT_SECONDS = 0.25
SIZES = (1_000, 10_000, 100_000)
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
    """Measure three sizes, and how the time grows, beside a loop that only looks at the same objects."""
    measured = {size: _seconds(size) for size in SIZES}
    (tick, bare), large = measured[SIZES[-1]], SIZES[-1]
    others = ", ".join(f"{size:,}: {measured[size][0] * 1000:.1f} ms" for size in SIZES[:-1])
    return [
        Line(
            f"planner tick, {large:,} assignments",
            f"{tick * 1000:.0f} ms",
            f"{LIMIT_SECONDS * 1000:.0f} ms",
            tick / LIMIT_SECONDS,
            f"a loop over the same objects: {bare * 1000:.0f} ms ({tick / bare:.1f} x); {others}",
        ),
        *(_growth(measured, size) for size in SIZES[:-1]),
    ]


def _growth(measured: dict[int, tuple[float, float]], small: int) -> Line:
    (tick, bare), (tick_large, bare_large) = measured[small], measured[SIZES[-1]]
    growth, bare_growth = tick_large / tick, bare_large / bare
    return Line(
        f"planner tick, growth from {small:,} to {SIZES[-1]:,}",
        f"{growth:.0f} x",
        f"{bare_growth:.0f} x (the bare loop)",
        growth / bare_growth,
        f"{SIZES[-1] / small:.0f} x were the caches large enough",
    )


def _seconds(size: int) -> tuple[float, float]:
    """Return the time of a tick and of the bare loop."""
    view = busy_view(size)
    runs = 5 if size == SIZES[-1] else 20
    return best_cpu_seconds(lambda: plan_tick(view, NOW), runs), best_cpu_seconds(lambda: _look(view), runs)


def _look(view: RolloutView) -> int:
    """Touch what a tick has to touch: every assignment, and the computer of every one that has not ended."""
    connected = 0
    for assignment in view.assignments:
        if assignment.state is not AssignmentState.ENDED and view.computers[assignment.computer_id].connected:
            connected += 1
    return connected


def busy_view(size: int) -> RolloutView:
    """Return a rollout whose last wave is open: a third ended, half waiting, the rest at work."""
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
