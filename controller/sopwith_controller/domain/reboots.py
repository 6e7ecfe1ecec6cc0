"""One tick's leave to reboot: which computer that installed a release may reboot now, and until when.

Decides after the waves and before any new install, because a reboot ends what was begun. That a computer reboots, and
whether people or its drain commands put it off, is the agent's. Rules:

- Leave to reboot is a lease as leave to install is: five minutes, never beyond the window's last start or the deadline,
  never into a freeze that is known ahead, renewed while its computer waits, taken back at once where it may not any
  more. A pause, a suspension and a freeze stop it; an abort and a withdrawn release do not, since what was installed is
  followed to its end.
- Only who says that it would reboot now gets leave, when the reboot window is open (the SOP's own, else the window in
  which its install may start) and a place is free: among `max_concurrency`, and in its disruption group. So never more
  computers of a group are away than the budget allows, installs and reboots together.
- After the deadline there is no leave, not even one that has run out already: its computer's clock may be a second
  behind, and it ends its update itself.
- A reboot that its computer may not be spared any more (deadline or deferrals are spent) waits for no window. It waits
  for its place all the same.
- A computer that had leave and fell silent may be rebooting: it keeps its place until it is heard of, at the longest
  for the SOP's confirm timeout after its leave ran out. Nobody else reboots in its place while it may be away.
"""

from datetime import timedelta

from sopwith_controller.domain.offers import RENEW_WITHIN, lease_until, take_place
from sopwith_controller.domain.rollout import STOPPED_STATES
from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_controller.domain.standing import Wait, of_freeze, of_window
from sopwith_controller.domain.tick import ComputerView, HoldReboot, LeaseReboot
from sopwith_controller.domain.tick_state import TickState
from sopwith_controller.domain.windows import ALWAYS, WindowState, state_at


def lead_reboots(state: TickState) -> None:
    """Give, renew or take back leave to reboot."""
    for assignment in state.found.awaiting_reboot:
        computer = state.computer(assignment)
        if not computer.connected:
            _silent(state, assignment, computer)
            continue
        window = _window(state, assignment, computer)
        wait = _wait(state, assignment, window) or _place(state, assignment, computer)
        if wait is None:
            _lease(state, assignment, window)
            continue
        state.waits[assignment.id] = wait
        state.at(wait.until)
        if assignment.reboot_until_time is not None:
            state.actions.append(HoldReboot(assignment.id, assignment.computer_id, wait.message))


def _silent(state: TickState, assignment: Assignment, computer: ComputerView) -> None:
    silent = f"{computer.name} has no live stream; it gets leave to reboot when it is back"
    state.waits[assignment.id] = Wait("connection", silent)
    held = assignment.reboot_until_time
    if held is None:
        return
    given_up = held + timedelta(seconds=state.view.reboot.confirm_seconds)
    if given_up > state.now:
        state.at(given_up)
        return
    state.actions.append(HoldReboot(assignment.id, assignment.computer_id, "it fell silent before it used its leave"))


def _wait(state: TickState, assignment: Assignment, window: WindowState) -> Wait | None:
    """Return what keeps a connected computer from its reboot, but for the places."""
    stopped = state.rollout_wait
    if stopped and (state.view.rollout.state in STOPPED_STATES or stopped.waits_for == "suspended"):
        return stopped
    frozen = of_freeze(state.view)
    if frozen:
        return frozen
    deadline = state.view.rollout.deadline_time
    if deadline is not None and deadline <= state.now:
        return Wait("none", f"the deadline passed before {assignment.computer} was rebooted; it ends its update itself")
    if not assignment.reboot_wanted:
        told = assignment.detail or "its reboot is put off"
        return Wait("deferral", f"{assignment.computer} waits for its reboot: {told}", until=assignment.next_try_time)
    return of_window(window)


def _window(state: TickState, assignment: Assignment, computer: ComputerView) -> WindowState:
    rules = state.view.reboot
    if assignment.reboot_forced or rules.when == "any_time" or state.plan.emergency:
        return ALWAYS
    deviation = state.view.deviations.get("window")
    if rules.window is None:
        return state.window(computer)
    if deviation:
        return WindowState(open=True, last_start=deviation.expires_time, next_open=None)
    found = state_at(rules.window, state.now, computer.time_zone)
    state.at(found.next_change)
    return found


def _place(state: TickState, assignment: Assignment, computer: ComputerView) -> Wait | None:
    """Take a place; who has leave has one."""
    return None if assignment.reboot_until_time is not None else take_place(state, computer, loads=False)


def _lease(state: TickState, assignment: Assignment, window: WindowState) -> None:
    until, held = lease_until(state, window.last_start), assignment.reboot_until_time
    if held is None or (held - state.now < RENEW_WITHIN and until > held):
        state.actions.append(LeaseReboot(assignment.id, assignment.computer_id, until))
        held = until
    state.at(held - RENEW_WITHIN)
