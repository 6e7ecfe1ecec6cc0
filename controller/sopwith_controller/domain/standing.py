"""What stands in the way of an assignment, in words that the planner acts on and `explain` shows: one opinion, not two.

Decides, for one obstacle at a time, whether it is there, until when, and what a person can do. In which order obstacles
are looked at, and what is done about them, is the planner's.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from sopwith_controller.domain.bench import bench_remedy
from sopwith_controller.domain.entities import Readiness
from sopwith_controller.domain.freezing import CLOCK
from sopwith_controller.domain.readiness import ANSWER_WITHIN, EXCUSED, NOT_READY, READY, is_fresh, needs_measuring
from sopwith_controller.domain.rollout_entities import Assignment, RolloutState
from sopwith_controller.domain.tick import ComputerView, RolloutView
from sopwith_controller.domain.windows import WindowState
from sopwith_formats.units import format_time
from sopwith_formats.vocabulary import AssignmentState, Symptom


@dataclass(frozen=True)
class Wait:
    """One obstacle; `waits_for` is one of `tick.WAITS`."""

    waits_for: str
    message: str
    remedy: str = ""
    until: datetime | None = None


RELEASE = "{release}"
"""Stands in a remedy where `explain` writes the rollout's release."""

CONCURRENCY = Wait("concurrency", "as many computers as the plan allows are being updated; it is next in plan order")
BUDGET = Wait("budget", "as many computers of its group as the disruption budget allows are being updated")
BANDWIDTH = Wait("bandwidth", "as many computers download as the plan's bandwidth_max allows; it is next in plan order")
STALLED = Wait("stalled", "it is stalled and gave its place back; it goes on when it is heard of and a place is free")
MEASURING = Wait("readiness", "is being asked to measure its readiness")


_OF_STATES = {
    RolloutState.DRAFT: Wait("start", "the rollout is a draft", "sopwith rollout submit {id}"),
    RolloutState.IN_REVIEW: Wait("approval", "the plan waits for approval", "sopwith rollout approve {id}"),
    RolloutState.APPROVED: Wait("start", "the rollout may be started", "sopwith rollout start {id} --reason TEXT"),
    RolloutState.PAUSED: Wait("paused", "", "sopwith rollout resume {id} --reason TEXT"),
    RolloutState.SUSPENDED: Wait(
        "suspended", "", "sopwith incident acknowledge ID, then sopwith rollout resume {id} --reason TEXT"
    ),
    RolloutState.COMPLETED: Wait("none", "the rollout is completed"),
    RolloutState.ABORTING: Wait("none", "", "sopwith rollout status {id} --wait"),
    RolloutState.ABORTED: Wait("none", "the rollout was aborted"),
}


def of_rollout(view: RolloutView) -> Wait | None:
    """Return what holds the whole rollout: its state, missing approvals, or a freeze that no deviation opens."""
    rollout = view.rollout
    if rollout.state is RolloutState.RUNNING:
        if view.release_withdrawn:
            return Wait("none", f"{view.plan.release} was withdrawn; what runs is followed to its end")
        return _of_approval(view) or of_freeze(view)
    wait = _OF_STATES[rollout.state]
    message = wait.message or rollout.state_reason
    if rollout.state is RolloutState.DRAFT and rollout.state_reason:
        message = f"{message}: {rollout.state_reason}"
    return replace(wait, message=message, remedy=wait.remedy.format(id=rollout.id))


def _of_approval(view: RolloutView) -> Wait | None:
    if view.approved:
        return None
    text = f"its {view.rollout.change_class} change lacks approvals of its present plan"
    return Wait("approval", text, f"sopwith rollout abort {view.rollout.id} --reason TEXT, and create it anew")


