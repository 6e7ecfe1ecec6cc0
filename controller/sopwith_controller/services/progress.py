"""Recording what computers report: many reports in one transaction, each with exactly one effect.

This module decides what a report changes and what the update log says about it; which state may follow which is
`domain.assignment`'s, what to do next the planner's.

Rules: a sequence that is recorded already changes nothing; the same sequence with other content is an alarm, because
somebody else speaks with this computer's voice. A receipt counts only when its signature verifies with the key that the
computer showed first, and when it is about this computer's own assignment. The first end of an assignment is its
ASSIGNMENT_ENDED entry; a truth that comes later is OUTCOME_CORRECTED. A report that breaks a rule is recorded as
refused and acknowledged, so that one bad message does not keep a computer's other messages back for ever. A sequence
beyond the next one is left unrecorded: what comes before it was lost on the way, and to acknowledge it would make the
computer forget what was never recorded. Its stream is cut, so that it comes again with everything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from sopwith_controller.domain import assignment as mirror
from sopwith_controller.domain.durations import Measurement
from sopwith_controller.domain.entities import Computer, LogDraft
from sopwith_controller.domain.errors import SopwithError, TrustError
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.readiness import says_more
from sopwith_controller.domain.receipt_chain import BROKEN, Standing
from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_controller.services.agent_reports import (
    KINDS,
    DeferralReported,
    FactsReported,
    FeedbackReported,
    ProgressReported,
    ReadinessReported,
    ReceiptReported,
    Report,
    SleepReported,
    SourceReported,
    UnreadableReported,
)
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.observations import log_observation
from sopwith_controller.services.people_reports import PeopleReports
from sopwith_controller.services.ports import Clock, Database, UnitOfWork
from sopwith_controller.services.receipt_chain import ReceiptChains, fault_of
from sopwith_controller.services.receipts import Receipts
from sopwith_controller.services.repositories import AgentMessageRow
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_formats.errors import FormatError
from sopwith_formats.observation import Observation
from sopwith_formats.receipt import Receipt, ReceiptKind
from sopwith_formats.vocabulary import AssignmentState


@dataclass
class Recorded:
    """What a batch of reports led to, after its commit."""

    acknowledged: dict[str, int] = field(default_factory=dict)
    """Computer id to the highest sequence that is durable."""
    rollouts: set[str] = field(default_factory=set)
    """Rollouts in which something changed."""
    changed: list[Assignment] = field(default_factory=list)
    """Assignments as they are now, for whoever watches."""
    measured: set[str] = field(default_factory=set)
    """Computers with fresh readiness."""
    told_more: set[str] = field(default_factory=set)
    """Those of them that said something else than before, or whose last word did not count any more."""
    answered: list[str] = field(default_factory=list)
    """Measure requests that were answered."""
    designated: list[str] = field(default_factory=list)
    """Computers that accepted the source."""
    gaps: set[str] = field(default_factory=set)
    """Computers of which a report came before the ones that precede it."""
    alarms: list[str] = field(default_factory=list)
    """Computers whose reports contradicted what is recorded."""
    quarantined: list[Computer] = field(default_factory=list)
    incidents: bool = False


class Progress:
    """The use case: record a batch."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        incidents: Incidents,
        records: RolloutRecords,
        verify: Callable[[str, bytes, bytes], bool],
    ) -> None:
        self._database = database
        self._clock = clock
        self._incidents = incidents
        self._records = records
        self._verify = verify

    async def record(self, reports: Sequence[Report]) -> Recorded:
        """Record all reports in one unit of work; they are durable when this returns."""
        async with self._database.write() as unit:
            batch = _Batch(unit, self._clock, self._incidents, self._records, verify=self._verify)
            await batch.load(reports)
            for report in reports:
                await batch.take(report)
            await batch.save()
            await unit.commit()
        return batch.recorded


