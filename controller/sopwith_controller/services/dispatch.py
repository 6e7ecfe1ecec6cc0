"""What happens when a computer comes: its own account is written down, and both sides' lists are compared.

This module decides which warrants are sent again and which are taken back; everything else is the planner's next tick,
which the arrival causes. Rules: an assignment that was offered, has not ended and is not in the computer's journal is
sent again with the same generation; one in the journal that the controller has ended is withdrawn (without effect from
INSTALLING on: the computer's receipt will tell the truth). What a computer's receipt key and its newest signed record
say of it is judged by `receipt_keys`. Both carry the deviations that are
in force: a freeze that does not hold a rollout does not hold it on a computer that comes back.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sopwith_controller.domain.deviation import Deviation
from sopwith_controller.domain.entities import Computer, ComputerState
from sopwith_controller.domain.errors import NotFoundError, SopwithError
from sopwith_controller.domain.freezing import held_by_clock
from sopwith_controller.domain.maintenance import MaintenanceGroups
from sopwith_controller.domain.offers import LEASE
from sopwith_controller.domain.rollout import STOPPED_STATES
from sopwith_controller.domain.rollout_entities import Assignment, RolloutState
from sopwith_controller.services.agent_reports import Arrival
from sopwith_controller.services.computers import change_state
from sopwith_controller.services.covering import load_covering
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.ports import AgentGateway, Clock, Database, UnitOfWork
from sopwith_controller.services.receipt_keys import ReceiptKeys
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_controller.services.warrants import is_approved, warrant_basis, write_warrant
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState, Symptom
from sopwith_formats.warrant import Warrant


@dataclass(frozen=True)
class Reconciliation:
    """What is sent after the Welcome."""

    computer: Computer
    warrants: tuple[Warrant, ...]
    leases: tuple[tuple[str, datetime | None, str], ...]
    """Assignment, latest start (None for a hold), and the deviation by which no freeze holds it."""
    reboots: tuple[tuple[str, datetime | None, str], ...]
    """The same for leave to reboot."""
    withdrawals: tuple[str, ...]
    rollouts: frozenset[str]


class Dispatch:
    """The use case: a computer comes."""

    def __init__(
        self, database: Database, clock: Clock, gateway: AgentGateway, records: RolloutRecords, incidents: Incidents
    ) -> None:
        self._database = database
        self._clock = clock
        self._gateway = gateway
        self._records = records
        self._incidents = incidents

    async def arrive(self, arrival: Arrival) -> Reconciliation:
        """Write one computer's account down and compare; raise SopwithError for one that is turned away."""
        [answer] = await self.arrive_together([arrival])
        if isinstance(answer, SopwithError):
            raise answer
        return answer

    async def arrive_together(self, arrivals: Sequence[Arrival]) -> list[Reconciliation | SopwithError]:
        """Write the accounts of computers that came together down and compare each.

        In the order of the arrivals; a TrustError stands for one that is not who it was, a NotFoundError for one that
        is nobody. One transaction for all: after an outage a whole fleet comes at once.
        """
        answers: list[Reconciliation | SopwithError] = []
        changed: list[Computer] = []
        async with self._database.write() as unit:
            ids = [arrival.computer_id for arrival in arrivals]
            keys = ReceiptKeys(unit, self._clock, self._incidents)
            known = {computer.id: computer for computer in await unit.computers.many(ids)}
            for arrival in arrivals:
                before = known.get(arrival.computer_id)
                try:
                    found = await self._reconcile(unit, keys, before, arrival)
                except SopwithError as error:
                    answers.append(error)
                    continue
                answers.append(found)
                computer = known[arrival.computer_id] = found.computer
                if before is None or replace(computer, last_seen_time=before.last_seen_time) != before:
                    changed.append(computer)
            if changed:
                await unit.computers.put_all(changed)
            if changed or keys.recorded:
                await unit.commit()
            for answer in answers:
                if isinstance(answer, Reconciliation):
                    await self._send(answer)
        if keys.alarmed:
            await self._incidents.after_commit()
        return answers

    async def _reconcile(
        self, unit: UnitOfWork, keys: ReceiptKeys, before: Computer | None, arrival: Arrival
    ) -> Reconciliation:
        if before is None:
            raise NotFoundError("this computer is not on record", remedy="enrol it again with a new token")
        await keys.judge(before, arrival)
        computer = self._account(before, arrival)
        assignments = await unit.assignments.of_computer(computer.id, unended_only=True)
        mine = {assignment.id for assignment in assignments}
        return Reconciliation(
            computer=computer,
            warrants=tuple(await self._missing(unit, computer, assignments, arrival)),
            leases=tuple([lease async for lease in self._leases(unit, assignments, arrival)]),
            reboots=tuple([lease async for lease in self._reboots(unit, assignments)]),
            withdrawals=tuple(entry.assignment_id for entry in arrival.journal if entry.assignment_id not in mine),
            rollouts=frozenset(assignment.rollout_id for assignment in assignments),
        )

    async def _send(self, found: Reconciliation) -> None:
        """Queue what the comparison found; it goes out after the Welcome."""
        for warrant in found.warrants:
            await self._gateway.send_warrant(found.computer.id, warrant)
        for assignment_id, start_until, despite in found.leases:
            reason = "" if start_until else "the controller gave no leave to start"
            await self._gateway.renew_lease(
                found.computer.id, assignment_id, start_until, reason, despite_freeze=despite
            )
        for assignment_id, reboot_until, despite in found.reboots:
            reason = "" if reboot_until else "the controller gave no leave to reboot"
            await self._gateway.lease_reboot(
                found.computer.id, assignment_id, reboot_until, reason, despite_freeze=despite
            )
        for assignment_id in found.withdrawals:
            await self._gateway.withdraw(found.computer.id, assignment_id, "the controller has ended it")

    async def is_clone(self, computer_id: str) -> Computer | None:
        """Hold a computer apart and raise the alarm: two agents live with one identity (SOP, clause V.E)."""
        async with self._database.write() as unit:
            computer = await unit.computers.get(computer_id)
            if computer is None:
                return None
            if computer.state is ComputerState.ACCEPTED:
                computer, _ = await change_state(
                    unit, computer, "quarantine", person="", reason="two agents use its identity", clock=self._clock
                )
            await self._incidents.raise_in(
                unit,
                symptom=Symptom.SIGNATURE_INVALID,
                severity=1,
                summary=f"two agents use the identity of {computer.name} at the same time",
                computers=(computer.name,),
            )
            await unit.commit()
        await self._incidents.after_commit()
        return computer

    def _account(self, before: Computer, arrival: Arrival) -> Computer:
        now = self._clock.now()
        facts_changed = arrival.facts != before.facts
        return replace(
            before,
            facts=arrival.facts,
            facts_time=now if facts_changed else before.facts_time or now,
            installed=dict(arrival.installed),
            receipt_key_pem=before.receipt_key_pem or arrival.receipt_key_pem,
            process_nonce=arrival.process_nonce,
            boot_id=arrival.boot_id,
            source_root_sha256=arrival.source_root_sha256,
            acknowledged_sequence=max(before.acknowledged_sequence, arrival.first_unacknowledged - 1),
            asleep=False,
            last_seen_time=now,
        )

    async def _leases(
        self, unit: UnitOfWork, assignments: Sequence[Assignment], arrival: Arrival
    ) -> AsyncIterator[tuple[str, datetime | None, str]]:
        now = self._clock.now()
        journal = {entry.assignment_id for entry in arrival.journal}
        for assignment in assignments:
            if assignment.id in journal and assignment.state in BEFORE_INSTALLING:
                lease = await self._start_lease(unit, assignment, now)
                freeze = (await self._deviations(unit, assignment.rollout_id, now)).get("freeze")
                yield assignment.id, lease, freeze.id if freeze else ""

    async def _reboots(
        self, unit: UnitOfWork, assignments: Sequence[Assignment]
    ) -> AsyncIterator[tuple[str, datetime | None, str]]:
        now = self._clock.now()
        for assignment in assignments:
            if assignment.state is AssignmentState.AWAITING_REBOOT:
                lease = await self._reboot_lease(unit, assignment, now)
                freeze = (await self._deviations(unit, assignment.rollout_id, now)).get("freeze")
                yield assignment.id, lease, freeze.id if freeze else ""

    async def _start_lease(self, unit: UnitOfWork, assignment: Assignment, now: datetime) -> datetime | None:
        """Return leave to start as far as the rollout still gives it, whether or not a tick took it back already.

        While the clock was not believed there were no ticks, so that the computer may not have heard of a stop.
        """
        lease = await _in_force(unit, assignment.start_until_time, now)
        return lease if lease and await self._state(unit, assignment) is RolloutState.RUNNING else None

    async def _reboot_lease(self, unit: UnitOfWork, assignment: Assignment, now: datetime) -> datetime | None:
        """Return leave to reboot; what was installed may reboot while its rollout is aborted."""
        lease = await _in_force(unit, assignment.reboot_until_time, now)
        return lease if lease and await self._state(unit, assignment) not in STOPPED_STATES else None

    async def _state(self, unit: UnitOfWork, assignment: Assignment) -> RolloutState:
        return (await self._records.get(unit, assignment.rollout_id)).state

    async def _deviations(self, unit: UnitOfWork, rollout_id: str, now: datetime) -> dict[str, Deviation]:
        if not await unit.deviations.unended():
            return {}
        rollout = await self._records.get(unit, rollout_id)
        members = [member.id for member in self._records.plan(rollout).members]
        covering = await load_covering(
            unit,
            sop_id=rollout.sop_id,
            rollout_id=rollout.id,
            plan_sha256=rollout.plan_sha256,
            computers=await unit.computers.many(members),
            now=now,
        )
        return covering.deviations

    async def _missing(
        self, unit: UnitOfWork, computer: Computer, assignments: Sequence[Assignment], arrival: Arrival
    ) -> list[Warrant]:
        """Return warrants of offered assignments that the computer does not know."""
        if computer.state is not ComputerState.ACCEPTED:
            return []
        now = self._clock.now()
        journal = {entry.assignment_id for entry in arrival.journal}
        warrants = []
        for assignment in assignments:
            if assignment.state is AssignmentState.PENDING or assignment.id in journal:
                continue
            rollout = await self._records.get(unit, assignment.rollout_id)
            if not await is_approved(unit, rollout, self._records):
                continue
            policy = await self._records.policy(unit, rollout)
            deviations = await self._deviations(unit, rollout.id, now)
            basis = await warrant_basis(unit, rollout, self._records.plan(rollout), policy, deviations)
            start_until = await self._start_lease(unit, assignment, now)
            found = MaintenanceGroups(policy).of(computer.labels, computer.facts)
            group = found[0].name if found else ""
            warrants.append(write_warrant(basis, assignment, group=group, start_until=start_until, now=now))
        return warrants


async def _in_force(unit: UnitOfWork, lease: datetime | None, now: datetime) -> datetime | None:
    """Return a lease that has not run out, and that the present clock can have given.

    Nothing is in force while the clock is not believed; what it gave before ends where its time is confirmed (ADR 24).
    """
    if lease is None or not now < lease <= now + LEASE:
        return None
    return lease if held_by_clock(await unit.freezes.all()) is None else None
