"""Runs one step through all its deaths: list its calls, kill before each, start again, ask the model.

Decides which points are tried and how a violation is told; what may be is the steps' model. A run that its point did
not kill has come through (its calls differ a little from run to run) and is judged like one that died at its end.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from tests.faults.crash.disks import Disk
from tests.faults.crash.killer import HarnessError, Point, points_of, run
from tests.faults.crash.steps import Step
from tests.faults.crash.world import World

Points = tuple[Point, ...]
Choice = Callable[[Points], Iterable[Point]]


@dataclass
class Counts:
    """What became of one step."""

    step: str
    points: int = 0
    came_through: int = 0
    """Runs that ended before their point; they are judged too."""
    violations: list[str] = field(default_factory=list)


def every(points: Points) -> Iterable[Point]:
    """Choose all points, and one behind the last of each call: the run that shows that there was no other."""
    last: dict[str, int] = {}
    for point in points:
        last[point.call] = max(point.number, last.get(point.call, 0))
    beyond = [Point(call, number + 1, "beyond") for call, number in last.items() if call not in ("open", "openat")]
    return [*points, *beyond]


def some(at_most: int, offset: int = 0) -> Choice:
    """Choose this many points, spread evenly from an offset on."""

    def choose(points: Points) -> Iterable[Point]:
        wanted = min(at_most, len(points))
        return [points[(offset + index * len(points) // wanted) % len(points)] for index in range(wanted)]

    return choose


def sweep(
    step: Step,
    world: World,
    disk: Disk,
    choose: Choice = every,
    *,
    until_found: bool = False,
    again: random.Random | None = None,
) -> Counts:
    """Kill the step at each chosen point, and cut the power at its end.

    `until_found` ends with the first violation. With `again` the restarted agent dies once more, anywhere.
    """
    counts = Counts(step.name)

    def lay() -> None:
        world.serve(world.older)
        run(lambda _promise: step.lay(world))

    disk.lay(lay)
    disk.begin()
    points = points_of(lambda promise: step.act(world, promise))
    for point in [*choose(points), None]:
        _try(step, world, disk, [point, again.choice(points)] if again and points else [point], counts)
        if until_found and counts.violations:
            break
    return counts


def _try(step: Step, world: World, disk: Disk, deaths: Sequence[Point | None], counts: Counts) -> None:
    """One death after the other; no point is the power that fails right after the step's end."""
    disk.begin()
    if step.name == "refresh":
        world.serve(world.newer)
    promises: tuple[str, ...] = ()
    counts.points += 1
    at = ", then ".join(str(point or "its end") for point in deaths)
    try:
        for point in deaths:
            died = run(lambda promise: step.act(world, promise), point)
            disk.cut()
            promises += died.promises
            counts.came_through += point is not None and not died.killed
        run(lambda _promise: step.judge(world, promises))
    except HarnessError as violation:
        counts.violations.append(f"{step.name} at {at}: {_last_line(str(violation))}")


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return " | ".join(lines[-8:])[-1200:]
