"""Why a computer that was ready never started: the words that go with NOT_STARTED at the deadline.

Decides which obstacle is named when several stand in the way: what holds the whole rollout (suspended, paused, a
freeze) before the window, the computer's own bar, the wave, and last the places (disruption budget, concurrency).
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from sopwith_controller.domain.assignment import takes_place
from sopwith_controller.domain.openings import opening
from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_controller.domain.standing import Wait, of_window
from sopwith_controller.domain.tick import ComputerView, RolloutView
from sopwith_formats.vocabulary import AssignmentState

Group = tuple[str, ...]


def group_of(view: RolloutView, computer: ComputerView) -> Group:
    """Return the group of the disruption budget that a computer belongs to."""
    budget = view.plan.disruption_budget
    return tuple(computer.labels.get(label, "") for label in (budget.group_by if budget else ()))


def groups_at_work(view: RolloutView, now: datetime) -> Mapping[Group, int]:
    """Count who is being updated by group of the disruption budget, before any of them is concluded."""
    if not view.plan.disruption_budget:
        return {}
    at_work = (one for one in view.assignments if takes_place(one, now))
    return Counter(group_of(view, view.computers[one.computer_id]) for one in at_work)


def stood_in_the_way(
    view: RolloutView,
    assignment: Assignment,
    computer: ComputerView,
    *,
    rollout_wait: Wait | None,
    groups: Mapping[Group, int],
    now: datetime,
) -> str:
    """Return what kept an unended assignment from starting until now; `groups`: from `groups_at_work`."""
    wait = rollout_wait or _of_window(view, computer, now)
    if wait:
        return wait.message
    return _of_computer(computer) or _of_wave(view, assignment) or _of_places(view, assignment, computer, groups)


def _of_window(view: RolloutView, computer: ComputerView, now: datetime) -> Wait | None:
    group = view.plan.groups_of_members.get(computer.id, computer.group)
    takes = view.estimates.of(computer.platform).takes
    return of_window(opening(view.plan, group, computer.time_zone, now, takes))


def _of_computer(computer: ComputerView) -> str:
    if computer.rolled_back_before:
        return "it rolled the release back before, and nobody permitted it again"
    if computer.benched:
        return f"it {computer.benched}"
    return f"rollout {computer.busy_with} was updating it" if computer.busy_with else ""


def _of_wave(view: RolloutView, assignment: Assignment) -> str:
    waves = view.rollout.waves
    if assignment.wave < len(waves) and waves[assignment.wave].opened_time is None:
        return f"wave {view.plan.wave_name(assignment.wave)} was not opened"
    return ""


def _of_places(view: RolloutView, assignment: Assignment, computer: ComputerView, groups: Mapping[Group, int]) -> str:
    budget = view.plan.disruption_budget
    if assignment.state is not AssignmentState.PENDING:
        held = assignment.waiting if assignment.start_until_time is None else ""
        return held or f"it was {assignment.state}"
    if budget and groups.get(group_of(view, computer), 0) >= budget.max_unavailable:
        return f"as many computers of its group as the disruption budget allows ({budget.max_unavailable}) were updated"
    return f"no place among the {view.plan.max_concurrency} that are updated at once came free"
