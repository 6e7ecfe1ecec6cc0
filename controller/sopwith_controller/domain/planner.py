"""The planner: facts, policy and time in; what should happen to a rollout now out. The one place that decides it.

Decides endings, moves to the tail, thresholds, waves, leases and offers, in this order, from one view; carrying them
out, recording and sending is the caller's. `explain` gives the reasons of the very same decision. Rules (contract,
section 5):

- Machines stop, people decide: a crossed threshold suspends while something is left to start. Where nothing is left,
  the rollout runs out and completes.
- A member of the open wave that is not yet DOWNLOADING and sleeps, is offline or is not ready moves to the tail, while
  it could start; the next ready computer in plan order takes its place. A wave that everybody left waits for one. The
  tail opens after the last wave and takes each of its members when it is ready.
- A wave passes when its members have ended, its success threshold holds and its soak is over; the soak is ignored
  where no wave after it has anybody left. Soak runs on between windows; a freeze beats a window.
- Waves of a rollout that does not run stand still, and leases are taken back. A withdrawn release and an abort take
  back whatever has not begun to install.
- Every assignment has ended at the deadline, save installs of computers that are in contact.

A tick costs one pass over the assignments and work for the members of the open wave; it never looks at pairs.
"""

from collections import Counter
from datetime import datetime

from sopwith_controller.domain.explanations import explain_all
from sopwith_controller.domain.offers import offer, renew_leases
from sopwith_controller.domain.reboots import lead_reboots
from sopwith_controller.domain.rollout import ACTIVE_STATES
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.domain.staging import stage
from sopwith_controller.domain.tick import (
    Complete,
    EndAssignment,
    Explanation,
    FinishAbort,
    MeasureReadiness,
    RolloutView,
    TickDecision,
)
from sopwith_controller.domain.tick_state import TickState, begin
from sopwith_controller.domain.wave_progress import advance
from sopwith_controller.domain.waves import Counts, in_words


def plan_tick(view: RolloutView, now: datetime) -> TickDecision:
    """Return what should happen to a rollout now; carried out, a second tick at the same time adds nothing."""
    if view.rollout.state not in ACTIVE_STATES:
        return TickDecision()
    state = _decide(view, now, explaining=False)
    return TickDecision(
        actions=tuple(state.actions),
        next_time=min((time for time in state.times if time > now), default=None),
        state_reason=_state_reason(state),
    )


def explain(view: RolloutView, now: datetime, computer: str = "") -> tuple[Explanation, ...]:
    """Return what each unended assignment, or that of one computer by its name, waits for, in plan order.

    It is the same decision as `plan_tick`.
    """
    return explain_all(_decide(view, now, explaining=True), computer)


def _decide(view: RolloutView, now: datetime, *, explaining: bool) -> TickState:
    state = begin(view, now, explaining=explaining)
    running = view.rollout.state is RolloutState.RUNNING
    if running:
        advance(state)
    if not state.found.unended:
        _finish(state)
        return state
    lead_reboots(state)
    renew_leases(state)
    if running and not state.rollout_wait:
        offer(state)
        stage(state)
    if state.measure:
        state.actions.append(MeasureReadiness(tuple(state.measure)))
    return state


def _finish(state: TickState) -> None:
    if state.view.rollout.state is RolloutState.ABORTING:
        state.actions.append(FinishAbort())
    elif state.view.rollout.state in ACTIVE_STATES:
        state.actions.append(Complete(_summary(state)))


def _summary(state: TickState) -> str:
    """Return how everybody ended, for example "4 succeeded, 1 rolled back"."""
    ends = {action.assignment: action.outcome for action in state.actions if isinstance(action, EndAssignment)}
    numbers = Counter(ends.get(a.id, a.outcome).lower() for a in state.view.assignments)
    return in_words(Counts(**numbers))


def _state_reason(state: TickState) -> str | None:
    """Return the new reason of a rollout that goes on running; None where it stays as it is."""
    if state.view.rollout.state is not RolloutState.RUNNING or not state.found.unended:
        return None
    if state.rollout_wait:
        reason = None if state.rollout_wait.waits_for == "suspended" else state.rollout_wait.message
    else:
        reason = state.state_reason
    return None if reason == state.view.rollout.state_reason else reason
