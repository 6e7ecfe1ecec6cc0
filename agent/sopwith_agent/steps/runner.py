"""Takes one assignment one step further, with everything written down before it is acted on.

The runner decides how a step's result becomes the next record, and what is done with a step's failure: what the
troubleshooting catalogue answers. Which assignment comes when is the worker's; what a step does is the step's.

Rules: the journal is written before the state that it announces is acted on; an exception after the commit point always
leads to ROLLING_BACK; what cannot be written down is not done, and tried again later from what the disk says; an
outcome is kept before its receipt is made, and the receipt is made exactly once.
"""

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from sopwith_agent.domain import limits
from sopwith_agent.domain.assignment import Event
from sopwith_agent.domain.decisions import of_event
from sopwith_agent.domain.errors import JournalError, StepError
from sopwith_agent.domain.record import Record
from sopwith_agent.domain.recovery import Resumption, resumption
from sopwith_agent.steps import closing, reboot_only
from sopwith_agent.steps.confirm import confirm
from sopwith_agent.steps.download import download, wait_for_start
from sopwith_agent.steps.install import inspect, install
from sopwith_agent.steps.prepare import prepare
from sopwith_agent.steps.reboot import await_reboot, reboot
from sopwith_agent.steps.roll_back import roll_back
from sopwith_agent.steps.troubleshooting import Answer, Remedy, troubleshoot
from sopwith_agent.steps.workbench import Done, Wait, Workbench
from sopwith_formats.reboot_only import is_reboot_only
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState, Symptom

_log = structlog.get_logger()

Step = Callable[[Record, Workbench], Done | Wait]

STEPS: dict[AssignmentState, Step] = {
    AssignmentState.PENDING: lambda record, _: Done(record, Event.OFFERED),
    AssignmentState.PREPARING: prepare,
    AssignmentState.DOWNLOADING: download,
    AssignmentState.STAGED: wait_for_start,
    AssignmentState.INSTALLING: install,
    AssignmentState.AWAITING_REBOOT: await_reboot,
    AssignmentState.REBOOTING: reboot,
    AssignmentState.CONFIRMING: confirm,
    AssignmentState.ROLLING_BACK: roll_back,
}

REBOOT_STEPS: dict[AssignmentState, Step] = {
    **STEPS,
    AssignmentState.PREPARING: reboot_only.prepare,
    AssignmentState.DOWNLOADING: reboot_only.download,
    AssignmentState.STAGED: reboot_only.wait_for_start,
    AssignmentState.INSTALLING: reboot_only.begin,
    AssignmentState.CONFIRMING: reboot_only.confirm,
    AssignmentState.ROLLING_BACK: reboot_only.roll_back,
}
"""Of an assignment that brings no release."""

_REMEDY_EVENTS = {
    Remedy.RETRY: Event.RETRIED,
    Remedy.DEFER: Event.DEFERRED,
    Remedy.WAIT: Event.DEFERRED,
    Remedy.REFUSE: Event.REFUSED,
    Remedy.ROLL_BACK: Event.FAILED_CHANGED,
}
_FAILURES = {
    AssignmentState.PREPARING: Event.REFUSED,
    AssignmentState.DOWNLOADING: Event.ATTEMPTS_SPENT,
    AssignmentState.STAGED: Event.REFUSED,
    AssignmentState.INSTALLING: Event.FAILED_UNCHANGED,
}
CHANGING = frozenset({AssignmentState.INSTALLING, AssignmentState.ROLLING_BACK})
"""States whose steps change packages: what package tools say meanwhile is the agent's own doing."""
_TRYING = frozenset({AssignmentState.DOWNLOADING, AssignmentState.STAGED, AssignmentState.INSTALLING})
_PATIENT = frozenset({AssignmentState.AWAITING_REBOOT, AssignmentState.REBOOTING, AssignmentState.ROLLING_BACK})
_DISK_ERRORS = {errno.ENOSPC: Symptom.DISK_FULL, errno.EDQUOT: Symptom.DISK_FULL}
_RIGHTS_ERRORS = {errno.EACCES, errno.EPERM, errno.EROFS}


@dataclass(frozen=True)
class Advance:
    """What one step came to: the record as it lies in the journal, and the pause before the next step.

    `pause_seconds` 0 means at once, None that only a wake-up goes on.
    """

    record: Record
    pause_seconds: float | None


