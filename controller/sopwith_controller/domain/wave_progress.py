"""One tick's walk along the waves: who moves to the tail, who takes a place, which wave opens, ends and passes.

Decides for a running rollout without freeze or thresholds crossed before; who of the open wave is offered is decided by
`offers`. The rules stand in `planner`.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from sopwith_controller.domain import wave_gates
from sopwith_controller.domain.gate_decisions import GateDecision
from sopwith_controller.domain.readiness import ANSWER_WITHIN, FRESH_FOR, is_ready, needs_measuring, stale_time
from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_controller.domain.standing import Wait, of_computer, of_other_rollout, of_preparing, of_window
from sopwith_controller.domain.tick import MarkWaveEnded, MoveAssignment, OpenWave, PassWave, Suspend
from sopwith_controller.domain.tick_state import RUNNING_OUT, TickState
from sopwith_controller.domain.waves import Crossing, Tally, crossed_error_threshold, missed_success_threshold
from sopwith_controller.domain.windows import WindowState
from sopwith_formats.units import format_time
from sopwith_formats.vocabulary import AssignmentState

_ASK_AHEAD = 5
"""How many more computers than places are asked for readiness, so that one answer suffices."""


def advance(state: TickState) -> None:
    """Walk from the current wave as far as the gates let; stops at a suspension."""
    if state.current < state.plan.tail and state.is_open(state.current):
        _move_to_tail(state, state.current)
    if _suspends(state, _crossed(state)):
        return
    while state.current < state.plan.tail:
        if not _step(state):
            return
        state.current += 1
    _open_tail(state)


def _step(state: TickState) -> bool:
    """Bring the current wave as far as it goes; True when it passed."""
    wave, name = state.current, state.plan.wave_name(state.current)
    if not state.is_open(wave):
        if _nobody_belongs(state, wave) and not _later(state, wave):
            _pass(state, wave)
            return True
        if not state.found.unended or not _open(state, wave):
            return False
        _move_to_tail(state, wave)
    tally = state.found.tallies[wave]
    if state.progress[wave].ended_time is None:
        _refill(state, wave)
        if not tally.members:
            return _passes_empty(state, wave)
    if not tally.has_ended:
        state.state_reason = f"wave {name} is open"
        return False
    return _ends(state, wave, tally)


def _ends(state: TickState, wave: int, tally: Tally) -> bool:
    name = state.plan.wave_name(wave)
    ended = state.progress[wave].ended_time
    if ended is None:
        ended = state.now
        state.progress[wave] = replace(state.progress[wave], ended_time=ended)
        state.actions.append(MarkWaveEnded(wave, name))
    counted_from = state.view.rollout.counted_from
    judged_before = counted_from is not None and ended <= counted_from
    missed = None if judged_before else missed_success_threshold(state.plan.thresholds, name, tally)
    if missed:
        if not _suspends(state, missed):
            state.state_reason = RUNNING_OUT
        return False
    soaked = ended + timedelta(seconds=state.plan.waves[wave].soak_seconds)
    if soaked > state.now and _later(state, wave):
        state.at(soaked)
        following = state.plan.wave_name(wave + 1)
        text = (
            f"wave {name} is watched until {format_time(soaked.replace(microsecond=0))} before wave {following} opens"
        )
        state.current_wait = Wait("soak", text, until=soaked)
        state.state_reason = text
        return False
    _pass(state, wave)
    return True


def _pass(state: TickState, wave: int) -> None:
    state.progress[wave] = replace(state.progress[wave], passed_time=state.now)
    decisions = wave_gates.passed(state.plan, wave, state.found.tallies[wave], state.progress[wave].ended_time)
    state.actions.append(PassWave(wave, state.plan.wave_name(wave), decisions))


def _open(state: TickState, wave: int) -> bool:
    """Open a wave unless something holds the rollout or the window is closed for all of its members."""
    if state.rollout_wait:
        return False
    name = state.plan.wave_name(wave)
    closed = _closed(state, state.found.members[wave] or _candidates(state, wave))
    wait = of_window(closed) if closed else None
    if closed and wait:
        opens = f"opens {format_time(closed.next_open)}" if closed.next_open else "does not open within five years"
        waits = f"for the window, which {opens}" if wait.waits_for == "window" else f"to start: {wait.message}"
        state.current_wait = wait
        state.state_reason = f"wave {name} waits {f'for the window: {closed.too_late}' if closed.too_late else waits}"
        return False
    state.progress[wave] = replace(state.progress[wave], opened_time=state.now)
    state.actions.append(OpenWave(wave, name, _asked(state, name)))
    return True


def _asked(state: TickState, name: str) -> tuple[GateDecision, ...]:
    errors = sum(tally.errors for tally in state.found.tallies)
    return wave_gates.opened(state.plan, name, errors, state.view.overridden)


def _closed(state: TickState, members: Iterable[Assignment]) -> WindowState | None:
    """Return the closed window that opens first, None where one is open or nobody is there."""
    closed: WindowState | None = None
    for assignment in members:
        window = state.window(state.computer(assignment))
        if window.open:
            return None
        if closed is None or (window.next_open and (not closed.next_open or window.next_open < closed.next_open)):
            closed = window
    return closed


def _open_tail(state: TickState) -> None:
    tail = state.plan.tail
    count = len(state.found.members[tail])
    if not count:
        if state.found.unended:
            state.state_reason = RUNNING_OUT
        return
    if not state.is_open(tail):
        state.progress[tail] = replace(state.progress[tail], opened_time=state.now)
        name = state.plan.wave_name(tail)
        state.actions.append(OpenWave(tail, name, _asked(state, name)))
    them = "1 computer that was" if count == 1 else f"{count} computers that were"
    state.state_reason = f"the waves are done; {them} asleep, offline or not ready follow in the tail, each when ready"


def _move_to_tail(state: TickState, wave: int) -> None:
    """Move the members that are not yet DOWNLOADING and sleep, are offline or are not ready."""
    if state.rollout_wait:
        return
    left: set[str] = set()
    for assignment in state.found.doubtful[wave]:
        wait = None if assignment.id in state.moved else _not_available(state, assignment)
        if wait is not None:
            left.add(assignment.id)
            _move(state, assignment, wave, state.plan.tail, wait.message)
    if left:
        state.found.members[wave] = [a for a in state.found.members[wave] if a.id not in left]


def _not_available(state: TickState, assignment: Assignment) -> Wait | None:
    computer = state.computer(assignment)
    if not state.window(computer).open:
        return None
    if assignment.state is AssignmentState.PREPARING:
        return of_preparing(assignment, computer, state.now)
    wait = of_computer(computer, state.now)
    if wait is None and not computer.connected:
        state.at(computer.offline_time)
    return wait


def _move(state: TickState, assignment: Assignment, source: int, wave: int, reason: str) -> None:
    """Count it in another wave; taking it out of its list is the caller's."""
    state.found.members[wave].append(assignment)
    state.found.tallies[source].unended -= 1
    state.found.tallies[wave].unended += 1
    state.moved[assignment.id] = wave
    state.actions.append(MoveAssignment(assignment.id, assignment.computer_id, wave, reason))


