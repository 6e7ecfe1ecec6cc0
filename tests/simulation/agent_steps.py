"""One assignment's steps on a simulated computer, each with the pauses in which an agent can die.

Decides what a step finds (by the run's faults) and how long it takes. What follows from it is the agent's own: its
table of states, its catalogue of remedies, its rules of recovery, its receipts. Everything is written to the disk
before it is acted on, as the runner does.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from sopwith_agent.domain import limits
from sopwith_agent.domain.assignment import Event
from sopwith_agent.domain.errors import StepError
from sopwith_agent.domain.record import Record
from sopwith_agent.domain.recovery import Resumption
from sopwith_agent.steps.closing import receipt_of
from sopwith_agent.steps.troubleshooting import Remedy, back_off_seconds, troubleshoot
from sopwith_controller.domain.assignment import RebootWish
from sopwith_controller.domain.entities import Reason
from sopwith_controller.services.agent_reports import ProgressReported
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState, Symptom

if TYPE_CHECKING:
    from tests.simulation.agent import Agent

Result = tuple[Record, float | None]
_S = AssignmentState
_TRYING = frozenset({_S.DOWNLOADING, _S.STAGED, _S.INSTALLING})
_FAILURES = {
    _S.PREPARING: Event.REFUSED,
    _S.DOWNLOADING: Event.ATTEMPTS_SPENT,
    _S.STAGED: Event.REFUSED,
    _S.INSTALLING: Event.FAILED_UNCHANGED,
}
_REMEDY_EVENTS = {
    Remedy.RETRY: Event.RETRIED,
    Remedy.DEFER: Event.DEFERRED,
    Remedy.WAIT: Event.DEFERRED,
    Remedy.REFUSE: Event.REFUSED,
    Remedy.ROLL_BACK: Event.FAILED_CHANGED,
}


class Steps:
    """The steps of one agent."""

    def __init__(self, agent: "Agent") -> None:
        self._agent = agent
        self._machine = agent.machine
        self._disk = agent.disk
        self._faults = agent.machine.faults
        self._steps = {
            _S.PREPARING: self._prepare,
            _S.DOWNLOADING: self._download,
            _S.STAGED: self._wait_for_start,
            _S.INSTALLING: self._install,
            _S.AWAITING_REBOOT: self._await_reboot,
            _S.REBOOTING: self._reboot,
            _S.CONFIRMING: self._confirm,
            _S.ROLLING_BACK: self._roll_back,
        }

    async def resume(self, record: Record, following: Resumption) -> Result:
        """Take up what the disk says."""
        if following is Resumption.REPORT:
            return await self._report(record), None
        if following is Resumption.RESUME_INSTALL:
            return await self._keep(replace(record, attempts=record.attempts + 1), 0)
        if following is Resumption.GIVE_UP_INSTALL:
            return await self._follow(record, Event.FAILED_UNCHANGED, Symptom.AGENT_CRASH_LOOP)
        if following is Resumption.INSPECT:
            return await self._inspect(record)
        return await self._keep(record, 0)

    async def advance(self, record: Record) -> Result:
        """Run the step of the record's state."""
        if record.state is _S.PENDING:
            return await self._follow(record, Event.OFFERED)
        ended = self._ended_from_outside(record)
        if ended is not None:
            return await self._follow(record, ended, record.symptom)
        try:
            return await self._steps[record.state](record)
        except StepError as error:
            return await self._answer(self._disk.journal[self._id(record)], error)

    def _ended_from_outside(self, record: Record) -> Event | None:
        if record.state not in BEFORE_INSTALLING:
            return None
        if self._agent.orders.withdrawn(self._id(record)) is not None:
            return Event.WITHDRAWN
        if self._machine.fleet_now() < self._agent.warrant(record).deadline_time:
            return None
        unready = record.state is _S.PREPARING and not record.was_ready
        return Event.DEADLINE_PASSED_UNREADY if unready else Event.DEADLINE_PASSED

    async def _prepare(self, record: Record) -> Result:
        await self._pause(0.1, 3.0)
        warrant = self._agent.warrant(record)
        installed = self._disk.installed.get(warrant.release, "")
        if installed == warrant.version:
            return await self._follow(replace(record, version_before=installed), Event.NOT_NEEDED)
        obstacle = self._agent.measure()
        if obstacle is not None:
            return await self._wait(record, limits.not_ready_retry_seconds, obstacle)
        return await self._follow(replace(record, version_before=installed, was_ready=True), Event.READY)

    async def _download(self, record: Record) -> Result:
        slow = 30.0 if self._faults.happens(self._faults.rates.download_slow) else 1.0
        for percent in (25, 75):
            await self._pause(1.0 * slow, 30.0 * slow)
            self._agent.mention(self._progress(record, percent))
        rates = self._faults.rates
        if self._faults.happens(rates.download_failed):
            failures = (Symptom.NET_SOURCE_UNREACHABLE, Symptom.DOWNLOAD_DIGEST_MISMATCH)
            raise StepError(self._faults.random.choice(failures), "the download went wrong")
        self._fill_disk()
        return await self._follow(record, Event.VERIFIED)

    async def _wait_for_start(self, record: Record) -> Result:
        await self._pause(0.05, 0.5)
        obstacle = self._agent.measure()
        if obstacle is not None:
            return await self._wait(record, limits.not_ready_retry_seconds, obstacle)
        hindrance = self._agent.orders.try_start(self._id(record), self._machine.fleet_now())
        if hindrance:
            return await self._wait(record, None, detail=hindrance)
        self._machine.started(self._agent.warrant(record))
        return await self._follow(record, Event.START_ALLOWED)

    async def _install(self, record: Record) -> Result:
        await self._pause(1.0, 20.0)
        self._fill_disk()
        if self._faults.happens(self._faults.rates.install_failed):
            raise StepError(Symptom.INSTALLER_EXIT_NONZERO, "the installer failed before it changed anything")
        warrant = self._agent.warrant(record)
        record = self._save(replace(record, commits=record.commits + 1, boot_id=self._machine.boot_id))
        await self._pause(0.0, 0.2)
        self._disk.installed[warrant.release] = warrant.version
        self._machine.committed(warrant)
        await self._pause(0.0, 5.0)
        if self._faults.happens(self._faults.rates.cut_after_commit):
            raise StepError(Symptom.UNKNOWN, "the installer failed half way", changed=True)
        return await self._follow(record, self._after_apply(record))

    async def _inspect(self, record: Record) -> Result:
        warrant = self._agent.warrant(record)
        if self._disk.installed.get(warrant.release, "") == warrant.version:
            return await self._follow(record, self._after_apply(record))
        return await self._follow(record, Event.FAILED_CHANGED, Symptom.UNKNOWN)

    def _after_apply(self, record: Record) -> Event:
        needed = self._machine.needs_reboot(self._agent.warrant(record))
        return Event.REBOOT_NEEDED if needed else Event.APPLIED

    async def _await_reboot(self, record: Record) -> Result:
        if self._machine.boot_id != record.boot_id:
            return await self._booted(record)
        if self._machine.fleet_now() >= self._agent.warrant(record).deadline_time:
            return await self._follow(record, Event.REBOOT_FORBIDDEN, Symptom.PENDING_REBOOT)
        if not self._machine.may_reboot:
            return await self._wait(record, limits.not_ready_retry_seconds, detail="Waits for a reboot by a person.")
        hindrance = self._agent.orders.reboot_hindrance(self._id(record), self._machine.fleet_now())
        if hindrance:
            asking = replace(record, reboot_asked_time=record.reboot_asked_time or self._machine.fleet_now())
            wanting = replace(asking, reboot_wanted=True)
            return await self._wait(wanting, limits.not_ready_retry_seconds, detail="Waits for leave to reboot.")
        self._machine.rebooting(self._agent.warrant(record))
        return await self._follow(record, Event.REBOOT_STARTED)

    async def _reboot(self, record: Record) -> Result:
        if self._machine.boot_id != record.boot_id:
            return await self._booted(record)
        self._machine.reboot()
        return await self._wait(record, limits.reboot_grace_seconds, detail="The computer is rebooting.")

    async def _booted(self, record: Record) -> Result:
        warrant = self._agent.warrant(record)
        if self._disk.installed.get(warrant.release, "") == warrant.version:
            return await self._follow(record, Event.CAME_BACK)
        return await self._follow(record, Event.CAME_BACK_WITHOUT, Symptom.REBOOT_FAILED)

    async def _confirm(self, record: Record) -> Result:
        warrant = self._agent.warrant(record)
        while True:
            await self._pause(2.0, 30.0)
            if not self._machine.is_bad(warrant):
                self._machine.found_healthy(warrant)
                return await self._follow(record, Event.HEALTHY)
            if record.rechecks >= limits.recheck_attempts_max:
                return await self._follow(record, Event.UNHEALTHY, Symptom.HEALTH_CHECK_FAILED)
            record = self._save(replace(record, rechecks=record.rechecks + 1))

    async def _roll_back(self, record: Record) -> Result:
        if record.rollback_attempts >= limits.rollback_attempts_max:
            return await self._follow(record, Event.RESTORE_FAILED, Symptom.ROLLBACK_FAILED)
        record = self._save(replace(record, rollback_attempts=record.rollback_attempts + 1))
        await self._pause(1.0, 20.0)
        if self._machine.cannot_go_back:
            return await self._wait(record, back_off_seconds(record.rollback_attempts))
        warrant = self._agent.warrant(record)
        if record.version_before:
            self._disk.installed[warrant.release] = record.version_before
        else:
            self._disk.installed.pop(warrant.release, None)
        return await self._follow(record, Event.RESTORED, record.symptom)

    async def _answer(self, record: Record, error: StepError) -> Result:
        """Do what the catalogue says to a failed step."""
        changed = record.state not in BEFORE_INSTALLING and (record.commits > 0 or error.changed)
        attempts_max = self._agent.warrant(record).attempts_max
        answer = troubleshoot(error.symptom, record, changed=changed, attempts_max=attempts_max)
        if answer.remedy is Remedy.RETRY:
            record = replace(record, attempts=record.attempts + 1, retries=record.retries + 1)
        if answer.remedy is Remedy.WAIT and record.state in _TRYING:
            record = replace(record, attempts=max(0, record.attempts - 1))
        if answer.remedy in {Remedy.DEFER, Remedy.WAIT}:
            record = replace(record, deferrals=record.deferrals + 1)
            self._agent.orders.release_start(self._id(record))
            self._machine.released(self._agent.warrant(record))
        event = _REMEDY_EVENTS.get(answer.remedy) or _FAILURES[record.state]
        return await self._follow(record, event, error.symptom, pause=answer.pause_seconds)

    def _fill_disk(self) -> None:
        if self._faults.happens(self._faults.rates.disk_full):
            raise StepError(Symptom.DISK_FULL, "no space is left")

    async def _follow(self, record: Record, event: Event, symptom: str = "", *, pause: float = 0) -> Result:
        """Write down where the event leads."""
        before = record.state
        after = record.after(event, self._machine.wall_now(), symptom=symptom, detail=symptom)
        if after.state is _S.DOWNLOADING and before is _S.PREPARING:
            after = replace(after, attempts=after.attempts + 1)
        if after.ended:
            warrant = self._agent.warrant(after)
            after = replace(after, version_after=self._disk.installed.get(warrant.release, ""))
            return await self._report(self._save(after)), None
        return await self._keep(after, pause)

    async def _wait(
        self, record: Record, seconds: float | None, obstacle: Reason | None = None, detail: str = ""
    ) -> Result:
        """Stay; tell why only when that changed."""
        after = replace(
            record, symptom=obstacle.code if obstacle else "", detail=obstacle.message if obstacle else detail
        )
        if after == record:
            return record, seconds
        return await self._keep(after, seconds, (obstacle,) if obstacle else ())

    async def _keep(self, record: Record, pause: float | None, reasons: tuple[Reason, ...] = ()) -> Result:
        self._save(record)
        await self._pause(0.0, 0.01)
        self._agent.tell(self._progress(record, 0, reasons))
        return record, pause

    async def _report(self, record: Record) -> Record:
        await self._pause(0.0, 0.05)
        self._machine.ended(self._agent.warrant(record), record.outcome)
        self._agent.end(self._disk.end(receipt_of(record, self._disk.computer_id)))
        record = self._save(replace(record, reported=True))
        self._agent.orders.forget(self._id(record))
        return record

    def _progress(self, record: Record, percent: int, reasons: tuple[Reason, ...] = ()) -> ProgressReported:
        waits = record.state in {_S.AWAITING_REBOOT, _S.REBOOTING}
        return ProgressReported(
            assignment_id=self._id(record),
            state=record.state,
            percent=percent,
            symptom=record.symptom,
            detail=record.detail,
            attempts=record.attempts,
            version_before=record.version_before,
            reasons=reasons,
            reboot=RebootWish(record.reboot_asked_time, wanted=record.reboot_wanted) if waits else None,
        )

    def _save(self, record: Record) -> Record:
        self._disk.journal[self._id(record)] = record
        return record

    def _id(self, record: Record) -> str:
        return self._agent.warrant(record).assignment_id

    async def _pause(self, low: float, high: float) -> None:
        """Take some time; here an agent can die."""
        await self._machine.sleep(self._faults.between(low, high))
