"""One life of an agent on a simulated computer: takes warrants in, advances assignments, keeps a stream.

Decides which assignment comes next and what the controller's words do, in the manner of the agent's worker and session;
the steps themselves are `agent_steps`'. Orders, records and their table are the agent's own. A life ends at any pause;
what it had on disk is where the next one begins.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sopwith_agent.domain import limits
from sopwith_agent.domain.record import Record
from sopwith_agent.domain.recovery import Resumption, resumption
from sopwith_agent.steps.orders import Orders, RebootLease
from sopwith_controller.domain.entities import Readiness, Reason
from sopwith_controller.services.agent_reports import (
    Arrival,
    Content,
    JournalEntry,
    ReadinessReported,
    Report,
)
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState
from sopwith_formats.warrant import Warrant, read_warrant
from tests.simulation import messages
from tests.simulation.agent_steps import Steps
from tests.simulation.faults import Faults
from tests.simulation.network import Link

WAITING = frozenset({AssignmentState.STAGED, AssignmentState.AWAITING_REBOOT})


@dataclass
class Job:
    """One unfinished assignment in the agent's hands; `due` None: only a wake-up goes on."""

    record: Record
    due: float | None
    pauses: int = 0
    from_disk: bool = False


class Redialling:
    """The tries of one agent that nobody answers; they are played when somebody would, for until then they do nothing.

    Each follows the one before it after a pause of chance, below a bound that doubles up to the agent's own cap.
    """

    def __init__(self, faults: Faults, now: float) -> None:
        self._faults = faults
        self._tries = 0
        self._at = now

    def next_after(self, now: float) -> float:
        """Return when the first try after this moment is due."""
        while self._at <= now:
            self._tries += 1
            pause = min(limits.redial_cap_seconds, limits.redial_first_seconds * 2.0**self._tries)
            self._at += self._faults.between(0.1, pause)
        return self._at


