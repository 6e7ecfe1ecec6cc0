"""One tick of a rollout: load what the planner needs, let it decide, carry the decision out, commit, then send.

This module decides nothing itself: `domain.planner` does, and each action is carried out by the state machine it
belongs to, with its log entry, in the order of the decision and in one transaction. Messages to computers go out after
the commit, from what was committed; one that is lost is repaired at the computer's next Hello.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sopwith_controller.domain import assignment as mirror
from sopwith_controller.domain import rollout as machine
from sopwith_controller.domain.assignment import ERRORS, EndKind
from sopwith_controller.domain.bench import failures_after
from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.gate_decisions import GateDecision
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.planner import plan_tick
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_controller.domain.tick import (
    Action,
    Complete,
    EndAssignment,
    FinishAbort,
    HoldLease,
    HoldReboot,
    LeaseReboot,
    MarkLost,
    MarkStalled,
    MarkWaveEnded,
    MeasureReadiness,
    MoveAssignment,
    OfferAssignment,
    OpenWave,
    PassWave,
    RenewLease,
    RolloutView,
    Suspend,
    TickDecision,
    UnmarkLost,
)
from sopwith_controller.services.baselines import note_completed
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.ports import AgentGateway, Clock, Database, UnitOfWork
from sopwith_controller.services.receipts import assignment_draft, end_draft
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_controller.services.views import Views
from sopwith_controller.services.warrants import WarrantBasis, warrant_basis, write_warrant
from sopwith_formats.vocabulary import BEFORE_INSTALLING, GateResult, Symptom


@dataclass
class Advanced:
    """What a tick led to."""

    rollout: Rollout
    changed: list[Assignment] = field(default_factory=list)
    next_time: datetime | None = None
    acted: bool = False
    """Something changed, so that another tick may find more to do."""
    assignments: int = 0
    """How many were looked at."""


class Advance:
    """The use case: one tick."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        gateway: AgentGateway,
        *,
        views: Views,
        records: RolloutRecords,
        incidents: Incidents,
        trusted: Callable[[], bool] | None = None,
    ) -> None:
        self._trusted = trusted
        self._despite: dict[str, str] = {}
        """Rollout id to the deviation from freezes that its computers' leases carry."""
        self._database = database
        self._clock = clock
        self._gateway = gateway
        self._views = views
        self._records = records
        self._incidents = incidents

    async def run(self, rollout_id: str) -> Advanced | None:
        """Carry out one tick; None when the rollout is not one that moves, or the clock not trusted."""
        if not self.may_run():
            return None
        async with self._database.write() as unit:
            # The time is taken when it is this tick's turn: a freeze that was committed meanwhile is in force for it.
            now = self._clock.now()
            if not self.may_run():
                return None
            rollout = await unit.rollouts.get(rollout_id)
            if rollout is None or rollout.state not in machine.ACTIVE_STATES:
                self._views.forget(rollout_id)
                self._despite.pop(rollout_id, None)
                return None
            view = await self._views.load(unit, rollout, now)
            decision = plan_tick(view, now)
            tick = _Tick(unit, self._gateway, self._incidents, records=self._records, view=view, now=now)
            await tick.carry_out(decision)
            freeze = view.deviations.get("freeze")
            despite = freeze.id if freeze else ""
            if self._despite.get(rollout_id, "") != despite:
                tick.tell_leases()
            if await tick.save():
                await unit.commit()
        self._despite[rollout_id] = despite
        self._note_asked(tick.measure, now)
        for send in tick.messages:
            await send()
        if tick.measure:
            await self._gateway.measure(tick.measure, timedelta(0))
        if tick.incidents:
            await self._incidents.after_commit()
        return Advanced(tick.rollout, tick.changed(), decision.next_time, tick.acted, len(view.assignments))

    def may_run(self) -> bool:
        """Tell whether the time of day, as it was read just before, may be acted upon."""
        return self._trusted is None or self._trusted()

    def _note_asked(self, computer_ids: tuple[str, ...], now: datetime) -> None:
        for computer_id in computer_ids:
            self._views.measure_asked[computer_id] = now


