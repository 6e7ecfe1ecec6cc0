"""The one thread that does things to the computer: takes warrants in, and advances assignments one step at a time.

The worker decides which assignment comes next: what was begun is finished before anything else begins, then whatever is
due first. What a step does is the step's, and what follows it is the runner's.

Rules: a warrant that cannot be believed never replaces one that is known; an equal one is a repetition, a lower
generation is old, a higher one begins anew unless the install has started; when the disk fails, nothing goes on from
memory: the record is read from disk again. A restarted worker goes on where the journal says.
"""

import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from sopwith_agent.domain import limits
from sopwith_agent.domain.errors import JournalError, StepError
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.closing import clear_strangers
from sopwith_agent.steps.prepare import check_warrant
from sopwith_agent.steps.runner import CHANGING, Advance, Runner
from sopwith_agent.steps.workbench import Workbench
from sopwith_formats.errors import FormatError
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState
from sopwith_formats.warrant import Warrant, read_warrant

_log = structlog.get_logger()
_KEEPS_AWAKE = frozenset({AssignmentState.INSTALLING, AssignmentState.CONFIRMING, AssignmentState.ROLLING_BACK})
"""From INSTALLING to CONFIRMING; who waits for a reboot may sleep, and a reboot must not be held up."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class _Offer:
    """A warrant that waits to be taken in; `mark` tells which words about its lease came before it."""

    warrant: Warrant
    payload: str
    signature: str
    mark: int


@dataclass
class _Job:
    """One unfinished assignment in the worker's hands."""

    record: Record
    due: float | None
    """When its next step is due by the monotonic clock; None: only a wake-up goes on."""
    pauses: int = 0
    """Pauses in a row in the same state; they grow from a second to what the step asked for."""
    from_disk: bool = False
    """Taken from the journal, not from the step before: recover first."""


