"""Training on the SOP: who is current, and the record that a drill ends with.

This module loads, lets `domain.training` decide, records and commits. Acknowledging itself is `sops`' and calls
`acknowledged` here in its transaction. Rules: a drill is recorded for its person only, on the effective revision that
it was made under, with how each task was answered; a drill that was given up is no training.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sopwith_controller.domain import training as rules
from sopwith_controller.domain.entities import LogDraft, SopRevision, SopState
from sopwith_controller.domain.errors import InvalidInputError, NotFoundError, TransitionNotAllowedError
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.practice_entities import TrainingKind, TrainingRecord
from sopwith_controller.domain.training import Trainee
from sopwith_controller.services.access import Caller
from sopwith_controller.services.ports import Clock, Database, Ids, UnitOfWork
from sopwith_controller.services.requests import done_before, remember
from sopwith_formats.sop_policy import read_sop_policy

TASKS_MAX = 50
_TEXT_MAX = 500


@dataclass(frozen=True)
class TrainingView:
    """Who stands where with one revision."""

    revision: SopRevision
    trainees: tuple[Trainee, ...]


class Trainings:
    """Use cases of training."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def get(self, sop_id: str) -> TrainingView:
        """Return who stands where with the effective revision, else the newest one."""
        async with self._database.read() as unit:
            revision = await unit.sops.effective(sop_id) or await unit.sops.newest(sop_id)
            if revision is None:
                raise NotFoundError(f"there is no SOP {sop_id}", remedy="sopwith sop list")
            return TrainingView(revision, await trainees_of(unit, revision, self._clock))

    async def record_drill(
        self, caller: Caller, sop_id: str, revision: int, policy_sha256: str, tasks: Mapping[str, str]
    ) -> TrainingRecord:
        """Record that the caller went through a drill under this revision."""
        if not 0 < len(tasks) <= TASKS_MAX or any(len(text) > _TEXT_MAX for pair in tasks.items() for text in pair):
            raise InvalidInputError("a drill has its tasks and how each was answered", remedy="run sopwith sop drill")
        now = self._clock.now()
        async with self._database.write() as unit:
            known = await done_before(unit, caller, LogKind.DRILL_DONE)
            found = await unit.practice.training.get(known) if known else None
            if found is not None:
                return found
            effective = await unit.sops.get(sop_id, revision)
            if effective is None or effective.state is not SopState.EFFECTIVE:
                raise TransitionNotAllowedError(
                    f"{sop_id} revision {revision} is not the effective one", remedy=f"sopwith sop drill {sop_id}"
                )
            if policy_sha256 != effective.policy_sha256:
                raise InvalidInputError("the drill was made under another policy", remedy=f"sopwith sop drill {sop_id}")
            record = TrainingRecord(
                self._ids.new("t"), TrainingKind.DRILL, caller.name, sop_id, revision, now, details=dict(tasks)
            )
            await unit.practice.training.put_all([record])
            helped = sum(answer.startswith("shown") for answer in tasks.values())
            message = f"{caller.name} finished a drill under {sop_id} revision {revision}: {len(tasks)} tasks"
            await unit.update_log.append(
                LogDraft(
                    LogKind.DRILL_DONE,
                    message + (f", {helped} of them shown" if helped else ""),
                    operator=caller.name,
                    sop_id=sop_id,
                    sop_revision=revision,
                    details={"policy_sha256": policy_sha256, "tasks": dict(tasks)},
                )
            )
            await remember(unit, caller, LogKind.DRILL_DONE, record.id, now)
            await unit.commit()
        return record


async def trainees_of(unit: UnitOfWork, revision: SopRevision, clock: Clock) -> tuple[Trainee, ...]:
    """Return who stands where with a revision, in this transaction."""
    earlier = [one for one in await unit.sops.revisions(revision.id) if one.revision < revision.revision]
    return rules.trainees(
        await unit.people.all(),
        revision,
        read_sop_policy(revision.policy_json),
        earlier=earlier,
        records=[one for one in await unit.practice.training.all() if one.sop_id == revision.id],
        profile=(await unit.settings()).profile,
        now=clock.now(),
    )


async def acknowledged(unit: UnitOfWork, revision: SopRevision, person: str, clock: Clock) -> int:
    """Keep in this transaction that somebody acknowledged a revision; return since which one, 0: the whole of it."""
    earlier = [one for one in await unit.sops.revisions(revision.id) if one.revision < revision.revision]
    since = rules.known_revision(person, earlier)
    record = TrainingRecord(
        f"a-{revision.id}-{revision.revision}-{person}",
        TrainingKind.ACKNOWLEDGED,
        person,
        revision.id,
        revision.revision,
        clock.now(),
        since_revision=since,
    )
    await unit.practice.training.put_all([record])
    return since
