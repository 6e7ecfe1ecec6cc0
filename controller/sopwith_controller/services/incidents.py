"""Incidents: raised with the change that causes them, told, climbing, acknowledged, resolved.

This module loads, asks `domain.incident` and `domain.escalation`, and writes: the incident, its messages in the durable
outbox and its log entry in the same transaction as what caused it. Delivering the messages is `notifying`'s.

Rules: one incident per (rollout, symptom) while it is not resolved; nothing is sent from inside a transaction;
`after_commit` must be called once the transaction is durable, it wakes the delivery and sets the next timer.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sopwith_controller.domain import escalation, incident_message
from sopwith_controller.domain import incident as rules
from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.errors import InvalidInputError, NotFoundError
from sopwith_controller.domain.escalation import EscalationStep
from sopwith_controller.domain.incident_entities import Incident, IncidentState, Notification
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.rollout_entities import Rollout
from sopwith_controller.domain.roster import reached_instead
from sopwith_controller.services.access import Caller, require_role
from sopwith_controller.services.ports import Clock, Database, Ids, Timers, UnitOfWork
from sopwith_controller.services.requests import done_before, remember
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_formats.sop_policy import Contact, SopPolicy
from sopwith_formats.vocabulary import Symptom

NOTE_LENGTH_MAX = 4000
_TIMER = "incidents"
_ROLES_WITH_CONTACT = ("it_manager", "owner", "authority")


class Incidents:
    """Use cases of incidents. `wake` lets the outbox be delivered."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        ids: Ids,
        records: RolloutRecords,
        *,
        timers: Timers,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._records = records
        self._timers = timers
        self._wake = wake

    async def raise_in(
        self,
        unit: UnitOfWork,
        *,
        symptom: str,
        severity: int,
        summary: str,
        computers: Sequence[str] = (),
        rollout: Rollout | None = None,
        release: str = "",
        also: tuple[str, ...] = (),
    ) -> Incident:
        """Raise an incident in this transaction, or widen the open one of the same rollout and symptom.

        `also` names roles that are told at once beside the first level.
        """
        now = self._clock.now()
        rollout_id = rollout.id if rollout else ""
        known = rules.find_open(await unit.incidents.unresolved(), rollout_id, symptom)
        if known is not None:
            return await self._widen(unit, known, computers, severity, rollout)
        incident = rules.raise_incident(
            self._ids.new("i"),
            severity=severity,
            symptom=symptom,
            summary=summary,
            now=now,
            rollout_id=rollout_id,
            release=rollout.release if rollout else release,
            computers=computers,
        )
        policy, contacts, profile = await self._ladder(unit, rollout)
        step = escalation.begin(incident, policy, contacts, profile, now, also=also)
        await self._tell(unit, step)
        await self._log(unit, LogKind.INCIDENT_RAISED, step.incident, f"{symptom}: {summary}", "")
        return step.incident

    async def after_commit(self) -> None:
        """Deliver what was written, and look again when the next step falls due."""
        self._wake()
        async with self._database.read() as unit:
            await self._set_timer(unit)

    async def climb(self) -> None:
        """Take every step of the ladder that is due."""
        now = self._clock.now()
        async with self._database.write() as unit:
            taken = 0
            for incident in await unit.incidents.unresolved():
                policy, contacts, profile = await self._ladder_of(unit, incident)
                step = escalation.due_step(incident, policy, contacts, profile, now)
                if step is not None:
                    taken += 1
                    await self._tell(unit, step)
                    told = ", ".join(recipient.name for recipient in step.tell) or "nobody"
                    await self._log(unit, LogKind.INCIDENT_CLIMBED, step.incident, f"{step.cause}, told {told}", "")
            if taken:
                await unit.commit()
        await self.after_commit()

    async def acknowledge(self, caller: Caller, incident_id: str) -> tuple[Incident, list[Notification]]:
        """Take an incident; twice is no error."""
        async with self._database.write() as unit:
            before = await self._get_own(unit, caller, incident_id)
            if await done_before(unit, caller, LogKind.INCIDENT_ACKNOWLEDGED, before.id):
                return before, list(await unit.notifications.of_incident(before.id))
            incident = rules.acknowledge(before, person=caller.name, now=self._clock.now())
            if incident is not before:
                await unit.incidents.put(incident)
                await self._log(unit, LogKind.INCIDENT_ACKNOWLEDGED, incident, "acknowledged", caller.name)
                await remember(unit, caller, LogKind.INCIDENT_ACKNOWLEDGED, incident.id, self._clock.now())
                await unit.commit()
        return await self.get(incident_id)

    async def note(
        self, caller: Caller, incident_id: str, text: str, *, guidance: bool
    ) -> tuple[Incident, list[Notification]]:
        """Add a note; guidance to operators comes from the IT manager or the owner."""
        if len(text) > NOTE_LENGTH_MAX:
            raise InvalidInputError(f"a note has at most {NOTE_LENGTH_MAX} characters", remedy="shorten it")
        if guidance:
            require_role(caller, "it_manager", "owner", act="give guidance")
        async with self._database.write() as unit:
            before = await self._get_own(unit, caller, incident_id)
            if await done_before(unit, caller, LogKind.INCIDENT_NOTED, before.id):
                return before, list(await unit.notifications.of_incident(before.id))
            incident = rules.note(before, person=caller.name, text=text, guidance=guidance, now=self._clock.now())
            await unit.incidents.put(incident)
            await self._log(unit, LogKind.INCIDENT_NOTED, incident, "noted", caller.name)
            await remember(unit, caller, LogKind.INCIDENT_NOTED, incident.id, self._clock.now())
            await unit.commit()
        return await self.get(incident_id)

    async def resolve(
        self, caller: Caller, incident_id: str, reason: str, *, ppe_acknowledged: bool = False
    ) -> tuple[Incident, list[Notification]]:
        """Close an incident with a reason; work at a computer with its protective equipment acknowledged."""
        async with self._database.write() as unit:
            before = await self._get_own(unit, caller, incident_id)
            if await done_before(unit, caller, LogKind.INCIDENT_RESOLVED, before.id):
                return before, list(await unit.notifications.of_incident(before.id))
            policy, _, _ = await self._ladder_of(unit, before)
            equipment = rules.hands_on_equipment(before, policy)
            rules.check_equipment(before, equipment, acknowledged=ppe_acknowledged)
            await self.resolve_in(unit, before, caller.name, reason, equipment=equipment)
            await remember(unit, caller, LogKind.INCIDENT_RESOLVED, before.id, self._clock.now())
            await unit.commit()
        return await self.get(incident_id)

    async def resolve_in(
        self, unit: UnitOfWork, incident: Incident, person: str, reason: str, *, equipment: Sequence[str] = ()
    ) -> None:
        """Close an incident in this transaction; `equipment` was acknowledged."""
        resolved = rules.resolve(incident, person=person, reason=reason, now=self._clock.now())
        await unit.incidents.put(resolved)
        worn = f"; equipment acknowledged: {', '.join(equipment)}" if equipment else ""
        await self._log(unit, LogKind.INCIDENT_RESOLVED, resolved, f"resolved: {resolved.resolution}{worn}", person)

    async def get(self, incident_id: str) -> tuple[Incident, list[Notification]]:
        """Return one incident with its messages."""
        async with self._database.read() as unit:
            incident = await _found(unit, incident_id)
            return incident, list(await unit.notifications.of_incident(incident.id))

    async def all(self, *, unresolved_only: bool = False) -> list[tuple[Incident, list[Notification]]]:
        """Return incidents with their messages, newest first."""
        async with self._database.read() as unit:
            chosen = await (unit.incidents.unresolved() if unresolved_only else unit.incidents.all())
            return [(incident, list(await unit.notifications.of_incident(incident.id))) for incident in chosen]

    async def _widen(
        self, unit: UnitOfWork, known: Incident, computers: Sequence[str], severity: int, rollout: Rollout | None
    ) -> Incident:
        incident = rules.widen(known, computers, severity=severity)
        if incident is known:
            return known
        names = ", ".join(name for name in incident.computers if name not in known.computers)
        if incident.severity < known.severity:
            policy, contacts, profile = await self._ladder(unit, rollout)
            await self._tell(unit, escalation.begin(incident, policy, contacts, profile, self._clock.now()))
        else:
            await unit.incidents.put(incident)
        await self._log(unit, LogKind.INCIDENT_WIDENED, incident, f"widened by {names or 'its severity'}", "")
        return incident

    async def _tell(self, unit: UnitOfWork, step: EscalationStep) -> None:
        await unit.incidents.put(step.incident)
        settings = await unit.settings()
        rollout = await unit.rollouts.get(step.incident.rollout_id) if step.incident.rollout_id else None
        subject, body = incident_message.render(
            step.incident,
            organization=settings.organization,
            computers=step.computers,
            rollout_name=rollout.name if rollout else "",
            cause=step.cause,
        )
        for recipient in step.tell:
            await unit.notifications.put(
                Notification(
                    id=self._ids.new("n"),
                    incident_id=step.incident.id,
                    channel=recipient.channel,
                    target=recipient.target,
                    subject=subject,
                    body=body,
                    created_time=self._clock.now(),
                )
            )

    async def _ladder_of(
        self, unit: UnitOfWork, incident: Incident
    ) -> tuple[SopPolicy | None, tuple[Contact, ...], str]:
        rollout = await unit.rollouts.get(incident.rollout_id) if incident.rollout_id else None
        return await self._ladder(unit, rollout)

    async def _ladder(
        self, unit: UnitOfWork, rollout: Rollout | None
    ) -> tuple[SopPolicy | None, tuple[Contact, ...], str]:
        """Return the rules in force, how people are reached (by the SOP, else by the roster), and the profile."""
        settings = await unit.settings()
        policy: SopPolicy | None = None
        if rollout is not None:
            policy = await self._records.policy(unit, rollout)
        else:
            effective = await unit.sops.effective(settings.sop_id)
            if effective is not None:
                policy = await self._records.policy_of(unit, effective.id, effective.revision)
        contacts = [contact for contact in (policy.contacts if policy else ()) if contact.email]
        named = {contact.role for contact in contacts}
        contacts += [
            Contact(role, person.name, person.email)
            for person in await unit.people.all()
            for role in person.roles
            if role in _ROLES_WITH_CONTACT and role not in named and person.email and person.state != "REVOKED"
        ]
        return policy, await self._present(unit, contacts), settings.profile

    async def _present(self, unit: UnitOfWork, contacts: Sequence[Contact]) -> tuple[Contact, ...]:
        """Return the contacts with whom to tell instead of those who are away or left, if they can be reached."""
        people, now = await unit.people.all(), self._clock.now()
        found = []
        for contact in contacts:
            other = reached_instead(contact.name, people, now)
            found.append(Contact(contact.role, other.name, other.email) if other and other.email else contact)
        return tuple(dict.fromkeys(found))

    async def _set_timer(self, unit: UnitOfWork) -> None:
        times: list[datetime] = []
        for incident in await unit.incidents.unresolved():
            policy, _, profile = await self._ladder_of(unit, incident)
            due = escalation.due_time(incident, policy, profile)
            if due is not None:
                times.append(due)
        if times:
            earliest = self._clock.now() + timedelta(seconds=1)
            self._timers.at(_TIMER, max(min(times), earliest), self.climb)

    async def _get_own(self, unit: UnitOfWork, caller: Caller, incident_id: str) -> Incident:
        """Return the incident; an operator has a say in their own rollouts' only (SOP, clause III)."""
        incident = await _found(unit, incident_id)
        if not caller.has("owner", "it_manager"):
            rollout = await unit.rollouts.get(incident.rollout_id) if incident.rollout_id else None
            if rollout is None or caller.name not in (rollout.operator, rollout.requester):
                require_role(caller, "owner", "it_manager", act="decide on an incident of somebody else's rollout")
        return incident

    async def _log(self, unit: UnitOfWork, kind: LogKind, incident: Incident, what: str, person: str) -> None:
        rollout = await unit.rollouts.get(incident.rollout_id) if incident.rollout_id else None
        await unit.update_log.append(
            LogDraft(
                kind=kind,
                message=f"incident {incident.id} {what}" if kind is not LogKind.INCIDENT_RAISED else what,
                computer=incident.computers[0] if len(incident.computers) == 1 else "",
                release=incident.release,
                symptom=incident.symptom,
                operator=person,
                rollout=incident.rollout_id,
                ticket=rollout.ticket if rollout else "",
                details={
                    "incident": incident.id,
                    "severity": incident.severity,
                    "level": incident.level,
                    "computers": list(incident.computers),
                },
            )
        )


def suspension_of(incidents: Sequence[Incident], rollout_id: str) -> Incident | None:
    """Return the unresolved incident of a rollout's suspension."""
    return rules.find_open(incidents, rollout_id, Symptom.ROLLOUT_SUSPENDED)


def suspension_is_seen(incidents: Sequence[Incident], rollout_id: str) -> bool:
    """Tell whether a person took note of a suspension: acknowledged it, or since then another of the rollout's."""
    suspension = suspension_of(incidents, rollout_id)
    if suspension is None or suspension.state is not IncidentState.OPEN:
        return True
    return any(
        incident.rollout_id == rollout_id
        and incident.acknowledged_time is not None
        and incident.acknowledged_time >= suspension.detected_time
        for incident in incidents
    )


async def _found(unit: UnitOfWork, incident_id: str) -> Incident:
    incident = await unit.incidents.get(incident_id)
    if incident is None:
        raise NotFoundError(f"there is no incident {incident_id}", remedy="sopwith incident list")
    return incident