class Agent:
    """One process."""

    def __init__(self, machine: Any, nonce: str) -> None:
        self.machine, self.disk, self.nonce = machine, machine.disk, nonce
        self.orders = Orders(self.disk.orders, self._keep_orders)
        self.link: Link | None = None
        self.jobs: dict[str, Job] = {}
        self.warrants: dict[str, Warrant] = {}
        self._welcomed = False
        self.welcomed_time: datetime | None = None
        self._inbox: deque[tuple[Warrant, bytes, int]] = deque()
        self._steps = Steps(self)
        self._wake = asyncio.Event()
        self._awake = False
        self._redialling: Redialling | None = None
        self._next_dial: asyncio.TimerHandle | None = None
        self._task = machine.loop.create_task(self._work())
        self._task.add_done_callback(machine.agent_ended)
        self._dial_after(0.0)

    @property
    def is_idle(self) -> bool:
        """Tell whether it does nothing: it has no assignment, or waits for a person, a time or a leave."""
        return all(job.record.state in WAITING for job in self.jobs.values())

    def kill(self) -> None:
        """End at once; the kernel ends the stream."""
        self._task.cancel()
        if self._next_dial is not None:
            self._next_dial.cancel()
        self.machine.answers(None)
        if self.link is not None:
            self.link.cut(computer_knows=True)
            self.link = None

    def warrant(self, record: Record) -> Warrant:
        """Return a record's warrant, read once."""
        if record.warrant_payload not in self.warrants:
            self.warrants[record.warrant_payload] = record.warrant
        return self.warrants[record.warrant_payload]

    def tell(self, content: Content) -> None:
        """Put a reliable message into the outbox, and send it where a stream stands."""
        self._send(self.disk.put(content))

    def end(self, report: Report | None) -> None:
        """Send a receipt."""
        if report is not None:
            self._send(report)

    def mention(self, content: Content) -> None:
        """Say something that may be lost."""
        if self.link is not None and self._welcomed:
            self.link.up(Report(self.disk.computer_id, 0, "", content))

    def measure(self, request_id: str = "") -> Reason | None:
        """Measure readiness, say so, and return what stands in the way."""
        obstacle = self.machine.obstacle()
        readiness = Readiness("NOT_READY", (obstacle,)) if obstacle else Readiness("READY")
        self.mention(ReadinessReported(readiness, request_id))
        return obstacle

    # The worker.

    async def _work(self) -> None:
        for assignment_id, record in self.disk.journal.items():
            if record.ended and record.reported:
                continue
            if record.state not in BEFORE_INSTALLING and not record.ended:
                self.orders.resume_start(assignment_id)
            self.jobs[assignment_id] = Job(record, 0, from_disk=True)
        while True:
            self._take_in()
            job = self._due()
            if job is None:
                await self._wait()
            elif job.from_disk:
                self._keep(job, await self._resumed(job.record))
            else:
                self._keep(job, await self._steps.advance(job.record))

    async def _resumed(self, record: Record) -> tuple[Record, float | None]:
        following = resumption(record, self.warrant(record).attempts_max)
        return await self._steps.resume(record, following) if following is not Resumption.NOTHING else (record, None)

    def _take_in(self) -> None:
        while self._inbox:
            warrant, payload, mark = self._inbox.popleft()
            known = self.disk.journal.get(warrant.assignment_id)
            if known is not None:
                if known.ended:
                    self.end(self.disk.repeat(warrant.assignment_id, warrant.generation))
                else:
                    self._first_lease(warrant, mark)
                    self.wake()
                continue
            now = self.machine.wall_now()
            record = Record(payload.decode(), "", AssignmentState.PENDING, now, now)
            self.disk.journal[warrant.assignment_id] = record
            self._first_lease(warrant, mark)
            self.jobs[warrant.assignment_id] = Job(record, 0)

    def _first_lease(self, warrant: Warrant, mark: int) -> None:
        despite = bool(warrant.despite_freeze)
        self.orders.first_lease(warrant.assignment_id, warrant.start_until_time, mark, despite_freeze=despite)

    def _due(self) -> Job | None:
        if self._awake:
            self._awake = False
            for job in self.jobs.values():
                job.due = 0
        now = self.machine.loop.time()
        due = [job for job in self.jobs.values() if job.due is not None and job.due <= now]
        return min(due, key=lambda job: (job.record.state in BEFORE_INSTALLING, job.due), default=None)

    async def _wait(self) -> None:
        now = self.machine.loop.time()
        waits = []
        for job in self.jobs.values():
            if job.due is not None:
                waits.append(job.due - now)
                continue
            left = (self.warrant(job.record).deadline_time - self.machine.fleet_now()).total_seconds()
            waits.append(max(1.0, min(left, limits.deadline_check_seconds * 10)))
            if left <= 0:
                job.due = now
        self._wake.clear()
        if not self._inbox:
            alarm = self.machine.loop.call_later(min(waits), self._wake.set) if waits else None
            await self._wake.wait()
            if alarm is not None:
                alarm.cancel()

    def _keep(self, job: Job, result: tuple[Record, float | None]) -> None:
        record, pause = result
        stayed = record.state is job.record.state and not job.from_disk
        job.record, job.from_disk = record, False
        if record.ended:
            self.jobs.pop(self.warrant(record).assignment_id, None)
            return
        job.pauses = job.pauses + 1 if stayed else 0
        ceiling = 2.0 ** min(job.pauses, 16) if stayed else pause
        job.due = None if pause is None else self.machine.loop.time() + min(pause, ceiling or 0)

    def wake(self) -> None:
        """Look at every waiting assignment again."""
        self._awake = True
        self._wake.set()

    # The session.

    def _dial_after(self, seconds: float) -> None:
        self._next_dial = self.machine.loop.call_later(seconds, self._dial)

    def _dial(self) -> None:
        """Open a stream; where nobody answers, wait until somebody does."""
        link = self.machine.dial(self.nonce)
        if link is None:
            if self._redialling is None:
                self._redialling = Redialling(self.machine.faults, self.machine.loop.time())
            self.machine.answers(self._redial)
            return
        self._redialling = None
        self.link, self._welcomed, self.welcomed_time = link, False, None
        link.to_computer = self._hear
        link.lost_by_computer = self._lose(link)
        link.up(messages.Hello(self._arrival()))

    def _redial(self) -> None:
        """Dial when the next try after this moment is due."""
        now = self.machine.loop.time()
        if self._redialling is not None:
            self._dial_after(self._redialling.next_after(now) - now)

    def _lose(self, link: Link) -> Any:
        def lost() -> None:
            if self.link is link:
                self.link = None
                self._dial_after(self.machine.faults.between(0.1, 2.0))

        return lost

    def _arrival(self) -> Arrival:
        waiting = self.disk.waiting
        return Arrival(
            computer_id=self.disk.computer_id,
            version="1",
            process_nonce=self.nonce,
            boot_id=self.machine.boot_id,
            installed=dict(self.disk.installed),
            receipt_key_pem=self.machine.receipt_key_pem,
            journal=tuple(
                JournalEntry(key, record.state) for key, record in self.disk.journal.items() if not record.reported
            ),
            first_unacknowledged=waiting[0].sequence if waiting else 0,
        )

    def _hear(self, message: Any) -> None:
        if isinstance(message, messages.Welcome):
            self._welcomed, self.welcomed_time = True, self.machine.clock.now()
            if self.machine.learn_time(message.controller_time):
                self.orders.hold_all("the controller's clock was set")
            self.orders.freeze(active=message.frozen, reason="a freeze is in force" if message.frozen else "")
            self._forget(message.acknowledged)
            for report in self.disk.waiting:
                self._send(report)
            self.measure()
            self.wake()
        elif isinstance(message, messages.Ack):
            self._forget(message.sequence)
        elif isinstance(message, messages.MeasureRequest):
            self.machine.loop.call_later(self.machine.faults.between(0.1, 2.0), self.measure, message.request_id)
        else:
            self._obey(message)

    def _forget(self, acknowledged: int) -> None:
        for report in self.disk.acknowledge(acknowledged):
            self.machine.forgot(report)

    def _obey(self, message: Any) -> None:
        if isinstance(message, messages.WarrantSent):
            warrant = read_warrant(message.payload)
            self.warrants[message.payload.decode()] = warrant
            self._inbox.append((warrant, message.payload, self.orders.mark(warrant.assignment_id)))
        elif isinstance(message, messages.FreezeOrder):
            self.orders.freeze(active=message.active, reason=message.reason)
        elif self._knows(message.assignment_id):
            if isinstance(message, messages.LeaseRenewal):
                despite = bool(message.despite_freeze)
                self.orders.lease(message.assignment_id, message.start_until, message.reason, despite_freeze=despite)
            elif isinstance(message, messages.RebootLease):
                lease = RebootLease(message.reboot_until, message.reason)
                self.orders.reboot_lease(message.assignment_id, lease)
            else:
                self.orders.withdraw(message.assignment_id, message.reason)
        self.wake()

    def _knows(self, assignment_id: str) -> bool:
        return assignment_id in self.jobs or any(
            warrant.assignment_id == assignment_id for warrant, _, _ in self._inbox
        )

    def _send(self, report: Report) -> None:
        if self.link is not None and self._welcomed:
            self.link.up(report)

    def _keep_orders(self, kept: bytes) -> None:
        self.disk.orders = kept
