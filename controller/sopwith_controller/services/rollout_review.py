"""Reviews of rollouts by people: recorded when they are done; of emergencies, escalated when overdue (SOP, VII).

This module loads, lets `domain.emergency` (of other rollouts `domain.post_review`) decide, records and commits. Rules:
the review closes the incident that the use of the emergency door raised; one that is overdue raises it again with
severity 1, so that it climbs from the beginning, also where somebody had acknowledged or closed it.
"""

from sopwith_controller.domain import emergency, post_review
from sopwith_controller.domain.incident import find_open
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.rollout_entities import Rollout
from sopwith_controller.services.access import Caller
from sopwith_controller.services.advance import rollout_draft
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.ports import Clock, Database, UnitOfWork
from sopwith_controller.services.requests import done_before, remember
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_controller.services.rollouts import find_rollout
from sopwith_formats.units import format_time
from sopwith_formats.vocabulary import Symptom


class RolloutReviews:
    """Use cases of reviews."""

    def __init__(self, database: Database, clock: Clock, records: RolloutRecords, incidents: Incidents) -> None:
        self._database = database
        self._clock = clock
        self._records = records
        self._incidents = incidents

    async def review(self, caller: Caller, rollout_id: str, note: str) -> Rollout:
        """Record that an ended or an emergency rollout was looked at, and what was found."""
        async with self._database.write() as unit:
            before = await find_rollout(unit, rollout_id)
            if await done_before(unit, caller, LogKind.ROLLOUT_REVIEWED, before.id):
                return before
            policy = await self._records.policy(unit, before)
            rollout = (
                emergency.review(
                    before, policy, person=caller.name, roles=caller.roles, note=note, now=self._clock.now()
                )
                if before.emergency
                else post_review.review(before, person=caller.name, note=note, now=self._clock.now())
            )
            await unit.rollouts.put(rollout)
            message = f"{caller.name} reviewed {rollout.name}: {rollout.review_note}"
            await unit.update_log.append(
                rollout_draft(
                    LogKind.ROLLOUT_REVIEWED,
                    rollout,
                    message,
                    person=caller.name,
                    details={"requester": rollout.requester, "started_by": rollout.operator},
                )
            )
            await remember(unit, caller, LogKind.ROLLOUT_REVIEWED, rollout.id, self._clock.now())
            incident = find_open(await unit.incidents.unresolved(), rollout.id, Symptom.APPROVAL_AGEING)
            if incident is not None:
                await self._incidents.resolve_in(unit, incident, caller.name, f"reviewed: {rollout.review_note}")
            await unit.commit()
        return rollout

    async def escalate_overdue(self) -> None:
        """Let reviews that are overdue climb."""
        async with self._database.read() as unit:
            overdue = await self._overdue(unit)
        if not overdue:
            return
        async with self._database.write() as unit:
            for rollout in await self._overdue(unit):
                policy = await self._records.policy(unit, rollout)
                due = emergency.review_due(rollout, policy)
                known = find_open(await unit.incidents.unresolved(), rollout.id, Symptom.APPROVAL_AGEING)
                if known is not None:
                    await self._incidents.resolve_in(unit, known, "", "the review is overdue; raised again, graver")
                await self._incidents.raise_in(
                    unit,
                    symptom=Symptom.APPROVAL_AGEING,
                    severity=1,
                    summary=f"the review of the emergency rollout {rollout.name} was due at "
                    f"{format_time(due) if due else 'its start'}: sopwith rollout review {rollout.id} --note TEXT",
                    rollout=rollout,
                    also=("it_manager", "owner"),
                )
            await unit.commit()
        await self._incidents.after_commit()

    async def _overdue(self, unit: UnitOfWork) -> list[Rollout]:
        """Return the rollouts whose review is overdue and of whose lateness nobody was told yet."""
        now = self._clock.now()
        late: list[Rollout] = []
        for rollout in await unit.rollouts.all():
            if not emergency.waits_for_review(rollout):
                continue
            due = emergency.review_due(rollout, await self._records.policy(unit, rollout))
            known = find_open(await unit.incidents.unresolved(), rollout.id, Symptom.APPROVAL_AGEING)
            if due is not None and due <= now and (known is None or known.severity > 1):
                late.append(rollout)
        return late