def of_freeze(view: RolloutView) -> Wait | None:
    """Return the freeze in force that no deviation opens."""
    if not view.freezes or "freeze" in view.deviations:
        return None
    freeze = view.freezes[0]
    text = f"{freeze.started_by} froze all installs: {freeze.reason}"
    confirming = " --confirm-time" if freeze.started_by == CLOCK else ""
    return Wait("freeze", text, f"sopwith freeze end {freeze.id}{confirming}", freeze.end_time)


def of_window(state: WindowState) -> Wait | None:
    """Return the closed window, the start time that has not come, or that an install would not finish in time."""
    if state.open:
        return None
    if state.too_late:
        again = f"; the window opens again {_say(state.next_open)}" if state.next_open else ""
        remedy = "" if state.next_open else "a new rollout with a longer window"
        return Wait("window", f"{state.too_late}{again}", remedy, state.next_open)
    opens = f"opens {_say(state.next_open)}" if state.next_open else "does not open within five years"
    if state.start_time:
        later = "" if state.next_open == state.start_time else f"; its window then {opens}"
        return Wait("start", f"its start time is {_say(state.start_time)}{later}", until=state.next_open)
    whose = f"the window of maintenance group {state.group}" if state.group else "the window"
    return Wait("window", f"{whose} is closed; it {opens}", until=state.next_open)


_STAGING = {
    AssignmentState.PREPARING: "was asked to fetch the files ahead of the {}",
    AssignmentState.DOWNLOADING: "downloads ahead of the {}",
    AssignmentState.STAGED: "has the files, waits for the {}",
}


def of_staging(assignment: Assignment, window: Wait) -> Wait:
    """Return the wait for window or start time of one that was offered, with what it has done so far."""
    done = _STAGING[assignment.state].format("start" if window.waits_for == "start" else "window")
    opens = f", opens {_say(window.until)}" if window.until and window.waits_for == "window" else f"; {window.message}"
    return replace(window, message=f"{assignment.computer} {done}{opens}")


def of_computer(computer: ComputerView, now: datetime) -> Wait | None:
    """Return why a computer cannot be updated now, where that is its own affair and no short matter.

    This is what moves a member to the tail: asleep, offline, not ready.
    """
    if computer.asleep:
        return Wait("asleep", f"{computer.name} sleeps; it is taken when it wakes")
    if is_offline(computer, now):
        since = f" since {_say(computer.last_seen_time)}" if computer.last_seen_time else ""
        remedy = f"switch {computer.name} on, or see why its agent does not reach the controller"
        return Wait("connection", f"{computer.name} was not heard of{since}", remedy)
    if computer.rolled_back_before:
        remedy = f"sopwith release permit {RELEASE} --computer {computer.name}, by a second person"
        return Wait("approval", f"{computer.name} rolled this release back before", remedy)
    if computer.benched:
        return Wait("approval", f"{computer.name} {computer.benched}", bench_remedy(computer.name))
    return _of_readiness(computer, now)


def is_offline(computer: ComputerView, now: datetime) -> bool:
    """Tell whether three heartbeats were missed."""
    missed = computer.offline_time
    return not computer.connected and missed is not None and missed <= now


def _of_readiness(computer: ComputerView, now: datetime) -> Wait | None:
    readiness, asked = computer.readiness, computer.measure_asked_time
    if readiness.verdict == EXCUSED or (readiness.verdict == NOT_READY and is_fresh(readiness, now)):
        return _not_ready(computer.name, readiness)
    if needs_measuring(readiness, now) and asked is not None and now - asked >= ANSWER_WITHIN:
        remedy = f"sopwith computer diagnose {computer.name}"
        return Wait("readiness", f"{computer.name} did not answer when it was asked to measure its readiness", remedy)
    return None


def _not_ready(name: str, readiness: Readiness) -> Wait:
    if not readiness.reasons:
        return Wait("readiness", f"{name} is not ready", f"sopwith computer readiness {name}")
    reason = readiness.reasons[0]
    more = f" (and {len(readiness.reasons) - 1} more)" if len(readiness.reasons) > 1 else ""
    return Wait("readiness", f"{reason.message}{more}", reason.remedy)


