"""The report of a rollout: how it went, beside how it was planned.

This module loads and puts together; what is counted how is `domain.rollout_report`'s. Rules: the planned times are the
projection of the plan from the moment of the start, with the durations that had been measured by then, because a plan's
digest holds no times; where a member has left the records since there are none. Nothing is changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sopwith_controller.domain import rollout_report
from sopwith_controller.domain.durations import MEASUREMENTS_MAX, estimates
from sopwith_controller.domain.projection import Projection, project
from sopwith_controller.domain.rollout_entities import Assignment, Rollout
from sopwith_controller.domain.rollout_report import Duration, Failure, Generation
from sopwith_controller.services.ports import Database, UnitOfWork
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_controller.services.rollout_status import RolloutStatus, RolloutStatuses
from sopwith_controller.services.rollouts import find_rollout
from sopwith_formats.manifest import split_release


@dataclass(frozen=True)
class RolloutReport:
    """One rollout, planned and as it was."""

    status: RolloutStatus
    projection: Projection | None
    """From the start, by what was known then; None before the start, or where that cannot be told any more."""
    failures: tuple[Failure, ...]
    durations: tuple[Duration, ...]
    attempts: tuple[tuple[int, int], ...]
    """Numbers of tries, each with its number of computers."""
    generations: tuple[Generation, ...]


class RolloutReports:
    """Reads reports for people."""

    def __init__(self, database: Database, records: RolloutRecords, statuses: RolloutStatuses) -> None:
        self._database = database
        self._records = records
        self._statuses = statuses

    async def get(self, rollout_id: str) -> RolloutReport:
        """Return the report of one rollout."""
        async with self._database.read() as unit:
            rollout = await find_rollout(unit, rollout_id)
            everything = await unit.assignments.changed_since(rollout.id, 0)
            counting = sorted((one for one in everything if not one.replaced), key=lambda one: one.position)
            return RolloutReport(
                status=await self._statuses.status(unit, rollout),
                projection=await self._projection(unit, rollout, counting),
                failures=rollout_report.failures(counting),
                durations=rollout_report.durations(counting),
                attempts=rollout_report.attempts(counting),
                generations=rollout_report.generations(everything),
            )

    async def _projection(
        self, unit: UnitOfWork, rollout: Rollout, assignments: Sequence[Assignment]
    ) -> Projection | None:
        """Return the plan in time as it was at the start."""
        began = rollout.started_time
        if began is None:
            return None
        plan = self._records.plan(rollout)
        members = await unit.computers.many([member.id for member in plan.members])
        if len(members) < len(plan.members):
            return None
        name, _ = split_release(rollout.release)
        measured = await unit.measurements.newest(name, MEASUREMENTS_MAX + len(assignments))
        known = [freeze for freeze in reversed(await unit.freezes.all()) if freeze.start_time <= began]
        return project(
            plan,
            {computer.id: computer for computer in members},
            await self._records.manifest(unit, rollout),
            estimates(one for one in measured if one.ended_time <= began),
            freezes=known,
            now=began,
        )