class _Tick:
    """Carries one decision out inside one unit of work."""

    def __init__(
        self,
        unit: UnitOfWork,
        gateway: AgentGateway,
        incidents: Incidents,
        *,
        records: RolloutRecords,
        view: RolloutView,
        now: datetime,
    ) -> None:
        self.rollout = view.rollout
        self.messages: list[Callable[[], Awaitable[None]]] = []
        self.measure: tuple[str, ...] = ()
        self.incidents = False
        self.acted = False
        self._unit = unit
        self._gateway = gateway
        self._raiser = incidents
        self._records = records
        self._plan, self._deviations = view.plan, view.deviations
        self._groups = view.computers
        self._basis: WarrantBasis | None = None
        self._before = view.rollout
        self._overridden = [decision.record() for decision in view.overridden]
        self._now = now
        self._all = view.assignments
        self._assignments: dict[str, Assignment] = {}
        self._dirty: dict[str, None] = {}
        self._ended: dict[str, str] = {}

    async def carry_out(self, decision: TickDecision) -> None:
        """Carry out the actions in their order."""
        touched = {key for action in decision.actions if (key := getattr(action, "assignment", ""))}
        self._assignments = {one.id: one for one in self._all if one.id in touched} if touched else {}
        for action in decision.actions:
            await self._act(action)
        if decision.state_reason is not None and decision.state_reason != self.rollout.state_reason:
            self.rollout = machine.with_state_reason(self.rollout, decision.state_reason)

    async def save(self) -> bool:
        """Write what changed; tell whether anything did."""
        if self._dirty:
            await self._unit.assignments.put_all(self.changed())
        if self.rollout != self._before:
            await self._unit.rollouts.put(self.rollout)
        await self._count_failures()
        return bool(self._dirty) or self.rollout != self._before or self.incidents

    async def _count_failures(self) -> None:
        """Count the ends that say something about their computer, as a receipt would."""
        found = await self._unit.computers.many(sorted(self._ended)) if self._ended else ()
        counted = [
            replace(computer, failures_in_a_row=failures_after(computer.failures_in_a_row, self._ended[computer.id]))
            for computer in found
        ]
        if counted:
            await self._unit.computers.put_all(counted)

    def changed(self) -> list[Assignment]:
        """Return the assignments that changed."""
        return [self._assignments[key] for key in self._dirty]

    async def _act(self, action: Action) -> None:
        if isinstance(action, (OfferAssignment, RenewLease, HoldLease, MoveAssignment)):
            await self._lead(action)
        elif isinstance(action, (LeaseReboot, HoldReboot)):
            self._lead_reboot(action)
        elif isinstance(action, EndAssignment):
            await self._end(action)
        elif isinstance(action, MarkStalled):
            await self._stalled(action)
        elif isinstance(action, (MarkLost, UnmarkLost)):
            await self._lost(action)
        elif isinstance(action, MeasureReadiness):
            self.measure = (*self.measure, *action.computers)
        else:
            self.acted = True
            await self._change_rollout(action)

    async def _lead(self, action: OfferAssignment | RenewLease | HoldLease | MoveAssignment) -> None:
        before = self._assignments[action.assignment]
        if isinstance(action, OfferAssignment):
            await self._offer(before, action)
        elif isinstance(action, RenewLease):
            self._put(mirror.renew(before, now=self._now, start_until=action.start_until))
            despite_freeze = (await self._shared()).despite_freeze
            self._later(
                lambda: self._gateway.renew_lease(
                    before.computer_id, before.id, action.start_until, despite_freeze=despite_freeze
                )
            )
        elif isinstance(action, HoldLease):
            self._put(replace(before, start_until_time=None, waiting=action.reason))
            self._later(lambda: self._gateway.renew_lease(before.computer_id, before.id, None, action.reason))
        else:
            self.acted = True
            self._put(replace(before, wave=action.wave, waiting=action.reason))

    def _lead_reboot(self, action: LeaseReboot | HoldReboot) -> None:
        before, freeze = self._assignments[action.assignment], self._deviations.get("freeze")
        until = action.reboot_until if isinstance(action, LeaseReboot) else None
        reason = action.reason if isinstance(action, HoldReboot) else ""
        self._put(replace(before, reboot_until_time=until, waiting=reason))
        despite = freeze.id if freeze else ""
        self._later(
            lambda: self._gateway.lease_reboot(before.computer_id, before.id, until, reason, despite_freeze=despite)
        )

    def tell_leases(self) -> None:
        """Tell the leases that are out again: a deviation from freezes came into force for them, or ended."""
        for one in [self._assignments.get(known.id, known) for known in self._all]:
            if one.start_until_time is not None and one.state in BEFORE_INSTALLING:
                self._later(partial(self._renew, one))

    async def _renew(self, one: Assignment) -> None:
        freeze = self._deviations.get("freeze")
        despite = freeze.id if freeze else ""
        await self._gateway.renew_lease(one.computer_id, one.id, one.start_until_time, despite_freeze=despite)

    async def _offer(self, before: Assignment, action: OfferAssignment) -> None:
        self.acted = True
        offered = replace(mirror.offer(before, now=self._now, start_until=action.start_until), wave=action.wave)
        self._put(offered)
        group = self._groups[offered.computer_id].group
        basis = await self._shared()
        warrant = write_warrant(basis, offered, group=group, start_until=action.start_until, now=self._now)
        message = f"{self.rollout.release} offered to {offered.computer}"
        draft = assignment_draft(LogKind.ASSIGNMENT_OFFERED, self.rollout, offered, message)
        if self._overridden:
            draft = replace(draft, details={**draft.details, "gates": self._overridden})
        await self._log(draft)
        self._later(lambda: self._gateway.send_warrant(offered.computer_id, warrant))

    async def _shared(self) -> WarrantBasis:
        """Return what the rollout's warrants share; most ticks write none."""
        if self._basis is None:
            policy = await self._records.policy(self._unit, self._before)
            self._basis = await warrant_basis(self._unit, self._before, self._plan, policy, self._deviations)
        return self._basis

    async def _end(self, action: EndAssignment) -> None:
        before = self._assignments[action.assignment]
        ending = mirror.end(before, action.outcome, now=self._now, symptom=action.symptom, detail=action.detail)
        if ending.kind is not EndKind.ENDED:
            return
        self.acted = True
        after = ending.assignment
        self._put(after)
        if action.outcome in ERRORS:
            self._ended[after.computer_id] = action.outcome
        message = f"{after.computer}: {action.outcome}" + (f" ({action.detail})" if action.detail else "")
        draft = end_draft(LogKind.ASSIGNMENT_ENDED, self.rollout, after, message)
        await self._log(replace(draft, outcome=action.outcome))
        if action.withdraw:
            self._later(lambda: self._gateway.withdraw(after.computer_id, after.id, action.detail))
        if action.severity:
            await self._raise(action.symptom or Symptom.UNKNOWN, action.severity, message, (after.computer,))

    async def _stalled(self, action: MarkStalled) -> None:
        before = self._assignments[action.assignment]
        self.acted = True
        self._put(replace(before, stalled_time=action.since))
        doing = f"{before.state} {self.rollout.release}"
        summary = f"{before.computer} is in contact and tells nothing more of {doing}"
        await self._raise(Symptom.TIMEOUT, 2, summary, (before.computer,))

    async def _lost(self, action: MarkLost | UnmarkLost) -> None:
        before = self._assignments[action.assignment]
        if isinstance(action, UnmarkLost):
            self._put(replace(before, lost_time=None))
            return
        self.acted = True
        self._put(replace(before, lost_time=action.since))
        summary = f"{before.computer} fell silent while {before.state} {self.rollout.release}"
        await self._raise(Symptom.LOST_CONTACT, 1, summary, (before.computer,))

    async def _change_rollout(
        self, action: OpenWave | MarkWaveEnded | PassWave | Suspend | Complete | FinishAbort
    ) -> None:
        if isinstance(action, OpenWave):
            self.rollout = machine.open_wave(self.rollout, action.wave, now=self._now)
            opened = f"wave {action.name} opened"
            await self._log(self._draft(LogKind.WAVE_OPENED, opened, wave=action.name, gates=_records(action.gates)))
        elif isinstance(action, MarkWaveEnded):
            self.rollout = machine.end_wave(self.rollout, action.wave, now=self._now)
        elif isinstance(action, PassWave):
            self.rollout = machine.pass_wave(self.rollout, action.wave, now=self._now)
            gates = _records(action.gates)
            await self._log(
                self._draft(LogKind.WAVE_PASSED, f"wave {action.name} passed", wave=action.name, gates=gates)
            )
        elif isinstance(action, Suspend):
            await self._suspend(action)
        elif isinstance(action, Complete):
            self.rollout = machine.complete(self.rollout, now=self._now, reason=action.reason)
            await self._log(self._draft(LogKind.ROLLOUT_COMPLETED, f"{self.rollout.name} completed: {action.reason}"))
            assignments = [self._assignments.get(one.id, one) for one in self._all]
            await note_completed(self._unit, self.rollout, self._plan, assignments, self._now)
        else:
            self.rollout = machine.finish_abort(self.rollout, now=self._now)
            await self._log(self._draft(LogKind.ROLLOUT_ABORTED, f"{self.rollout.name} is aborted, nothing runs"))

    async def _suspend(self, action: Suspend) -> None:
        self.rollout = machine.suspend(self.rollout, reason=action.reason)
        draft = self._draft(LogKind.ROLLOUT_SUSPENDED, f"{self.rollout.name} suspended: {action.reason}")
        refused = GateDecision(action.gate, "V.C", GateResult.REFUSED, dict(action.inputs), action.reason).record()
        gate = {"gate": action.gate, "inputs": dict(action.inputs), "gates": [refused]}
        await self._log(replace(draft, details={**draft.details, **gate}))
        await self._raise(
            action.symptom, action.severity, f"{self.rollout.name} is suspended: {action.reason}", action.computers
        )

    async def _raise(self, symptom: str, severity: int, summary: str, computers: tuple[str, ...]) -> None:
        self.incidents = True
        await self._raiser.raise_in(
            self._unit,
            symptom=symptom,
            severity=severity,
            summary=summary,
            computers=computers,
            rollout=self.rollout,
        )

    def _put(self, assignment: Assignment) -> None:
        self._assignments[assignment.id] = assignment
        self._dirty[assignment.id] = None

    def _later(self, send: Callable[[], Awaitable[None]]) -> None:
        self.messages.append(send)

    def _draft(self, kind: LogKind, message: str, *, wave: str = "", gates: Sequence[dict[str, Any]] = ()) -> LogDraft:
        details = {"wave": wave, "gates": list(gates)}
        return rollout_draft(kind, self.rollout, message, details={key: text for key, text in details.items() if text})

    async def _log(self, draft: LogDraft) -> None:
        await self._unit.update_log.append(draft)


def _records(decisions: Sequence[GateDecision]) -> list[dict[str, Any]]:
    return [decision.record() for decision in decisions]


def rollout_draft(
    kind: LogKind, rollout: Rollout, message: str, *, person: str = "", details: dict[str, object] | None = None
) -> LogDraft:
    """Return a log entry about a rollout; `person` is who acted, empty for the machine."""
    return LogDraft(
        kind=kind,
        message=message,
        release=rollout.release,
        operator=person,
        rollout=rollout.id,
        ticket=rollout.ticket,
        sop_id=rollout.sop_id,
        sop_revision=rollout.sop_revision,
        details={"plan_sha256": rollout.plan_sha256, "policy_sha256": rollout.policy_sha256, **(details or {})},
    )
