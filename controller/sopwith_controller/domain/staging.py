"""Staging: who fetches the files ahead of its window, so that it can install when the window opens.

Decides offers without a lease, after `offers` gave out those with one. Rules:

- Only members of the wave that is open, or that opens next and waits for nothing but window or start time: a wave
  behind a soak, a threshold or another wave fetches nothing, so that a release which the gates stop is not spread.
- Not earlier than the plan's `staging` before the computer's own window opens; never in a freeze, a pause or a
  suspension. Nothing is installed without the lease that the opening window brings.
- Staging takes no place of `max_concurrency`. As many download at once as `max_concurrency` says, fewer where
  `bandwidth_max` does.
- A computer that is asleep, offline or not ready, or that another rollout updates, is passed over for now.
"""

from datetime import timedelta

from sopwith_controller.domain.offers import is_full
from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_controller.domain.standing import of_computer, of_connection, of_other_rollout
from sopwith_controller.domain.tick import OfferAssignment
from sopwith_controller.domain.tick_state import TickState
from sopwith_formats.vocabulary import AssignmentState


def stage(state: TickState) -> None:
    """Offer to download to members of the current wave whose window opens soon."""
    if not _may_stage(state):
        return
    for assignment in state.found.members[state.current]:
        if assignment.state is not AssignmentState.PENDING or assignment.id in state.offered:
            continue
        if is_full(state) or state.found.downloading >= state.plan.max_concurrency:
            return
        if _is_due(state, assignment) and _is_available(state, assignment):
            state.found.downloading += 1
            state.offered.add(assignment.id)
            state.actions.append(OfferAssignment(assignment.id, assignment.computer_id, state.current, None))


def _may_stage(state: TickState) -> bool:
    if not state.plan.staging_seconds:
        return False
    wait = state.current_wait
    return state.is_open(state.current) or (wait is not None and wait.waits_for in {"window", "start"})


def _is_due(state: TickState, assignment: Assignment) -> bool:
    window = state.window(state.computer(assignment))
    if window.open or window.next_open is None:
        return False
    begins = window.next_open - timedelta(seconds=state.plan.staging_seconds)
    state.at(begins)
    return begins <= state.now


def _is_available(state: TickState, assignment: Assignment) -> bool:
    computer = state.computer(assignment)
    wait = of_computer(computer, state.now) or of_connection(computer) or of_other_rollout(computer)
    return wait is None
