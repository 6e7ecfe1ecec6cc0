"""One tick's leases and offers: which computer may start, until when, and which one gets a warrant now.

Decides after `wave_progress` has said which wave is open. Rules:

- A lease lasts five minutes, never beyond the window's last start or the deadline, and is renewed when less than half
  of it is left. It is taken back at once from a connected computer that may not start any more; one without a stream
  keeps it until it runs out, and gets no new one.
- An offer needs a ready computer (measured at most 15 minutes ago) with a live stream, an open window, a free place
  among `max_concurrency` and in its disruption group, and no other rollout at work on it; so does the lease of one
  that was parked. Who was offered before and lost its place goes first.
"""

from datetime import datetime, timedelta

from sopwith_controller.domain.assignment import occupies
from sopwith_controller.domain.readiness import needs_measuring
from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_controller.domain.standing import (
    BUDGET,
    CONCURRENCY,
    MEASURING,
    Wait,
    of_computer,
    of_connection,
    of_other_rollout,
    of_preparing,
    of_window,
)
from sopwith_controller.domain.survey import group_of
from sopwith_controller.domain.tick import ComputerView, HoldLease, OfferAssignment, RenewLease
from sopwith_controller.domain.tick_state import TickState
from sopwith_controller.domain.wave_progress import ask, look_again
from sopwith_formats.vocabulary import AssignmentState

LEASE = timedelta(minutes=5)
RENEW_WITHIN = LEASE / 2


def renew_leases(state: TickState) -> None:
    """Renew, or take back, the leases of computers that were offered and have not begun to install."""
    closed = [None if state.is_open(wave) else _not_open(state, wave) for wave in range(state.plan.tail + 1)]
    for assignment in state.found.offered:
        computer = state.computer(assignment)
        if not computer.connected:
            state.at(assignment.start_until_time)
            continue
        wave = state.moved.get(assignment.id, assignment.wave)
        wait = state.rollout_wait or closed[wave] or _lease_wait(state, assignment, computer)
        if wait:
            state.waits[assignment.id] = wait
            if assignment.start_until_time is not None:
                state.actions.append(HoldLease(assignment.id, assignment.computer_id, wait.message))
        else:
            _renew(state, assignment, computer)


def _not_open(state: TickState, wave: int) -> Wait:
    return Wait("wave", f"wave {state.plan.wave_name(wave)} is not open yet")


def _lease_wait(state: TickState, assignment: Assignment, computer: ComputerView) -> Wait | None:
    closed = of_window(state.window(computer))
    if closed:
        return closed
    if assignment.state is not AssignmentState.PREPARING:
        return None
    wait = of_preparing(assignment, computer, state.now)
    if wait or occupies(assignment, state.now):
        return wait
    return of_other_rollout(computer) or _take_place(state, computer)


def _renew(state: TickState, assignment: Assignment, computer: ComputerView) -> None:
    until = _lease_until(state, computer)
    held = assignment.start_until_time
    if held is None or (held - state.now < RENEW_WITHIN and until > held):
        state.actions.append(RenewLease(assignment.id, assignment.computer_id, until))
        held = until
    state.at(held - RENEW_WITHIN)


def _lease_until(state: TickState, computer: ComputerView) -> datetime:
    limits = [state.now + LEASE, state.window(computer).last_start, state.view.rollout.deadline_time]
    return min(limit for limit in limits if limit is not None)


def _take_place(state: TickState, computer: ComputerView) -> Wait | None:
    """Take a place among those that are updated at once; say what is full where there is none."""
    if state.found.occupied >= state.plan.max_concurrency:
        return CONCURRENCY
    budget = state.plan.disruption_budget
    if budget:
        group = group_of(state.view, computer)
        if state.found.groups.get(group, 0) >= budget.max_unavailable:
            return BUDGET
        state.found.groups[group] = state.found.groups.get(group, 0) + 1
    state.found.occupied += 1
    return None


def offer(state: TickState) -> None:
    """Offer to the members of the open wave, in plan order, while there are places."""
    wave = state.current
    if not state.is_open(wave):
        return
    measuring = 0
    for assignment in state.found.members[wave]:
        if assignment.state is not AssignmentState.PENDING:
            continue
        if state.found.occupied + measuring >= state.plan.max_concurrency and not state.explaining:
            return
        computer = state.computer(assignment)
        wait = _offer_wait(state, assignment, computer)
        if wait is None and needs_measuring(computer.readiness, state.now):
            wait = MEASURING
            if state.found.occupied + measuring < state.plan.max_concurrency:
                measuring += 1
                ask(state, assignment)
        wait = wait or _take_place(state, computer)
        if wait:
            state.waits[assignment.id] = wait
            state.at(wait.until)
            continue
        until = _lease_until(state, computer)
        state.offered.add(assignment.id)
        state.actions.append(OfferAssignment(assignment.id, assignment.computer_id, wave, until))
        state.at(until - RENEW_WITHIN)


def _offer_wait(state: TickState, assignment: Assignment, computer: ComputerView) -> Wait | None:
    wait = of_computer(computer, state.now)
    if wait:
        look_again(state, assignment)
        return wait
    return of_connection(computer) or of_window(state.window(computer)) or of_other_rollout(computer)
