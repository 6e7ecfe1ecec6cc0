"""How the computers of a rollout look on a terminal: each in a line where there are few, in groups where many.

Rules: computers that stand alike, with the same symptom, stand together with their number, the first names and what
most of them said; `--all` or `-o wide` shows each in plan order, `-o json` always does.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sopwith.v1 import rollout_pb2
from sopwith_controller.cli.explain_view import EACH_MAX
from sopwith_controller.cli.output import Column, emit, print_table, time_text
from sopwith_controller.cli.plan_view import named


def show_assignments(output: str, assignments: Sequence[rollout_pb2.Assignment], *, everything: bool = False) -> None:
    """Print each computer's share, or groups of them."""
    if output == "table" and not everything and len(assignments) > EACH_MAX:
        _print_groups(assignments)
    else:
        emit(output, assignments, _COLUMNS, name=lambda a: a.computer)


def _print_groups(assignments: Sequence[rollout_pb2.Assignment]) -> None:
    groups: dict[tuple[str, str], list[rollout_pb2.Assignment]] = {}
    for one in assignments:
        groups.setdefault((_state(one), one.symptom), []).append(one)
    rows = []
    for (state, symptom), alike in sorted(groups.items(), key=lambda item: -len(item[1])):
        said = Counter(one.detail for one in alike if one.detail).most_common(1)
        who = named([one.computer for one in alike])
        rows.append([f"{len(alike):,}", state, symptom or "-", f"{who}: {said[0][0]}" if said else who])
    print_table(["COMPUTERS", "STATE", "SYMPTOM", "WHO, AND WHAT MOST OF THEM SAID"], rows, wrap=3)
    print(f"\n{len(assignments):,} computers. Each: --all, or -o json.")


def _state(assignment: Any) -> str:
    stalled = " (stalled)" if assignment.HasField("stalled_time") else ""
    waits = " (put off)" if assignment.symptom == "USER_BUSY" and assignment.HasField("deferred_until_time") else ""
    return assignment.outcome or f"{assignment.state}{stalled}{waits}"


def _tries(assignment: Any) -> str:
    """Return for example "2 of 3, next at 2026-11-23T10:00:05Z"; empty before the first try."""
    if not assignment.attempts:
        return ""
    text = f"{assignment.attempts} of {assignment.attempts_max}"
    following = time_text(assignment, "next_try_time")
    return f"{text}, next at {following}" if following and not assignment.outcome else text


_COLUMNS = (
    Column("COMPUTER", lambda a: a.computer),
    Column("WAVE", lambda a: a.wave),
    Column("STATE", _state),
    Column("SYMPTOM", lambda a: a.symptom),
    Column("BEFORE", lambda a: a.version_before),
    Column("AFTER", lambda a: a.version_after),
    Column("TRIES", _tries),
    Column("DETAIL", lambda a: a.detail),
)