def _refill(state: TickState, wave: int) -> None:
    """Give free places of an open wave to the next ready computers in plan order."""
    vacancies = state.plan.waves[wave].size - state.found.tallies[wave].members
    if vacancies <= 0 or state.rollout_wait:
        return
    taken: set[str] = set()
    asked = 0
    for assignment in _candidates(state, wave):
        computer = state.computer(assignment)
        blocked = of_preparing(assignment, computer, state.now) or of_other_rollout(computer)
        if blocked or not computer.connected or not state.window(computer).open:
            look_again(state, assignment)
            continue
        if is_ready(computer.readiness, state.now):
            taken.add(assignment.id)
            source = state.moved.get(assignment.id, assignment.wave)
            _move(state, assignment, source, wave, "takes the place of one that moved to the tail")
            if len(taken) == vacancies:
                break
        elif needs_measuring(computer.readiness, state.now) and asked < vacancies + _ASK_AHEAD:
            asked += 1
            ask(state, assignment)
    if taken:
        for index in range(wave + 1, state.plan.tail + 1):
            state.found.members[index] = [a for a in state.found.members[index] if a.id not in taken]


def look_again(state: TickState, assignment: Assignment) -> None:
    """See to it that a computer that is not ready is measured again when its verdict is old."""
    computer = state.computer(assignment)
    state.at(stale_time(computer.readiness))
    if computer.connected and needs_measuring(computer.readiness, state.now):
        ask(state, assignment)


