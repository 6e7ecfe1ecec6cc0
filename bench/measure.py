"""How bench measures and what it says: the best of a few runs, one line per goal, ratios instead of verdicts.

The best run is the one that was disturbed least by whatever else the computer did; what only computes is measured in
processor time, which leaves out most of the rest. A ratio above 1 means: worse than
the limit. Nothing here fails a build; people read the table.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

_SOMETHING = [{"number": number, "text": "x" * 50, "list": [number] * 5} for number in range(300)]


@dataclass(frozen=True)
class Line:
    """One measurement beside its limit; texts carry their units."""

    what: str
    measured: str
    limit: str
    ratio: float | None = None
    """Measured by limit, so that 1 is just met and less is better; None where nothing was measured."""
    beside: str = ""
    """The peer or floor that was measured in the same run."""


def best_seconds(work: Callable[[], object], runs: int = 3) -> float:
    """Return the shortest time of some runs."""
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def best_cpu_seconds(work: Callable[[], object], runs: int = 3) -> float:
    """Return the shortest processor time of some runs of this process."""
    times = []
    for _ in range(runs):
        begun = time.process_time()
        work()
        times.append(time.process_time() - begun)
    return min(times)


def cost_of_rest(rest_seconds: float = 5.0, rounds: int = 3) -> float:
    """Return how many times its usual processor time a small piece of work takes after a rest; the median of some.

    Where a machine's processors and caches are lent to others meanwhile, the time to get them back is charged to
    whoever works first. A figure of rare, small work cannot be read without it.
    """
    _small_work()
    ratios = []
    for _ in range(rounds):
        time.sleep(rest_seconds)
        ratios.append(_small_work() / _small_work())
    return sorted(ratios)[rounds // 2]


def _small_work() -> int:
    """Return the processor time, in nanoseconds, of writing and reading some JSON."""
    begun = time.thread_time_ns()
    for _ in range(3):
        json.loads(json.dumps(_SOMETHING))
    return time.thread_time_ns() - begun


def print_table(lines: list[Line]) -> None:
    """Print the lines side by side."""
    rows = [("what", "measured", "limit", "measured / limit", "beside it in the same run")]
    rows += [(line.what, line.measured, line.limit, _ratio(line), line.beside) for line in lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if not number:
            print("  ".join("-" * width for width in widths))


def _ratio(line: Line) -> str:
    if line.ratio is None:
        return "-"
    return f"{line.ratio:.2f}{' !' if line.ratio > 1 else ''}"
