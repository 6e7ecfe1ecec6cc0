"""One tick's leases and offers: which computer may start, until when, and which one gets a warrant now.

Decides after `wave_progress` has said which wave is open. Rules:

- A lease lasts five minutes, never beyond the window's last start or the deadline, and is renewed when less than half
  of it is left. It is taken back at once from a connected computer that may not start any more; one without a stream
  keeps it until it runs out, and gets no new one.
- A lease ends where the window's last start is, which lies before its end by the cutoff and by what the install is
  measured to take, and never within a freeze that is known ahead. Who was staged ahead gets its lease when the window
  opens, those with all files first.
- An offer needs a ready computer (measured at most 15 minutes ago) with a live stream, an open window, a free place
  among `max_concurrency` and in its disruption group, and no other rollout at work on it; so does the lease of one
  that was parked. Who was offered before and lost its place goes first.
- A stalled computer's lease is not renewed; a minute after it ran out it gives its place back, and it needs a free one
  when it is heard of again. So nobody starts in its place while it might still start.
"""

from datetime import datetime, timedelta

from sopwith_controller.domain.assignment import occupies
from sopwith_controller.domain.not_started import group_of
from sopwith_controller.domain.readiness import needs_measuring
from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_controller.domain.standing import (
    BANDWIDTH,
    BUDGET,
    CONCURRENCY,
    MEASURING,
    STALLED,
    Wait,
    of_computer,
    of_connection,
    of_other_rollout,
    of_preparing,
    of_staging,
)
from sopwith_controller.domain.survey import downloads
from sopwith_controller.domain.tick import ComputerView, HoldLease, OfferAssignment, RenewLease
from sopwith_controller.domain.tick_state import TickState
from sopwith_controller.domain.wave_progress import ask, look_again
from sopwith_formats.vocabulary import AssignmentState

LEASE = timedelta(minutes=5)
RENEW_WITHIN = LEASE / 2
WORD_UNDER_WAY = timedelta(minutes=1)
"""How long after a stalled computer's lease ran out the word of a start in its last second may still come."""


def renew_leases(state: TickState) -> None:
    """Renew, or take back, the leases of computers that were offered and have not begun to install."""
    closed = [None if state.is_open(wave) else _not_open(state, wave) for wave in range(state.plan.tail + 1)]
    for assignment in _with_files_first(state):
        computer = state.computer(assignment)
        if not computer.connected:
            state.at(assignment.start_until_time)
            continue
        wave = state.moved.get(assignment.id, assignment.wave)
        wait = state.rollout_wait or closed[wave] or _lease_wait(state, assignment, computer)
        if wait and state.explaining and assignment.start_until_time is None:
            wait = _ahead(state, assignment, computer, wait)
        if wait:
            state.waits[assignment.id] = wait
            if assignment.start_until_time is not None:
                state.actions.append(HoldLease(assignment.id, assignment.computer_id, wait.message))
        else:
            _renew(state, assignment, computer)


def _with_files_first(state: TickState) -> list[Assignment]:
    """Return those that were offered: where a window just opened, whoever can install at once stands first."""
    offered = state.found.offered
    if not state.plan.staging_seconds:
        return offered
    staged = [a for a in offered if a.state is AssignmentState.STAGED]
    return [*staged, *(a for a in offered if a.state is not AssignmentState.STAGED)]


def _ahead(state: TickState, assignment: Assignment, computer: ComputerView, wait: Wait) -> Wait:
    """Return the wait of one without a lease; that it has files already is worth saying."""
    window = state.window_wait(computer) if wait.waits_for in {"window", "start", "wave"} else None
    return of_staging(assignment, window) if window else wait


def _not_open(state: TickState, wave: int) -> Wait:
    return Wait("wave", f"wave {state.plan.wave_name(wave)} is not open yet")


def _lease_wait(state: TickState, assignment: Assignment, computer: ComputerView) -> Wait | None:
    closed = state.window_wait(computer)
    if closed:
        return closed
    if assignment.state is AssignmentState.PREPARING:
        wait = of_preparing(assignment, computer, state.now)
        if wait:
            return wait
    if _gave_up_its_place(assignment, state.now):
        return STALLED
    if occupies(assignment, state.now):
        held = assignment.start_until_time
        return None if held is not None and held > state.now else _one_too_many(state, computer)
    parked = assignment.state is AssignmentState.PREPARING and not downloads(assignment)
    return of_other_rollout(computer) or take_place(state, computer, loads=parked)