def ask(state: TickState, assignment: Assignment) -> None:
    """Ask a connected computer to measure, unless it was asked not long ago."""
    computer = state.computer(assignment)
    asked = computer.measure_asked_time
    if asked is not None and state.now - asked < FRESH_FOR:
        state.at(asked + (ANSWER_WITHIN if state.now - asked < ANSWER_WITHIN else FRESH_FOR))
        return
    state.measure[computer.id] = None
    state.at(state.now + ANSWER_WITHIN)


def _candidates(state: TickState, wave: int) -> Iterable[Assignment]:
    """Return who may take a place: members of later waves; for a wave that everybody left those of the tail too."""
    later = [a for index in range(wave + 1, state.plan.tail) for a in state.found.members[index]]
    if state.found.tallies[wave].members:
        return later
    return sorted((*later, *state.found.members[state.plan.tail]), key=_position)


def _position(assignment: Assignment) -> int:
    return assignment.position


def _passes_empty(state: TickState, wave: int) -> bool:
    """Tell whether a wave without members is passed over: only where nobody left it."""
    if _nobody_belongs(state, wave):
        _pass(state, wave)
        return True
    name = state.plan.wave_name(wave)
    text = f"wave {name} waits for a computer that is ready: everybody moved to the tail"
    state.current_wait = Wait("wave", text)
    state.state_reason = text
    return False


def _nobody_belongs(state: TickState, wave: int) -> bool:
    """Tell whether a wave has no members and nobody left it by sleeping, being not ready, or being taken back."""
    tally = state.found.tallies[wave]
    if tally.members or tally.cancelled:
        return False
    starts = state.plan.wave_starts()
    first, end = starts[wave], starts[wave + 1]
    return not any(first <= a.position < end for a in state.found.members[state.plan.tail])


def _later(state: TickState, wave: int) -> bool:
    """Tell whether a wave after this one has anybody left."""
    return any(state.found.tallies[index].unended for index in range(wave + 1, state.plan.tail))


def _crossed(state: TickState) -> Crossing | None:
    names = [state.plan.wave_name(index) for index in range(state.plan.tail + 1)]
    return crossed_error_threshold(state.plan.thresholds, state.found.tallies, names, state.found.lost)


def _suspends(state: TickState, crossing: Crossing | None) -> bool:
    """Suspend where a threshold is crossed and something is left to start."""
    if crossing is None or not state.found.left_to_start:
        return False
    waiting = len(state.found.awaiting_reboot)
    untouched = state.found.left_to_start - waiting
    words = [f"{untouched} computers are not touched"] if untouched or not waiting else []
    words += [f"{waiting} installed it and are not rebooted"] if waiting else []
    reason = f"{crossing.reason}; {', '.join(words)}"
    state.actions.append(
        Suspend(
            reason=reason,
            gate=crossing.gate,
            severity=1 if state.found.unsafe else 2,
            computers=crossing.computers,
            inputs=crossing.inputs,
        )
    )
    remedy = f"sopwith incident acknowledge ID, then sopwith rollout resume {state.view.rollout.id} --reason TEXT"
    state.rollout_wait = Wait("suspended", reason, remedy)
    return True