class Runner:
    """Advances assignments; used by one thread."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def resume(self, record: Record) -> Advance:
        """Take up a record as it was found on disk, after a start or after the disk failed."""
        bench, now = self._bench, self._bench.clock.now()
        following = resumption(record, record.warrant.attempts_max)
        if following is Resumption.NOTHING:
            return Advance(record, None)
        if following is Resumption.REPORT:
            return Advance(closing.report(record, bench), None)
        if not record.ended:
            _log.info("assignment_resumed", assignment=record.warrant.assignment_id, state=record.state.value)
        if following is Resumption.RESUME_INSTALL:
            resumed = replace(record, attempts=record.attempts + 1)
            resumed = resumed.step("recover", now, "resume", "the install was cut off before its commit point")
            return self._keep(resumed, pause_seconds=0)
        if following is Resumption.GIVE_UP_INSTALL:
            detail = f"The install was cut off {record.attempts} times before its commit point; nothing was changed."
            return self._follow(Done(record, Event.FAILED_UNCHANGED, Symptom.AGENT_CRASH_LOOP, detail))
        if following is Resumption.INSPECT:
            return self._changing(record, inspect)
        return self._keep(record, pause_seconds=0)

    def advance(self, record: Record) -> Advance:
        """Run the step of the record's state and write down what came of it; raise JournalError when that fails."""
        ended = self._end_from_outside(record)
        if ended:
            return self._follow(ended)
        step = _steps_of(record)[record.state]
        return self._changing(record, step) if record.state in CHANGING else self._guarded(record, step)

    def _changing(self, record: Record, step: Step) -> Advance:
        """Run a step that changes packages, so that nobody takes that for the doing of others."""
        self._bench.packages.begin_own()
        try:
            return self._guarded(record, step)
        finally:
            self._bench.packages.end_own()

    def _end_from_outside(self, record: Record) -> Done | None:
        """Return the end that the controller or the clock asks for, where the assignment can still be taken back."""
        if record.state not in BEFORE_INSTALLING or record.state is AssignmentState.PENDING:
            return None
        warrant, bench = record.warrant, self._bench
        reason = bench.orders.withdrawn(warrant.assignment_id)
        if reason is not None:
            return Done(record, Event.WITHDRAWN, detail=reason or "The controller took it back.")
        if bench.clock.fleet_now() < warrant.deadline_time:
            return None
        if record.state is AssignmentState.PREPARING and not record.was_ready:
            return Done(record, Event.DEADLINE_PASSED_UNREADY, record.symptom, record.detail)
        detail = record.detail or "The deadline passed before the install could start."
        return Done(record, Event.DEADLINE_PASSED, record.symptom, detail)

    def _guarded(self, record: Record, step: Step) -> Advance:
        """Run a step; whatever it raises becomes a remedy. A stop or a withdrawal in between is no failure."""
        try:
            result = step(record, self._bench)
        except JournalError:
            raise
        except (StepError, OSError) as error:
            return self._answer(record, error)
        except Exception as error:  # noqa: BLE001  a mistake in the program must not leave a computer half updated
            _log.exception("step_crashed", assignment=record.warrant.assignment_id, state=record.state.value)
            return self._answer(record, StepError(Symptom.UNKNOWN, f"{type(error).__name__} in {record.state.value}"))
        if isinstance(result, Wait):
            return self._wait(record, result)
        return self._follow(result)

    def _answer(self, record: Record, error: StepError | OSError) -> Advance:
        """Do what the catalogue says to a failed step, and write it down as a step taken."""
        bench = self._bench
        failure = error if isinstance(error, StepError) else classified(error)
        latest = bench.journal.load(record.warrant.assignment_id) or record
        changed = latest.state not in BEFORE_INSTALLING and (latest.commits > 0 or failure.changed)
        ended = self._end_from_outside(latest)
        if ended:
            return self._follow(ended)
        warrant = latest.warrant
        answer = troubleshoot(failure.symptom, latest, changed=changed, attempts_max=warrant.attempts_max)
        if failure.final and not changed and latest.state is AssignmentState.DOWNLOADING:
            answer = Answer(Remedy.FAIL, detail="the source would give the same answer again")
        if bench.stopping() and not changed:
            answer = Answer(Remedy.WAIT, 0, "the agent was asked to stop")
        _log.warning(
            "step_failed",
            assignment=warrant.assignment_id,
            state=latest.state.value,
            symptom=failure.symptom.value,
            remedy=answer.remedy.value,
            detail=failure.message,
        )
        latest = latest.decide(*failure.decisions)
        note = f"{failure.symptom.value}: {failure.message}" + (f" ({answer.detail})" if answer.detail else "")
        latest = latest.step("remedy", bench.clock.now(), answer.remedy.value, note)
        if latest.state in _PATIENT:  # counted by the state itself, or waiting for a boot
            return self._wait(latest, Wait(latest, limits.retry_cap_seconds, latest.symptom, latest.detail))
        return self._apply(latest, answer, failure)

    def _apply(self, record: Record, answer: Answer, failure: StepError) -> Advance:
        if answer.remedy is Remedy.RETRY:
            record = replace(record, attempts=record.attempts + 1, retries=record.retries + 1)
        if answer.remedy is Remedy.WAIT and record.state in _TRYING:
            record = replace(record, attempts=max(0, record.attempts - 1))
        if answer.remedy in {Remedy.DEFER, Remedy.WAIT}:
            if record.state not in _TRYING:
                return self._wait(record, Wait(record, answer.pause_seconds, failure.symptom, failure.message))
            record = replace(record, deferrals=record.deferrals + 1)
            self._bench.orders.release_start(record.warrant.assignment_id)
        event = _REMEDY_EVENTS.get(answer.remedy) or _FAILURES[record.state]
        if record.state is AssignmentState.CONFIRMING:
            event = Event.UNHEALTHY
        return self._follow(Done(record, event, failure.symptom, failure.message), pause_seconds=answer.pause_seconds)

    def _follow(self, done: Done, *, pause_seconds: float = 0) -> Advance:
        """Write down where the event leads, before anything acts on it."""
        before, now = done.record.state, self._bench.clock.now()
        record = done.record.after(done.event, now, symptom=done.symptom, detail=done.detail)
        record = record.decide(*of_event(done.event, done.symptom, done.detail))
        record = record.step(before.value.lower(), now, done.event.value.lower(), done.detail)
        if record.state is AssignmentState.DOWNLOADING and before is AssignmentState.PREPARING:
            record = replace(record, attempts=record.attempts + 1)
        if record.ended:
            return Advance(closing.end(record, self._bench), None)
        return self._keep(record, pause_seconds, done)

    def _wait(self, before: Record, wait: Wait) -> Advance:
        """Stay; tell why only when that changed."""
        record = replace(wait.record, symptom=wait.symptom, detail=wait.detail[: limits.detail_max_characters])
        if replace(record, decisions=before.decisions) == before:  # a measured value that moves is no news
            return Advance(record, wait.seconds)
        return self._keep(record, wait.seconds, wait)

    def _keep(self, record: Record, pause_seconds: float | None, told: Done | Wait | None = None) -> Advance:
        bench = self._bench
        bench.journal.save(record)
        next_try = bench.clock.now() + timedelta(seconds=pause_seconds) if pause_seconds else None
        try:
            bench.outbox.entered(record, told.reasons if told else (), next_try)
        except OSError as error:
            if record.state is AssignmentState.INSTALLING and not record.commits:
                return self._answer(record, error)  # a start that nobody will hear of is no start
            _log.error("report_lost", assignment=record.warrant.assignment_id, error=str(error))
        return Advance(record, pause_seconds)


def _steps_of(record: Record) -> dict[AssignmentState, Step]:
    warrant = record.warrant
    return REBOOT_STEPS if is_reboot_only(f"{warrant.release}@{warrant.version}") else STEPS


def classified(error: OSError) -> StepError:
    """Return the system's error as a failed step."""
    if error.errno in _DISK_ERRORS:
        return StepError(Symptom.DISK_FULL, f"The disk is full: {error}.", remedy="free space on the disk")
    if error.errno in _RIGHTS_ERRORS:
        return StepError(Symptom.PERMISSION_DENIED, f"The system refuses: {error}.")
    return StepError(Symptom.UNKNOWN, f"The system answers: {error}.")