def _gave_up_its_place(assignment: Assignment, now: datetime) -> bool:
    """Tell whether one is stalled and cannot start any more by the leave that it had."""
    held = assignment.start_until_time
    if assignment.stalled_time is None:
        return False
    return held is None or not occupies(assignment, now) or held + WORD_UNDER_WAY <= now


def _renew(state: TickState, assignment: Assignment, computer: ComputerView) -> None:
    held = assignment.start_until_time
    if held is not None and assignment.stalled_time is not None:
        state.at(held if held > state.now else held + WORD_UNDER_WAY)
        return
    beyond = held is not None and held > state.now + LEASE  # the controller's clock was set back since
    if held is None or beyond or held - state.now < RENEW_WITHIN:
        until = lease_until(state, state.window(computer).last_start)
        if held is None or beyond or until > held:
            state.actions.append(RenewLease(assignment.id, assignment.computer_id, until))
            held = until
    state.at(held - RENEW_WITHIN)


def lease_until(state: TickState, last_start: datetime | None) -> datetime:
    """Return until when a lease that is given now lasts, under a window's last start."""
    view = state.view
    deviated = view.deviations.get("freeze")
    frozen_from = view.freeze_begins
    if deviated and (view.freezes or frozen_from):
        frozen_from = deviated.expires_time  # a freeze holds this rollout from there on, at the earliest
    limits = [state.now + LEASE, last_start, view.rollout.deadline_time, frozen_from]
    return min(limit for limit in limits if limit is not None)


def is_full(state: TickState) -> bool:
    """Tell whether as many computers download as the plan's bandwidth allows."""
    return state.downloads_max is not None and state.found.downloading >= state.downloads_max


def take_place(state: TickState, computer: ComputerView, *, loads: bool) -> Wait | None:
    """Take a place among those that are updated at once; say what is full where there is none."""
    if loads and is_full(state):
        return BANDWIDTH
    if state.found.occupied >= state.plan.max_concurrency:
        return CONCURRENCY
    if state.plan.disruption_budget:
        if _group_is_full(state, computer):
            return BUDGET
        group = group_of(state.view, computer)
        state.found.groups[group] = state.found.groups.get(group, 0) + 1
    state.found.occupied += 1
    state.found.downloading += loads
    return None


def _group_is_full(state: TickState, computer: ComputerView) -> bool:
    """Tell whether the disruption budget lets nobody more of its group be updated."""
    budget = state.plan.disruption_budget
    return budget is not None and state.found.groups.get(group_of(state.view, computer), 0) >= budget.max_unavailable


def _one_too_many(state: TickState, computer: ComputerView) -> Wait | None:
    """Say that a computer whose lease has run out has to wait, and free its place for those that follow.

    One that was parked may say that it downloads after its place was given away; the places are more than full then,
    and to let it start as well would change more computers at once than the plan allows.
    """
    budget, group = state.plan.disruption_budget, group_of(state.view, computer)
    if state.found.occupied > state.plan.max_concurrency:
        wait = CONCURRENCY
    elif budget and state.found.groups.get(group, 0) > budget.max_unavailable:
        wait = BUDGET
    else:
        return None
    state.found.occupied -= 1
    if budget:
        state.found.groups[group] -= 1
    return wait


def offer(state: TickState) -> None:
    """Offer to the members of the open wave, in plan order, while there are places."""
    wave = state.current
    if not state.is_open(wave):
        return
    measuring = 0
    for assignment in state.found.members[wave]:
        if assignment.state is not AssignmentState.PENDING:
            continue
        full = is_full(state) or state.found.occupied + measuring >= state.plan.max_concurrency
        if full and not state.explaining:
            return
        computer = state.computer(assignment)
        if not state.explaining and _group_is_full(state, computer):
            continue  # nobody is asked to measure for a place that is not there
        wait = _offer_wait(state, assignment, computer)
        if wait is None and needs_measuring(computer.readiness, state.now):
            wait = MEASURING
            if state.found.occupied + measuring < state.plan.max_concurrency:
                measuring += 1
                ask(state, assignment)
        wait = wait or take_place(state, computer, loads=True)
        if wait:
            state.waits[assignment.id] = wait
            state.at(wait.until)
            continue
        until = lease_until(state, state.window(computer).last_start)
        state.offered.add(assignment.id)
        state.actions.append(OfferAssignment(assignment.id, assignment.computer_id, wave, until))
        state.at(until - RENEW_WITHIN)


def _offer_wait(state: TickState, assignment: Assignment, computer: ComputerView) -> Wait | None:
    wait = of_computer(computer, state.now)
    if wait:
        look_again(state, assignment)
        return wait
    return of_connection(computer) or state.window_wait(computer) or of_other_rollout(computer)
