"""Rollouts as people decide on them: plan, create, submit, approve, reject, pause, resume, abort.

This module loads, lets the domain's gates and state machine decide, records and commits; starting is `rollout_start`'s,
running is the planner's. Rules: a request id that was carried out has no further effect; `submit` computes the plan
anew and freezes it with its digest; every decision stands in the update log with who decided and on which digest.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from sopwith_certs.plan_approvals import verify_approval
from sopwith_certs.signing import read_public_key
from sopwith_controller.domain import approvals, gates
from sopwith_controller.domain import rollout as machine
from sopwith_controller.domain.baseline import only_of
from sopwith_controller.domain.errors import ConflictError, InvalidInputError, NotFoundError
from sopwith_controller.domain.evaluation import check_life
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.rollout_entities import Approval, Rollout, RolloutState
from sopwith_controller.services.access import Caller
from sopwith_controller.services.advance import rollout_draft
from sopwith_controller.services.approval_standing import check_standing
from sopwith_controller.services.incidents import Incidents, suspension_is_seen, suspension_of
from sopwith_controller.services.patch_days import note_aborted
from sopwith_controller.services.planning import Drafted, Planner
from sopwith_controller.services.ports import Clock, Database, Ids, UnitOfWork
from sopwith_controller.services.requests import done_before, remember
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_formats.units import parse_time


@dataclass(frozen=True)
class RolloutTools:
    """What the use cases of rollouts share. `changed(rollout_id)` lets the rollout be looked at."""

    database: Database
    clock: Clock
    ids: Ids
    planner: Planner
    records: RolloutRecords
    incidents: Incidents
    changed: Callable[[str], None]
    trusted: Callable[[], Awaitable[bool]] | None = None
    """Tells whether the time of day may be acted upon; None: always."""


class Rollouts:
    """Use cases before and beside the running."""

    def __init__(self, tools: RolloutTools) -> None:
        self._tools = tools
        self._database = tools.database

    async def plan(self, rollout_json: str) -> Drafted:
        """Return the plan of a rollout file; nothing changes."""
        async with self._database.read() as unit:
            return await self._tools.planner.draft(unit, rollout_json)

    async def create(self, caller: Caller, rollout_json: str) -> tuple[Rollout, Drafted]:
        """Store a draft with its provisional plan."""
        async with self._database.write() as unit:
            drafted = await self._tools.planner.draft(unit, rollout_json)
            done = await done_before(unit, caller, LogKind.ROLLOUT_CREATED)
            if done is not None:
                return await self._repeated(unit, done, rollout_json), drafted
            plan = drafted.planning.plan
            self._tools.records.keep_plan(plan)
            now = self._tools.clock.now()
            rollout = Rollout(
                id=self._tools.ids.new("r"),
                name=plan.rollout,
                state=RolloutState.DRAFT,
                release=plan.release,
                spec_json=rollout_json,
                sop_id=plan.sop_id,
                sop_revision=plan.sop_revision,
                policy_sha256=plan.policy_sha256,
                plan_json=plan.to_json(),
                plan_sha256=plan.sha256(),
                change_class=plan.change_class,
                requester=caller.name,
                created_time=now,
                audience=plan.audience,
                ticket=plan.ticket,
                emergency=plan.emergency,
            )
            await self._put(unit, rollout, LogKind.ROLLOUT_CREATED, f"{caller.name} drafted {rollout.name}", caller)
            await unit.commit()
        return rollout, drafted

    async def submit(self, caller: Caller, rollout_id: str) -> tuple[Rollout, Drafted]:
        """Compute the plan anew, pass it through the gates, and freeze it."""
        async with self._database.write() as unit:
            before = await find_rollout(unit, rollout_id)
            only = only_of(before)
            repeated = await done_before(unit, caller, LogKind.ROLLOUT_SUBMITTED, before.id)
            if repeated:
                return before, await self._tools.planner.draft(unit, before.spec_json, before.id, only=only)
            machine.next_state(before, machine.RolloutCommand.SUBMIT)
            drafted = await self._tools.planner.draft(unit, before.spec_json, before.id, only=only)
            gates.check_refusals(drafted.refusals)
            plan = drafted.planning.plan
            self._tools.records.keep_plan(plan)
            settings = await unit.settings()
            check_life(settings, self._tools.clock.now())
            needed = approvals.approvers_needed(drafted.policy, plan.change_class, settings.profile)
            rollout = machine.submit(
                replace(
                    before,
                    sop_id=plan.sop_id,
                    sop_revision=plan.sop_revision,
                    policy_sha256=plan.policy_sha256,
                    change_class=plan.change_class,
                ),
                plan_json=plan.to_json(),
                plan_sha256=plan.sha256(),
                needs_approval=needed > 0,
            )
            message = f"{caller.name} submitted {rollout.name}: {rollout.state_reason}"
            decided = {"gates": drafted.judgement.records()}
            await self._put(unit, rollout, LogKind.ROLLOUT_SUBMITTED, message, caller, details=decided)
            await unit.commit()
        self._tools.changed(rollout.id)
        return rollout, drafted

    async def approve(
        self, caller: Caller, rollout_id: str, plan_sha256: str, envelope_json: str, certificate_pem: str = ""
    ) -> Rollout:
        """Record an approval of the plan digest that the person saw, with the certificate that they called with."""
        async with self._database.write() as unit:
            before = await find_rollout(unit, rollout_id)
            if await done_before(unit, caller, LogKind.ROLLOUT_APPROVED, before.id):
                return before
            policy = await self._tools.records.policy(unit, before)
            approvals.check_approver(before, policy, person=caller.name, roles=caller.roles, plan_sha256=plan_sha256)
            await self._check_signature(unit, caller, before, envelope_json)
            approval = Approval(caller.name, plan_sha256, self._tools.clock.now(), envelope_json, certificate_pem)
            settings = await unit.settings()
            enough = approvals.is_enough(before, policy, settings.profile, (approval,))
            rollout = machine.approve(before, approval, enough=enough)
            await self._put(unit, rollout, LogKind.ROLLOUT_APPROVED, f"{caller.name} approved {rollout.name}", caller)
            await unit.commit()
        self._tools.changed(rollout.id)
        return rollout

    async def reject(self, caller: Caller, rollout_id: str, reason: str) -> Rollout:
        """Send a rollout back to its requester."""
        async with self._database.write() as unit:
            before = await find_rollout(unit, rollout_id)
            if await done_before(unit, caller, LogKind.ROLLOUT_REJECTED, before.id):
                return before
            rollout = machine.reject(before, person=caller.name, reason=reason)
            await self._put(unit, rollout, LogKind.ROLLOUT_REJECTED, rollout.state_reason, caller)
            await unit.commit()
        self._tools.changed(rollout.id)
        return rollout

    async def pause(self, caller: Caller, rollout_id: str, reason: str) -> Rollout:
        """Stop offering."""
        async with self._database.write() as unit:
            before = await find_rollout(unit, rollout_id)
            if await done_before(unit, caller, LogKind.ROLLOUT_PAUSED, before.id):
                return before
            rollout = machine.pause(before, person=caller.name, reason=reason)
            await self._put(unit, rollout, LogKind.ROLLOUT_PAUSED, rollout.state_reason, caller)
            await unit.commit()
        self._tools.changed(rollout.id)
        return rollout

    async def resume(self, caller: Caller, rollout_id: str, reason: str) -> Rollout:
        """Go on; the incident of a suspension must have been acknowledged, and is closed by this decision.

        Approvals that ran out, or whose givers may not approve any more, are given again first: nothing that stood
        still begins again on them.
        """
        tools = self._tools
        async with self._database.write() as unit:
            before = await find_rollout(unit, rollout_id)
            if await done_before(unit, caller, LogKind.ROLLOUT_RESUMED, before.id):
                return before
            machine.next_state(before, machine.RolloutCommand.RESUME)
            policy = await tools.records.policy(unit, before)
            remedy = f"sopwith rollout approve {before.id}, by somebody else than {before.requester}; then resume again"
            await check_standing(unit, before, policy, tools.clock.now(), remedy)
            unresolved = await unit.incidents.unresolved()
            rollout = machine.resume(
                before,
                person=caller.name,
                reason=reason,
                now=tools.clock.now(),
                incident_acknowledged=suspension_is_seen(unresolved, before.id),
            )
            suspension = suspension_of(unresolved, before.id)
            if suspension is not None:
                await tools.incidents.resolve_in(unit, suspension, caller.name, rollout.state_reason)
            await self._put(unit, rollout, LogKind.ROLLOUT_RESUMED, rollout.state_reason, caller)
            await unit.commit()
        tools.changed(rollout.id)
        return rollout

    async def abort(self, caller: Caller, rollout_id: str, reason: str) -> Rollout:
        """End it: what has not begun is taken back, what runs may finish."""
        async with self._database.write() as unit:
            before = await find_rollout(unit, rollout_id)
            if await done_before(unit, caller, LogKind.ROLLOUT_ABORTING, before.id):
                return before
            rollout = machine.abort(before, person=caller.name, reason=reason)
            await self._put(unit, rollout, LogKind.ROLLOUT_ABORTING, rollout.state_reason, caller)
            await note_aborted(unit, rollout, self._tools.clock.now())
            await unit.commit()
        self._tools.changed(rollout.id)
        return rollout

    async def _check_signature(self, unit: UnitOfWork, caller: Caller, rollout: Rollout, envelope_json: str) -> None:
        """Refuse an approval that the approver's own key did not sign over this plan's digest lately."""
        person = await unit.people.get(caller.id)
        if person is None or not person.public_key_pem:
            raise InvalidInputError(f"no key is bound to {caller.name}", remedy=f"sopwith person invite {caller.name}")
        approval = verify_approval(envelope_json.encode(), read_public_key(person.public_key_pem.encode()))
        named = (approval.rollout_id, approval.plan_sha256, approval.person)
        signed = parse_time(approval.signed_time)
        approvals.check_envelope(rollout, named, caller.name, signed, self._tools.clock.now())

    async def _repeated(self, unit: UnitOfWork, done: str, rollout_json: str) -> Rollout:
        rollout = await find_rollout(unit, done)
        if rollout.spec_json != rollout_json:
            raise ConflictError(
                f"this request id made {rollout.name} from another rollout file", remedy="use a new request id"
            )
        return rollout

    async def _put(
        self,
        unit: UnitOfWork,
        rollout: Rollout,
        kind: LogKind,
        message: str,
        caller: Caller,
        *,
        details: dict[str, Any] | None = None,
    ) -> None:
        await unit.rollouts.put(rollout)
        await unit.update_log.append(rollout_draft(kind, rollout, message, person=caller.name, details=details))
        await remember(unit, caller, kind, rollout.id, self._tools.clock.now())


async def find_rollout(unit: UnitOfWork, id_or_name: str) -> Rollout:
    """Return the rollout; raise NotFoundError."""
    if not id_or_name:
        raise InvalidInputError("no rollout was named", remedy="sopwith rollout list")
    rollout = await unit.rollouts.find(id_or_name)
    if rollout is None:
        raise NotFoundError(f"there is no rollout {id_or_name}", remedy="sopwith rollout list")
    return rollout
