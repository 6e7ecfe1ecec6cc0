"""Patch days as they are kept: drafts made when their day has come, in the transaction that moves on to the next day.

This module loads and records; days, names and releases are decided by `domain.patch_day`. Rules: a day is drafted once,
whatever was restarted meanwhile; a draft starts nothing, it waits for a person, as `sopwith status` says; what cannot
be drafted is logged with its reason and the next day comes all the same.
"""

from datetime import datetime, timedelta

from sopwith_controller.domain import patch_day as rules
from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.errors import DomainError
from sopwith_controller.domain.lasting_entities import Repetition
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.rollout_entities import PATCH_DAY, Rollout, RolloutState
from sopwith_controller.services.planning import Planner
from sopwith_controller.services.ports import Clock, Database, Ids, Timers, UnitOfWork
from sopwith_controller.services.release_lookup import REBOOT
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_formats.manifest import split_release
from sopwith_formats.reboot_only import is_reboot_only
from sopwith_formats.rollout_spec import read_rollout_spec
from sopwith_formats.units import format_time

LOOK_EVERY = timedelta(minutes=1)


async def note_started(unit: UnitOfWork, rollout: Rollout, plan: Plan, now: datetime) -> None:
    """Let a rollout that starts repeat, where its plan says so."""
    if plan.repeat:
        before = await unit.repetitions.get(rules.chain_of(rollout))
        await unit.repetitions.put(rules.repetition_of(rollout, plan, before, now))


async def note_aborted(unit: UnitOfWork, rollout: Rollout, now: datetime) -> None:
    """End the repetition whose draft, or whose newest rollout, somebody aborts."""
    repetition = await unit.repetitions.get(rules.chain_of(rollout))
    if repetition is None or repetition.ended_time is not None:
        return
    if rollout.origin == PATCH_DAY or repetition.rollout_id == rollout.id:
        await unit.repetitions.put(rules.end(repetition, rollout.state_reason, now))


class PatchDays:
    """The use case: draft what is due."""

    def __init__(self, database: Database, clock: Clock, ids: Ids, planner: Planner, records: RolloutRecords) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._planner = planner
        self._records = records

    async def start(self, timers: Timers) -> None:
        """Draft what came due while nobody looked, then look every minute."""
        await self.look()
        timers.every("patch_days/look", LOOK_EVERY, self.look)

    async def look(self) -> None:
        """Draft each patch day that has come."""
        now = self._clock.now()
        async with self._database.read() as unit:
            due = [one.id for one in await unit.repetitions.in_force() if rules.due_days(one, now)]
        for repetition_id in due:
            async with self._database.write() as unit:
                repetition = await unit.repetitions.get(repetition_id)
                days = rules.due_days(repetition, now) if repetition and repetition.ended_time is None else []
                if repetition is None or not days:
                    continue
                for missed in days[:-1]:
                    await self._skip(unit, repetition, missed, "the controller was not running; a later day is drafted")
                await self._draft(unit, repetition, days[-1], now)
                await unit.repetitions.put(rules.after_days(repetition, now))
                await unit.commit()

    async def _draft(self, unit: UnitOfWork, repetition: Repetition, day: datetime, now: datetime) -> None:
        last = await self._records.get(unit, repetition.rollout_id)
        name, _ = split_release(last.release)
        newest = rules.newest_release(await unit.releases.all(), name)
        release = REBOOT if is_reboot_only(last.release) else newest
        if release is None:
            await self._skip(unit, repetition, day, f"no release of {name} is published any more")
            return
        spec = rules.draft_spec(read_rollout_spec(last.spec_json), repetition, release, day)
        try:
            plan = (await self._planner.draft(unit, spec.to_json().decode())).planning.plan
        except DomainError as error:
            await self._skip(unit, repetition, day, error.message)
            return
        rollout = Rollout(
            id=self._ids.new("r"),
            name=plan.rollout,
            state=RolloutState.DRAFT,
            state_reason=f"drafted on the patch day of {repetition.name} with the newest release, {plan.release}",
            release=plan.release,
            spec_json=spec.to_json().decode(),
            sop_id=plan.sop_id,
            sop_revision=plan.sop_revision,
            policy_sha256=plan.policy_sha256,
            plan_json=plan.to_json(),
            plan_sha256=plan.sha256(),
            change_class=plan.change_class,
            requester=last.requester,
            created_time=now,
            audience=plan.audience,
            ticket=plan.ticket,
            emergency=plan.emergency,
            origin=PATCH_DAY,
            origin_id=repetition.id,
        )
        await unit.rollouts.put(rollout)
        message = f"{rollout.name} was drafted on the patch day of {repetition.name}; it waits for a person"
        await unit.update_log.append(_entry(LogKind.PATCH_DAY_DRAFTED, rollout.id, rollout.release, message, day))

    async def _skip(self, unit: UnitOfWork, repetition: Repetition, day: datetime, reason: str) -> None:
        date = rules.local_date(repetition, day)
        message = f"the patch day of {repetition.name} on {date} was skipped: {reason}"
        await unit.update_log.append(_entry(LogKind.PATCH_DAY_SKIPPED, repetition.rollout_id, "", message, day))


def _entry(kind: LogKind, rollout_id: str, release: str, message: str, day: datetime) -> LogDraft:
    return LogDraft(kind=kind, message=message, rollout=rollout_id, release=release, details={"day": format_time(day)})