def of_connection(computer: ComputerView) -> Wait | None:
    """Return the missing stream of a computer that is not called offline yet: a short matter."""
    if computer.connected:
        return None
    return Wait("connection", f"{computer.name} has no live stream", until=computer.offline_time)


def of_preparing(assignment: Assignment, computer: ComputerView, now: datetime) -> Wait | None:
    """Return why an assignment that was offered does not get beyond PREPARING."""
    put_off = of_people(assignment, now)
    if put_off:
        return put_off
    readiness = computer.readiness
    since = assignment.reported_time
    better = readiness.verdict == READY and since and readiness.measured_time and readiness.measured_time > since
    if assignment.reasons and not better:
        reason = assignment.reasons[0]
        return Wait("readiness", reason.message, reason.remedy, assignment.next_try_time)
    return of_computer(computer, now)


def of_people(assignment: Assignment, now: datetime) -> Wait | None:
    """Return what people at the computer put off, or were told and have not answered; None where neither is so."""
    if assignment.state is AssignmentState.STAGED and any(r.code == Symptom.USER_BUSY for r in assignment.reasons):
        reason = assignment.reasons[0]
        return Wait("deferral", reason.message, reason.remedy, assignment.next_try_time)
    until = assignment.deferred_until_time
    if until is None or until <= now:
        return None
    times = "once" if assignment.deferrals == 1 else f"{assignment.deferrals} times so far"
    text = f"people at {assignment.computer} put it off until {_say(until)} ({times})"
    return Wait("deferral", text, "ask them to run sopwith-agent install-now, or wait", until)


def of_other_rollout(computer: ComputerView) -> Wait | None:
    """Return the rollout that is updating the computer now."""
    if not computer.busy_with:
        return None
    return Wait("concurrency", f"rollout {computer.busy_with} is updating {computer.name}")


_DOING = {
    AssignmentState.PENDING: "is about to be offered",
    AssignmentState.PREPARING: "was offered and measures whether it is ready",
    AssignmentState.DOWNLOADING: "downloads",
    AssignmentState.STAGED: "has the files and starts",
    AssignmentState.INSTALLING: "installs",
    AssignmentState.AWAITING_REBOOT: "waits for its reboot",
    AssignmentState.REBOOTING: "reboots",
    AssignmentState.CONFIRMING: "confirms that the new version is healthy",
    AssignmentState.ROLLING_BACK: "goes back to what ran before",
}


def of_progress(assignment: Assignment, attempts_max: int) -> Wait:
    """Return what an assignment does, or that it tells nothing any more though its computer is in contact."""
    doing = of_nothing(assignment)
    if assignment.attempts > 1 or assignment.next_try_time:
        doing = replace(doing, message=f"{doing.message}; attempt {assignment.attempts} of {attempts_max}")
    if assignment.next_try_time:
        doing = replace(doing, message=f"{doing.message}, next try at {_say(assignment.next_try_time)}")
    if assignment.stalled_time is None:
        return doing
    name = assignment.computer
    remedy = f"see what the agent on {name} does (sopwith-agent status there), start it again, "
    remedy += f"or take it out: sopwith computer quarantine {name} --reason TEXT"
    since = f"stalled: in contact, but no word since {_say(assignment.stalled_time)}"
    return Wait("stalled", f"{doing.message}; {since}", remedy)


def of_nothing(assignment: Assignment) -> Wait:
    """Return what an assignment does that waits for nothing."""
    percent = f" ({assignment.percent} %)" if assignment.percent else ""
    lost = "; it fell silent meanwhile" if assignment.lost else ""
    return Wait("none", f"{assignment.computer} {_DOING[assignment.state]}{percent}{lost}")


def _say(time: datetime | None) -> str:
    return format_time(time.replace(microsecond=0)) if time else "never"