class Worker:
    """Runs assignments; `offer`, `wake` and `stop` may be called from any thread."""

    def __init__(self, bench: Workbench, stopping: threading.Event) -> None:
        self._bench = bench
        self._runner = Runner(bench)
        self._stopping = stopping
        self._changed = threading.Condition()
        self._inbox: deque[_Offer] = deque()
        self._jobs: dict[str, _Job] = {}
        self._tasks: deque[Callable[[], None]] = deque()
        self._awake = False
        self._inbox_due = 0.0
        self.moved: Callable[[Record], None] = lambda _record: None
        """Called in the worker's thread with each record as it was written; set by whoever watches."""

    def offer(self, payload: bytes, signature: bytes) -> None:
        """Take a warrant in; one that cannot even be read is refused here, with nothing to report it for."""
        try:
            warrant = _readable(payload)
        except FormatError as error:
            _log.error("warrant_refused", error=str(error))
            return
        mark = self._bench.orders.mark(warrant.assignment_id)
        with self._changed:
            self._inbox.append(_Offer(warrant, payload.decode(), signature.hex(), mark))
            self._changed.notify()

    def do(self, task: Callable[[], None]) -> None:
        """Have something done in the worker's thread before its next step, because its ports belong to that thread."""
        with self._changed:
            self._tasks.append(task)
            self._changed.notify()

    def look_at_packages(self) -> None:
        """Have reported what others changed, unless an update is changing packages itself, or was cut off at it."""
        if not any(job.from_disk or job.record.state in CHANGING for job in self._jobs.values()):
            self._bench.packages.look()

    def knows(self, assignment_id: str) -> bool:
        """Tell whether an unfinished assignment is in the worker's hands."""
        with self._changed:
            return assignment_id in self._jobs or any(
                offer.warrant.assignment_id == assignment_id for offer in self._inbox
            )

    def wake(self) -> None:
        """Look at every waiting assignment again now."""
        with self._changed:
            self._awake = True
            self._changed.notify()

    def unfinished(self) -> list[Record]:
        """Return the unfinished assignments, oldest first."""
        with self._changed:
            return sorted((job.record for job in self._jobs.values()), key=lambda record: record.started_time)

    def run(self) -> None:
        """Work until asked to stop; blocks."""
        self._take_up_journal()
        while not self._stopping.is_set():
            self._take_in()
            job = self._next()
            if job is not None:
                self._advance(job)

    def stop(self) -> None:
        """Ask to end; a long step parks."""
        self._stopping.set()
        self.wake()

    def run_until_idle(self) -> None:
        """Work until nothing is due: what tests and a single pass use."""
        if not self._jobs:
            self._take_up_journal()
        while True:
            self._take_in()
            job = self._due()
            if job is None:
                return
            self._advance(job)

    def _take_up_journal(self) -> None:
        records = [record for record in self._bench.journal.records() if not (record.ended and record.reported)]
        clear_strangers(records, self._bench)
        for record in records:
            assignment_id = record.warrant.assignment_id
            if record.state not in BEFORE_INSTALLING and not record.ended:
                self._bench.orders.resume_start(assignment_id)
            with self._changed:
                self._jobs.setdefault(assignment_id, _Job(record, due=0, from_disk=True))

    def _take_in(self) -> None:
        while self._tasks:
            self._tasks.popleft()()
        while True:
            with self._changed:
                if not self._inbox or self._bench.clock.monotonic() < self._inbox_due:
                    return
                offer = self._inbox[0]
            assignment_id = offer.warrant.assignment_id
            try:
                record = self._accepted(offer)
            except (JournalError, OSError) as error:
                _log.error("warrant_not_kept", assignment=assignment_id, error=str(error))
                self._inbox_due = self._bench.clock.monotonic() + limits.disk_retry_seconds
                return
            with self._changed:
                self._inbox.popleft()
                if record is not None:
                    self._jobs[assignment_id] = _Job(record, due=0)

    def _accepted(self, offer: _Offer) -> Record | None:
        """Return the new record, durable, or None when the warrant changes nothing."""
        bench, now, warrant = self._bench, self._bench.clock.now(), offer.warrant
        record = Record(offer.payload, offer.signature, AssignmentState.PENDING, now, now)
        known = bench.journal.load(warrant.assignment_id)
        if known is not None:
            if not self._replaces(record, known, offer.mark):
                return None
            record = record.step("warrant", now, "replaced", f"generation {warrant.generation}")
        bench.journal.save(record)
        bench.orders.first_lease(
            warrant.assignment_id,
            warrant.start_until_time,
            offer.mark,
            despite_freeze=bool(warrant.despite_freeze),
        )
        _log.info("warrant_accepted", assignment=warrant.assignment_id, release=f"{warrant.release}@{warrant.version}")
        return record

    def _replaces(self, record: Record, known: Record, mark: int) -> bool:
        warrant = record.warrant
        try:
            check_warrant(record, self._bench)
        except StepError as error:
            _log.error("warrant_refused", assignment=warrant.assignment_id, error=error.message)
            return False
        generation = known.warrant.generation
        if warrant.generation > generation:
            return known.ended or known.state in BEFORE_INSTALLING
        if warrant.generation < generation:
            return False
        if known.ended:
            self._bench.outbox.repeat_receipt(warrant.assignment_id, generation)
        else:
            self._bench.orders.first_lease(
                warrant.assignment_id, warrant.start_until_time, mark, despite_freeze=bool(warrant.despite_freeze)
            )
            self.wake()
        return False

    def _next(self) -> _Job | None:
        """Return the job whose step is due; wait for one, a warrant or a wake-up, and then return None."""
        with self._changed:
            job = self._due()
            if job:
                return job
            now = self._bench.clock.monotonic()
            times = [job.due - now for job in self._jobs.values() if job.due is not None]
            times.extend(self._until_deadlines())
            if self._inbox:
                times.append(max(0.0, self._inbox_due - now))
            if not self._stopping.is_set() and not self._tasks:
                self._changed.wait(min(times, default=None))
            return None

    def _due(self) -> _Job | None:
        if self._awake:
            self._awake = False
            for job in self._jobs.values():
                job.due = 0
        now = self._bench.clock.monotonic()
        due = [job for job in self._jobs.values() if job.due is not None and job.due <= now]
        return min(due, key=lambda job: (job.record.state in BEFORE_INSTALLING, job.due), default=None)

    def _until_deadlines(self) -> list[float]:
        """Return the seconds until deadlines, at least one, so that a passed one is looked at soon but not at once."""
        now, clock_now = self._bench.clock.fleet_now(), limits.deadline_check_seconds
        waits = []
        for job in self._jobs.values():
            if job.due is None:
                left = (job.record.warrant.deadline_time - now).total_seconds()
                waits.append(max(1.0, min(left, clock_now)))
                if left <= 0:
                    job.due = 0
        return waits

    def _advance(self, job: _Job) -> None:
        assignment_id = job.record.warrant.assignment_id
        state = job.record.state
        if state in _KEEPS_AWAKE:
            self._bench.wakefulness.hold(f"changes {job.record.warrant.release}")
        try:
            advance = self._runner.resume(job.record) if job.from_disk else self._runner.advance(job.record)
        except (JournalError, OSError) as error:
            _log.error("record_not_written", assignment=assignment_id, state=state.value, error=str(error))
            self._reload(job, assignment_id)
            return
        self._keep(job, assignment_id, advance, stayed=advance.record.state is state and not job.from_disk)
        self._let_sleep()

    def _keep(self, job: _Job, assignment_id: str, advance: Advance, *, stayed: bool) -> None:
        record = advance.record
        self.moved(record)
        with self._changed:
            job.record, job.from_disk = record, False
            if record.ended:
                if record.reported:
                    self._jobs.pop(assignment_id, None)
                return
            job.pauses = job.pauses + 1 if stayed else 0
            pause = advance.pause_seconds
            if pause is None:
                job.due = None
            elif not pause:
                job.due = 0
            else:
                ceiling = 2.0 ** min(job.pauses, 16) if stayed else pause
                job.due = self._bench.clock.monotonic() + min(pause, ceiling)

    def _let_sleep(self) -> None:
        """Let the computer sleep once nothing on it is half done."""
        if not any(job.record.state in _KEEPS_AWAKE for job in self._jobs.values()):
            self._bench.wakefulness.release()

    def _reload(self, job: _Job, assignment_id: str) -> None:
        """Go on later from what the disk says, not from memory."""
        due = self._bench.clock.monotonic() + limits.disk_retry_seconds
        try:
            record = self._bench.journal.load(assignment_id) or job.record
        except JournalError:
            record = job.record
        with self._changed:
            job.record, job.due, job.from_disk = record, due, True


def _readable(payload: bytes) -> Warrant:
    warrant = read_warrant(payload)
    if not _ID.fullmatch(warrant.assignment_id):
        raise FormatError("is no assignment id", where="assignment_id")
    return warrant
