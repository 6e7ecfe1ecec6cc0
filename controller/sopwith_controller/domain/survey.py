"""One pass over a rollout's assignments: what the planner counts and sorts before it decides.

Decides nothing about waves; it concludes what has to end (`endings`), notices who fell silent, and leaves lists and
numbers that the rest of a tick works on without looking at every assignment again.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sopwith_controller.domain.assignment import MAY_BE_LOST, takes_place
from sopwith_controller.domain.endings import conclude
from sopwith_controller.domain.not_started import group_of, groups_at_work, stood_in_the_way
from sopwith_controller.domain.readiness import READY
from sopwith_controller.domain.rollout_entities import Assignment, RolloutState
from sopwith_controller.domain.standing import Wait
from sopwith_controller.domain.tick import (
    Action,
    ComputerView,
    EndAssignment,
    MarkLost,
    MarkStalled,
    RolloutView,
    UnmarkLost,
)
from sopwith_controller.domain.time_limits import heard_time, stalls_at
from sopwith_controller.domain.waves import Tally, is_unsafe
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState, Outcome

_ENDED, _PENDING, _SUCCEEDED = AssignmentState.ENDED, AssignmentState.PENDING, Outcome.SUCCEEDED


@dataclass
class Survey:
    """What one pass found."""

    members: list[list[Assignment]]
    """Unended assignments by wave, in plan order; the tail last."""
    tallies: list[Tally]
    actions: list[Action] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    """When time alone changes something."""
    offered: list[Assignment] = field(default_factory=list)
    """Unended, offered and before INSTALLING, in plan order."""
    doubtful: list[list[Assignment]] = field(default_factory=list)
    """By wave: those before DOWNLOADING whose computer may not be available; spares a long look at all the others."""
    left_to_start: int = 0
    """Unended, and an install or a reboot can still be kept from them."""
    awaiting_reboot: list[Assignment] = field(default_factory=list)
    """Unended and AWAITING_REBOOT, in plan order."""
    installing: int = 0
    """Unended and from INSTALLING on."""
    downloading: int = 0
    """Connected ones that download, or are about to."""
    occupied: int = 0
    """Places of `max_concurrency` that are taken."""
    groups: dict[tuple[str, ...], int] = field(default_factory=dict)
    """Computers that are being updated, by group of the disruption budget."""
    lost: list[str] = field(default_factory=list)
    """Names of lost computers that count."""
    unsafe: bool = False
    """Some computer may stand between two versions."""

    @property
    def unended(self) -> int:
        """Return how many assignments have not ended."""
        return sum(len(wave) for wave in self.members)


def survey(view: RolloutView, now: datetime, rollout_wait: Wait | None) -> Survey:
    """Count, sort, conclude; `rollout_wait` is what holds the whole rollout, None when nothing does."""
    rollout = view.rollout
    waves = view.plan.tail + 1
    found = Survey(
        members=[[] for _ in range(waves)],
        tallies=[Tally() for _ in range(waves)],
        doubtful=[[] for _ in range(waves)],
    )
    counted_from = rollout.counted_from
    deadline = rollout.deadline_time
    deadline_passed = deadline is not None and deadline <= now
    taken_back = _taken_back(view)
    concluding = deadline_passed or bool(taken_back)
    groups = groups_at_work(view, now) if deadline_passed else {}
    computers, tallies, members = view.computers, found.tallies, found.members
    for assignment in view.assignments:
        state = assignment.state
        if state is _ENDED:
            _add_ended(found, tallies[assignment.wave], assignment, counted_from)
            continue
        computer = computers[assignment.computer_id]
        if concluding or not computer.in_service:
            conclusion = conclude(
                assignment,
                computer,
                now=now,
                started_time=rollout.started_time,
                taken_back=taken_back,
                deadline=deadline if deadline_passed else None,
                install_timeout=view.install_timeout,
                stood_in_the_way=stood_in_the_way(
                    view, assignment, computer, rollout_wait=rollout_wait, groups=groups, now=now
                ),
            )
            if conclusion.action:
                _add_end(found, tallies[assignment.wave], assignment, conclusion.action)
                continue
            if conclusion.look_again:
                found.times.append(conclusion.look_again)
        members[assignment.wave].append(assignment)
        if state is _PENDING:
            in_doubt = not computer.connected or computer.asleep or computer.readiness.verdict != READY
            if in_doubt or computer.measure_asked_time or computer.rolled_back_before or computer.benched:
                found.doubtful[assignment.wave].append(assignment)
        else:
            _add_active(found, tallies[assignment.wave], view, assignment, now)
    for tally, wave in zip(tallies, members, strict=True):
        tally.unended = len(wave)
    found.left_to_start = found.unended - found.installing + len(found.awaiting_reboot)
    if deadline is not None and not deadline_passed and found.unended:
        found.times.append(deadline)
    return found


def _add_ended(found: Survey, tally: Tally, assignment: Assignment, counted_from: datetime | None) -> None:
    """Count one that ended; nearly all of a good rollout take the short way."""
    if assignment.outcome == _SUCCEEDED and counted_from is None:
        tally.ended += 1
        tally.succeeded += 1
        return
    tally.add_ended(assignment.computer, assignment.outcome, assignment.ended_time, counted_from)
    found.unsafe = found.unsafe or is_unsafe(assignment)


def _add_active(found: Survey, tally: Tally, view: RolloutView, assignment: Assignment, now: datetime) -> None:
    """Count one that was offered."""
    computer = view.computers[assignment.computer_id]
    if assignment.state in BEFORE_INSTALLING:
        found.offered.append(assignment)
        may_leave = assignment.start_until_time is None and not computer.connected
        if assignment.state is AssignmentState.PREPARING or may_leave:
            found.doubtful[assignment.wave].append(assignment)
        found.downloading += computer.connected and assignment.stalled_time is None and downloads(assignment)
        _watch_progress(found, view, assignment, computer, now)
    else:
        found.installing += 1
        _watch(found, view, assignment, computer, now)
        _watch_progress(found, view, assignment, computer, now)
        if assignment.state is AssignmentState.AWAITING_REBOOT:
            tally.awaiting_reboot += 1
            found.awaiting_reboot.append(assignment)
    if not takes_place(assignment, now):
        return
    found.occupied += 1
    if view.plan.disruption_budget:
        group = group_of(view, computer)
        found.groups[group] = found.groups.get(group, 0) + 1


def downloads(assignment: Assignment) -> bool:
    """Tell whether an offered one fetches files, or will as soon as it has prepared; a parked one does not."""
    if assignment.state is AssignmentState.PREPARING:
        return not assignment.reasons
    return assignment.state is AssignmentState.DOWNLOADING


def _taken_back(view: RolloutView) -> str:
    if view.rollout.state is RolloutState.ABORTING:
        return view.rollout.state_reason or "the rollout was aborted"
    return f"{view.plan.release} was withdrawn" if view.release_withdrawn else ""


def _add_end(found: Survey, tally: Tally, assignment: Assignment, action: EndAssignment) -> None:
    found.actions.append(action)
    tally.add_ended(assignment.computer, action.outcome, None, None)
    found.unsafe = found.unsafe or action.outcome == Outcome.UNREACHABLE


def _watch(found: Survey, view: RolloutView, assignment: Assignment, computer: ComputerView, now: datetime) -> None:
    """Notice a computer that fell silent while it was being changed, and one that came back."""
    counted_from = view.rollout.counted_from
    since = assignment.lost_time
    if computer.connected:
        if since is not None:
            found.actions.append(UnmarkLost(assignment.id, assignment.computer_id))
        return
    if since is None:
        silent = _silent_time(assignment, computer, timedelta(seconds=view.reboot.confirm_seconds))
        if silent is None:
            return
        if silent > now:
            found.times.append(silent)
            return
        found.actions.append(MarkLost(assignment.id, assignment.computer_id, silent))
        since = silent
    found.unsafe = True
    if counted_from is None or since > counted_from:
        found.lost.append(assignment.computer)


def _watch_progress(
    found: Survey, view: RolloutView, assignment: Assignment, computer: ComputerView, now: datetime
) -> None:
    """Notice a computer that is in contact and tells nothing of what it does."""
    if not computer.connected or assignment.stalled_time is not None:
        return
    stalls = stalls_at(assignment, view.install_timeout)
    if stalls is None:
        return
    if stalls > now:
        found.times.append(stalls)
        return
    found.actions.append(MarkStalled(assignment.id, assignment.computer_id, heard_time(assignment) or now))


def _silent_time(assignment: Assignment, computer: ComputerView, patience: timedelta) -> datetime | None:
    """Return when one counts as lost; `patience` is how long a reboot may take until its first word."""
    rolls_back_by_a_boot = assignment.state is AssignmentState.ROLLING_BACK and assignment.reboot_wanted
    if assignment.state in MAY_BE_LOST and not rolls_back_by_a_boot:
        return computer.offline_time
    if (assignment.state is AssignmentState.REBOOTING or rolls_back_by_a_boot) and computer.offline_time is not None:
        return max(computer.offline_time, (assignment.reported_time or computer.offline_time) + patience)
    return None
