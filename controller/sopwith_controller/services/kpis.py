"""The figures of a period, and whether the SOP's objectives are met.

This module loads what `domain.kpi` counts. Rules: a rollout belongs to the period in which it was started, an incident
to that in which it was detected; what is true now (coverage, training, readiness) is counted as it is now.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sopwith_controller.domain import kpi as rules
from sopwith_controller.domain import sop_review
from sopwith_controller.domain.coverage import share
from sopwith_controller.domain.deviation import DeviationState
from sopwith_controller.domain.emergency import review_due, waits_for_review
from sopwith_controller.domain.errors import InvalidInputError
from sopwith_controller.domain.kpi import Kpi, Objective, Period
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.training import currency
from sopwith_controller.services.coverage import covered
from sopwith_controller.services.ports import Clock, Database, SopReader, UnitOfWork
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_controller.services.training import trainees_of
from sopwith_formats.log_entry import LogRow

USUAL_PERIOD = timedelta(days=90)
_BATCH = 5000


@dataclass(frozen=True)
class KpiReport:
    """The figures and, of each objective of the effective SOP, whether it is met."""

    since: datetime
    until: datetime
    kpis: tuple[Kpi, ...]
    objectives: tuple[tuple[Objective, bool | None], ...]


class Kpis:
    """Use cases of figures."""

    def __init__(self, database: Database, clock: Clock, records: RolloutRecords, reader: SopReader) -> None:
        self._database = database
        self._clock = clock
        self._records = records
        self._reader = reader

    async def get(self, since: datetime | None = None, until: datetime | None = None) -> KpiReport:
        """Return the figures of a period; the last 90 days where none is named."""
        until = until or self._clock.now()
        since = since or until - USUAL_PERIOD
        if since >= until:
            raise InvalidInputError("the period begins after its end", remedy="give --since a time before --until")
        async with self._database.read() as unit:
            kpis = rules.measure(await self._period(unit, since, until))
            effective = await unit.sops.effective((await unit.settings()).sop_id)
        objectives = self._reader.read(effective.document).objectives if effective is not None else ()
        return KpiReport(since, until, kpis, tuple((one, rules.met(one, kpis)) for one in objectives))

    async def missed(self) -> Sequence[str]:
        """Name the KPIs whose objectives are missed now."""
        return [f"{one.kpi} {one.target}" for one, met in (await self.get()).objectives if met is False]

    async def _period(self, unit: UnitOfWork, since: datetime, until: datetime) -> Period:
        rollouts = [
            one
            for one in await unit.rollouts.all()
            if one.started_time is not None and since <= one.started_time <= until
        ]
        assignments = [one for rollout in rollouts for one in await unit.assignments.of_rollout(rollout.id)]
        outcomes: Counter[str] = Counter()
        acts = 0
        for rollout in rollouts:
            for row in await entries_of(unit, rollout.id):
                outcomes[f"{rollout.id} {row.computer}"] += row.kind == LogKind.ASSIGNMENT_ENDED
                acts += bool(row.operator)
        incidents = [one for one in await unit.incidents.all() if since <= one.detected_time <= until]
        given = [
            one
            for one in await unit.deviations.all()
            if one.approved_time is not None
            and one.state is not DeviationState.OPEN
            and since <= one.approved_time <= until
        ]
        releases = {one.release: one for one in await unit.releases.all()}
        cited = {one.release for one in rollouts if one.release in releases}
        return Period(
            until=until,
            rollouts=rollouts,
            assignments=assignments,
            policies={one.id: await self._records.policy(unit, one) for one in rollouts},
            severities={
                one.release: (await self._records.manifest(unit, one)).severity
                for one in rollouts
                if one.release in cited
            },
            outcomes=outcomes,
            acts=acts,
            incidents=incidents,
            notifications={one.id: await unit.notifications.of_incident(one.id) for one in incidents},
            deviations=given,
            computers=await unit.computers.all(),
            covered=share(await covered(unit, until)),
            trained=await self._trained(unit),
            overdue_reviews=await self._overdue(unit),
        )

    async def _trained(self, unit: UnitOfWork) -> tuple[int, int]:
        effective = await unit.sops.effective((await unit.settings()).sop_id)
        return currency(await trainees_of(unit, effective, self._clock)) if effective is not None else (0, 0)

    async def _overdue(self, unit: UnitOfWork) -> int:
        now = self._clock.now()
        reviews = await unit.practice.reviews.all()
        late = sum(len(sop_review.overdue(reviews, sop_id, now)) for sop_id in await unit.sops.ids())
        for rollout in await unit.rollouts.all():
            if waits_for_review(rollout):
                due = review_due(rollout, await self._records.policy(unit, rollout))
                late += due is not None and due <= now
        return late


async def entries_of(unit: UnitOfWork, rollout_id: str) -> list[LogRow]:
    """Return a rollout's entries of the update log, in order."""
    found: list[LogRow] = []
    start = 0
    while rows := await unit.update_log.entries(start, _BATCH, rollout=rollout_id):
        found += rows
        start = int(rows[-1].index) + 1
    return found
