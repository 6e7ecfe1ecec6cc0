"""The reasons of a tick, one per computer that has not ended: what `sopwith rollout explain` shows.

Decides only which of the reasons that the tick acted on is the one to show first; it measures and judges nothing anew.
"""

from dataclasses import replace

from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_controller.domain.standing import (
    CONCURRENCY,
    RELEASE,
    Wait,
    of_computer,
    of_connection,
    of_nothing,
    of_people,
    of_progress,
    of_window,
)
from sopwith_controller.domain.tick import Explanation
from sopwith_controller.domain.tick_state import TickState
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState


def explain_all(state: TickState, computer: str = "") -> tuple[Explanation, ...]:
    """Return one explanation per unended assignment, in plan order; before the start one per member of the plan.

    With the name of a computer only those of that one.
    """
    if not state.view.assignments and state.rollout_wait:
        return tuple(one for one in _of_plan(state, state.rollout_wait) if computer in {"", one.computer})
    found = [
        (a, wave)
        for wave, members in enumerate(state.found.members)
        for a in members
        if not computer or a.computer == computer
    ]
    found.sort(key=_position)
    return tuple(_explanation(state, assignment, wave) for assignment, wave in found)


def _position(item: tuple[Assignment, int]) -> int:
    return item[0].position


def _of_plan(state: TickState, wait: Wait) -> tuple[Explanation, ...]:
    names = [wave.name for wave in state.plan.waves for _ in range(wave.size)]
    return tuple(
        Explanation("", member.name, "PENDING", name, wait.waits_for, wait.message, wait.remedy, wait.until)
        for member, name in zip(state.plan.members, names, strict=True)
    )


def _explanation(state: TickState, assignment: Assignment, wave: int) -> Explanation:
    wait = _wait(state, assignment, wave)
    return Explanation(
        assignment=assignment.id,
        computer=assignment.computer,
        state=assignment.state,
        wave=state.plan.wave_name(wave),
        waits_for=wait.waits_for,
        message=wait.message,
        remedy=wait.remedy.replace(RELEASE, state.plan.release),
        until=wait.until,
    )


def _wait(state: TickState, assignment: Assignment, wave: int) -> Wait:
    if assignment.state is AssignmentState.AWAITING_REBOOT:
        return state.waits.get(assignment.id) or of_progress(assignment, state.plan.attempts_max)
    if assignment.state not in BEFORE_INSTALLING or assignment.stalled_time:
        return of_progress(assignment, state.plan.attempts_max)
    if state.rollout_wait:
        return state.rollout_wait
    if assignment.state is AssignmentState.PENDING:
        return _wait_of_pending(state, assignment, wave)
    waits = of_people(assignment, state.now) or state.waits.get(assignment.id)
    return waits or of_connection(state.computer(assignment)) or of_progress(assignment, state.plan.attempts_max)


def _wait_of_pending(state: TickState, assignment: Assignment, wave: int) -> Wait:
    if assignment.id in state.offered:
        return of_nothing(assignment)
    if wave == state.current and state.is_open(wave):
        return state.waits.get(assignment.id, CONCURRENCY)
    if wave == state.plan.tail:
        return _of_tail(of_computer(state.computer(assignment), state.now))
    if wave == state.current and state.current_wait and state.current_wait.waits_for in {"window", "start"}:
        # The wave waits for the first of its members; each of them waits for its own window.
        return of_window(state.window(state.computer(assignment))) or state.current_wait
    return state.current_wait or _before(state, wave)


def _of_tail(wait: Wait | None) -> Wait:
    after = "it moved to the tail, which opens after the last wave"
    return replace(wait, message=f"{wait.message}; {after}") if wait else Wait("wave", after)


def _before(state: TickState, wave: int) -> Wait:
    name, current = state.plan.wave_name(wave), state.plan.wave_name(state.current)
    return Wait("wave", f"wave {name} opens when wave {current} has passed")