class _Batch:
    """One unit of work over many reports: everything is loaded once and written once."""

    def __init__(
        self,
        unit: UnitOfWork,
        clock: Clock,
        incidents: Incidents,
        records: RolloutRecords,
        *,
        verify: Callable[[str, bytes, bytes], bool],
    ) -> None:
        self.recorded = Recorded()
        self._unit = unit
        self._now = clock.now()
        self._incidents = incidents
        self._receipts = Receipts(unit, clock, incidents, records, verify=verify)
        self._chains = ReceiptChains(unit, clock)
        self._people = PeopleReports(unit, clock, records)
        self._computers: dict[str, Computer] = {}
        self._assignments: dict[str, Assignment] = {}
        self._dirty_computers: set[str] = set()
        self._dirty_assignments: set[str] = set()
        self._measurements: dict[str, Measurement] = {}
        self._rows: list[AgentMessageRow] = []
        self._digests: dict[tuple[str, int], str] = {}
        self._was_recovered: bool | None = None

    async def load(self, reports: Sequence[Report]) -> None:
        """Read every computer, assignment and earlier message that the reports may touch."""
        computer_ids = list(dict.fromkeys(report.computer_id for report in reports))
        self._computers = {computer.id: computer for computer in await self._unit.computers.many(computer_ids)}
        assignment_ids = {
            self._receipts.assignment_of(report.content)
            if isinstance(report.content, ReceiptReported)
            else report.content.assignment_id
            for report in reports
            if isinstance(report.content, (ProgressReported, ReceiptReported, DeferralReported, FeedbackReported))
        }
        found = await self._unit.assignments.many(sorted(assignment_ids - {""}))
        self._assignments = {assignment.id: assignment for assignment in found}
        signed = [(one.computer_id, one.content) for one in reports if isinstance(one.content, ReceiptReported)]
        await self._chains.load(self._computers, signed)
        for computer in self._computers.values():
            repeated = [
                report.sequence
                for report in reports
                if report.computer_id == computer.id and 0 < report.sequence <= computer.acknowledged_sequence
            ]
            if repeated:
                known = await self._unit.agent_messages.digests(computer.id, min(repeated), max(repeated))
                self._digests.update({(computer.id, sequence): digest for sequence, digest in known.items()})

    async def take(self, report: Report) -> None:
        """Carry out one report, or note that it was known, or refuse it."""
        computer = self._computers.get(report.computer_id)
        if computer is None:
            return
        if report.sequence and not await self._is_new(computer, report):
            return
        try:
            await self._carry_out(computer, report)
        except (SopwithError, FormatError) as error:
            await self._refuse(self._computers[computer.id], report, error)

    async def save(self) -> None:
        """Write what changed."""
        if self._dirty_computers:
            await self._unit.computers.put_all([self._computers[key] for key in sorted(self._dirty_computers)])
        if self._measurements:
            await self._unit.measurements.put_all(list(self._measurements.values()))
        if self._dirty_assignments:
            self.recorded.changed = [self._assignments[key] for key in sorted(self._dirty_assignments)]
            await self._unit.assignments.put_all(self.recorded.changed)
        await self._chains.save()
        if self._rows:
            await self._unit.agent_messages.add_all(self._rows)

    async def _is_new(self, computer: Computer, report: Report) -> bool:
        key = (computer.id, report.sequence)
        if report.sequence > computer.acknowledged_sequence + 1:
            self.recorded.gaps.add(computer.id)
            return False
        if report.sequence > computer.acknowledged_sequence:
            self._digests[key] = report.sha256
            self._rows.append(
                AgentMessageRow(computer.id, report.sequence, KINDS[type(report.content)], report.sha256, self._now)
            )
            self._put(replace(computer, acknowledged_sequence=report.sequence))
            self.recorded.acknowledged[computer.id] = report.sequence
            return True
        self.recorded.acknowledged.setdefault(computer.id, computer.acknowledged_sequence)
        if self._digests.get(key, report.sha256) != report.sha256:
            await self._alarm(
                computer, f"message {report.sequence} came twice with different content", "SIGNATURE_INVALID"
            )
        return False

    async def _carry_out(self, computer: Computer, report: Report) -> None:
        computer = self._computers[computer.id]
        content = report.content
        if isinstance(content, ProgressReported):
            await self._progress(computer, content)
        elif isinstance(content, ReceiptReported):
            await self._receipt(computer, content)
        elif isinstance(content, ReadinessReported):
            self._put(replace(computer, readiness=replace(content.readiness, measured_time=self._now)))
            self.recorded.measured.add(computer.id)
            if says_more(content.readiness, computer.readiness, self._now):
                self.recorded.told_more.add(computer.id)
            if content.request_id:
                self.recorded.answered.append(content.request_id)
        elif isinstance(content, FactsReported):
            self._put(replace(computer, facts=content.facts, facts_time=self._now, installed=dict(content.installed)))
        elif isinstance(content, SourceReported):
            await self._source(computer, content)
        elif isinstance(content, (DeferralReported, FeedbackReported, SleepReported)):
            await self._people_said(computer, content)
        elif isinstance(content, UnreadableReported):
            raise FormatError(content.reason)

    async def _people_said(
        self, computer: Computer, content: DeferralReported | FeedbackReported | SleepReported
    ) -> None:
        """Carry out what comes of people at the computer: their words, and that they closed its lid."""
        if isinstance(content, SleepReported):
            self._put(replace(computer, asleep=True))
            return
        if isinstance(content, FeedbackReported):
            about = self._assignments.get(content.assignment_id)
            own = about if about is not None and about.computer_id == computer.id else None
            await self._people.feedback(computer, content, own)
            return
        if content.assignment_id not in self._assignments and await self._recovered():
            return  # as with progress
        before = self._own(computer, content.assignment_id)
        after = await self._people.deferral(before, content)
        if after is not before:
            self._put_assignment(after)

    async def _progress(self, computer: Computer, content: ProgressReported) -> None:
        if content.assignment_id not in self._assignments and await self._recovered():
            return  # of an assignment that was lost with the log; its signed records come, too
        before = self._own(computer, content.assignment_id)
        after = mirror.apply_progress(
            before,
            content.state,
            now=self._now,
            percent=content.percent,
            symptom=content.symptom,
            detail=content.detail,
            attempts=content.attempts,
            version_before=content.version_before,
            reasons=content.reasons,
            next_try_time=content.next_try_time,
            reboot=content.reboot,
        )
        if after is not before:
            self._put_assignment(after, moved=replace(before, percent=after.percent, reported_time=self._now) != after)

    async def _receipt(self, computer: Computer, content: ReceiptReported) -> None:
        """Keep what was signed, each record once, and carry it out."""
        signed = self._receipts.read(computer, content)
        newest = computer.receipts_seen
        computer, found = await self._chains.take(computer, signed, content)
        self._put(computer)
        if found in BROKEN:
            await self._alarm(computer, fault_of(found, signed.number, newest), "SIGNATURE_INVALID")
        if found is Standing.CONTRADICTED:
            return
        again = found is Standing.REPEATED
        if isinstance(signed, Receipt) and signed.assignment_id in self._assignments:
            await self._of_assignment(computer, signed, content, again=again)
        elif isinstance(signed, Receipt) and not await self._recovered():
            self._own(computer, signed.assignment_id)
        elif isinstance(signed, Receipt) and not again:
            self._put(await self._receipts.recover(computer, signed, content))
        elif isinstance(signed, Observation) and not again:
            await log_observation(self._unit, computer, signed, content)

    async def _of_assignment(
        self, computer: Computer, receipt: Receipt, content: ReceiptReported, *, again: bool
    ) -> None:
        before = self._own(computer, receipt.assignment_id)
        if receipt.kind == ReceiptKind.STARTED:
            if not again:
                await self._started(before, receipt, content)
            return
        result = await self._receipts.carry_out(computer, before, receipt, content)
        if result.alarm:
            await self._alarm(computer, result.alarm, "SIGNATURE_INVALID", before.rollout_id)
            return
        self._put(result.computer)
        self._put_assignment(result.assignment)
        if result.measurement:
            self._measurements[result.assignment.id] = result.measurement
        self.recorded.incidents |= result.incident
        if result.quarantined:
            self.recorded.quarantined.append(result.computer)

    async def _started(self, before: Assignment, receipt: Receipt, content: ReceiptReported) -> None:
        after = mirror.apply_progress(
            before,
            AssignmentState.INSTALLING,
            now=self._now,
            attempts=receipt.attempts,
            version_before=receipt.version_before,
        )
        if after is not before:
            self._put_assignment(after)
        self.recorded.incidents |= await self._receipts.log_started(after, receipt, content)

    async def _source(self, computer: Computer, content: SourceReported) -> None:
        if content.accepted:
            self._put(replace(computer, source_root_sha256=content.root_sha256))
            self.recorded.designated.append(computer.id)
        said = "accepted" if content.accepted else f"refused ({content.reason})"
        await self._unit.update_log.append(
            LogDraft(
                kind=LogKind.SOURCE_ACCEPTED if content.accepted else LogKind.SOURCE_REFUSED,
                message=f"{computer.name} {said} the designated source",
                computer=computer.name,
                details={"root_sha256": content.root_sha256, "reason": content.reason},
            )
        )

    async def _refuse(self, computer: Computer, report: Report, error: SopwithError | FormatError) -> None:
        await self._unit.update_log.append(
            LogDraft(
                kind=LogKind.REPORT_REFUSED,
                message=f"a {KINDS[type(report.content)]} report of {computer.name} was refused: {error}",
                computer=computer.name,
                details={"sequence": report.sequence, "content_sha256": report.sha256, "reason": str(error)},
            )
        )
        if isinstance(error, TrustError):
            await self._alarm(computer, error.message, error.symptom)

    async def _alarm(self, computer: Computer, message: str, symptom: str, rollout_id: str = "") -> None:
        self.recorded.alarms.append(computer.id)
        self.recorded.incidents = True
        rollout = await self._unit.rollouts.get(rollout_id) if rollout_id else None
        await self._incidents.raise_in(
            self._unit,
            symptom=symptom,
            severity=1,
            summary=f"{computer.name}: {message}",
            computers=(computer.name,),
            rollout=rollout,
        )

    async def _recovered(self) -> bool:
        """Tell whether this controller was restored from a backup, so that computers may know more than it does."""
        if self._was_recovered is None:
            self._was_recovered = bool(await self._unit.recoveries.all())
        return self._was_recovered

    def _own(self, computer: Computer, assignment_id: str) -> Assignment:
        assignment = self._assignments.get(assignment_id)
        if assignment is None or assignment.computer_id != computer.id:
            raise TrustError(f"it reports on {assignment_id}, which is no assignment of its own")
        return assignment

    def _put(self, computer: Computer) -> None:
        self._computers[computer.id] = computer
        self._dirty_computers.add(computer.id)

    def _put_assignment(self, assignment: Assignment, *, moved: bool = True) -> None:
        """Keep it; nothing is planned anew where only a percentage rose."""
        self._assignments[assignment.id] = assignment
        self._dirty_assignments.add(assignment.id)
        if moved:
            self.recorded.rollouts.add(assignment.rollout_id)
