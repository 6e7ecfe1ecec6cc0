"""Reviews after rollouts that close by themselves: drafted from the report, kept in the log, a day after a clean end.

This module loads, lets `domain.post_review` decide, records and commits; a person's review is `rollout_review`'s.
"""

from datetime import UTC, datetime

from sopwith_controller.domain import post_review as rules
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.post_review import Ended
from sopwith_controller.domain.rollout_entities import Rollout
from sopwith_controller.services.advance import rollout_draft
from sopwith_controller.services.ports import Clock, Database
from sopwith_controller.services.rollout_reports import RolloutReports


class RolloutClosing:
    """The use case: close what is clean."""

    def __init__(self, database: Database, clock: Clock, reports: RolloutReports) -> None:
        self._database = database
        self._clock = clock
        self._reports = reports

    async def ended(self, rollout: Rollout) -> Ended:
        """Return how a rollout ended."""
        report = await self._reports.get(rollout.id)
        async with self._database.read() as unit:
            incidents = [one for one in await unit.incidents.all() if one.rollout_id == rollout.id]
        used = [one for one in report.status.deviations if one.approved_time is not None]
        projection = report.projection
        return Ended(
            rollout=rollout,
            counts=report.status.counts,
            failures=report.failures,
            durations=report.durations,
            deviations=used,
            incidents=incidents,
            planned_end=projection.finish if projection is not None else None,
        )

    async def close_clean(self) -> None:
        """Close the reviews whose time has come; a timer asks."""
        now = self._clock.now()
        async with self._database.read() as unit:
            waiting = [
                one for one in await unit.rollouts.all() if rules.waits(one) and _end(one) + rules.CLOSES_AFTER <= now
            ]
        for rollout in waiting:
            ended = await self.ended(rollout)
            if rules.closes_itself(ended, now):
                await self._close(ended, now)

    async def _close(self, ended: Ended, now: datetime) -> None:
        async with self._database.write() as unit:
            before = await unit.rollouts.get(ended.rollout.id)
            if before != ended.rollout:
                return
            rollout = rules.close(ended, now)
            await unit.rollouts.put(rollout)
            message = f"the review of {rollout.name} closed by itself: {rollout.review_note}"
            entry = rollout_draft(LogKind.ROLLOUT_REVIEWED, rollout, message, details={"draft": rules.draft(ended)})
            await unit.update_log.append(entry)
            await unit.commit()


def _end(rollout: Rollout) -> datetime:
    return rollout.ended_time or datetime.max.replace(tzinfo=UTC) - rules.CLOSES_AFTER
