"""How an assignment ends when nobody sends a receipt: by the deadline, an abort, a withdrawal, a retired computer.

Decides outcome, symptom and words, so that every assignment ends in exactly one outcome; a receipt that comes later
corrects it (`assignment.end`). Rules (architecture, section 4):

- Taken back before INSTALLING: CANCELLED. At once where it was never offered, where the computer is connected and can
  be told, or left the fleet; else when the lease that it holds has run out.
- Deadline before INSTALLING: UNREACHABLE without contact (or silent since it was offered), NOT_READY where it is not
  ready, NOT_STARTED with the reason where it was ready.
- Deadline from INSTALLING on: UNREACHABLE of severity 1 for a computer out of contact; one in contact goes on for one
  limit of its state without a word (`time_limits`), then it ends FAILED.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sopwith_controller.domain.readiness import READY
from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_controller.domain.standing import is_offline
from sopwith_controller.domain.tick import ComputerView, EndAssignment
from sopwith_controller.domain.time_limits import given_up_at
from sopwith_formats.units import format_time
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState, Outcome, Symptom


@dataclass(frozen=True)
class Conclusion:
    """An end, or when to look again; neither: it goes on."""

    action: EndAssignment | None = None
    look_again: datetime | None = None


GOES_ON = Conclusion()


def conclude(
    assignment: Assignment,
    computer: ComputerView,
    *,
    now: datetime,
    started_time: datetime | None,
    taken_back: str,
    deadline: datetime | None,
    install_timeout: timedelta,
    stood_in_the_way: str,
) -> Conclusion:
    """Return how an unended assignment ends now. `taken_back`: why, empty when not; `deadline`: one that passed."""
    reason = taken_back or ("" if computer.in_service else computer.out_of_service_reason or "it left the fleet")
    if assignment.state not in BEFORE_INSTALLING:
        return _mid_install(assignment, computer, now, deadline, install_timeout) if deadline else GOES_ON
    if reason:
        return _take_back(assignment, computer, now, reason)
    if deadline is None:
        return GOES_ON
    return Conclusion(_at_deadline(assignment, computer, started_time, stood_in_the_way))


def _take_back(assignment: Assignment, computer: ComputerView, now: datetime, reason: str) -> Conclusion:
    lease = assignment.start_until_time
    offered = assignment.state is not AssignmentState.PENDING
    if offered and computer.in_service and not computer.connected and lease is not None and lease > now:
        return Conclusion(look_again=lease)
    return Conclusion(_end(assignment, Outcome.CANCELLED, "", reason))


def _mid_install(
    assignment: Assignment, computer: ComputerView, now: datetime, deadline: datetime, install_timeout: timedelta
) -> Conclusion:
    if computer.connected:
        patience = given_up_at(assignment, deadline, install_timeout)
        if patience > now:
            return Conclusion(look_again=patience)
        awaits = assignment.state is AssignmentState.AWAITING_REBOOT
        symptom = Symptom.PENDING_REBOOT if awaits else Symptom.TIMEOUT
        text = f"in contact, but told nothing more of being {assignment.state}, and the deadline passed"
        return Conclusion(_end(assignment, Outcome.FAILED, symptom, text, severity=1))
    if not computer.asleep and not is_offline(computer, now):
        return Conclusion(look_again=computer.offline_time)
    text = f"fell silent while {assignment.state}, {_since(computer)}, and the deadline passed"
    return Conclusion(_end(assignment, Outcome.UNREACHABLE, Symptom.LOST_CONTACT, text, severity=1))


def _at_deadline(
    assignment: Assignment, computer: ComputerView, started_time: datetime | None, stood_in_the_way: str
) -> EndAssignment:
    seen = computer.last_seen_time
    heard = computer.connected or (seen is not None and started_time is not None and seen >= started_time)
    offered = assignment.state is not AssignmentState.PENDING
    if not heard or (offered and not computer.connected):
        return _end(
            assignment, Outcome.UNREACHABLE, Symptom.LOST_CONTACT, f"no contact until the deadline, {_since(computer)}"
        )
    reasons = assignment.reasons or computer.readiness.reasons
    if assignment.reasons or computer.readiness.verdict != READY:
        code, message = (reasons[0].code, reasons[0].message) if reasons else ("", "its readiness was never measured")
        return _end(assignment, Outcome.NOT_READY, code, f"not ready until the deadline: {message}")
    text = "it slept" if computer.asleep else stood_in_the_way if computer.connected else "it had no connection"
    return _end(assignment, Outcome.NOT_STARTED, "", f"ready, but not started until the deadline: {text}")


def _end(assignment: Assignment, outcome: Outcome, symptom: str, detail: str, *, severity: int = 0) -> EndAssignment:
    offered = assignment.state is not AssignmentState.PENDING
    return EndAssignment(
        assignment.id, assignment.computer_id, outcome, symptom, detail, severity=severity, withdraw=offered
    )


def _since(computer: ComputerView) -> str:
    seen = computer.last_seen_time
    return f"last heard of {format_time(seen.replace(microsecond=0))}" if seen else "never heard of"
