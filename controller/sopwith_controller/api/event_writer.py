"""The one writer of computers' reports: many streams in, few transactions out, acknowledgements after the commit.

While one batch is being committed the next one gathers, up to 1,000 reports, so that a quiet fleet waits for nothing
and a busy one shares its commits. This module decides grouping and what is told afterwards; what a report changes is
`services.progress`'.

Rules: nothing is acknowledged before it is durable; a batch that fails is tried again report by report, and a computer
whose report still fails is cut, so that it comes again with everything that is not acknowledged; the queue is bounded,
a stream that reports faster than the disk takes waits.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from sopwith_controller.api.presence import PresenceRegister
from sopwith_controller.api.watchers import Watchers
from sopwith_controller.services.access import Access
from sopwith_controller.services.advancing import Advancing
from sopwith_controller.services.agent_reports import Report
from sopwith_controller.services.incidents import Incidents
from sopwith_controller.services.newcomers import Newcomers
from sopwith_controller.services.progress import Progress, Recorded
from sopwith_controller.services.views import Views

BATCH_MAX = 1000
QUEUE_MAX = 10_000

_log = structlog.get_logger()


@dataclass(frozen=True)
class Listeners:
    """Who is told after a commit."""

    presence: PresenceRegister
    watchers: Watchers
    advancing: Advancing
    incidents: Incidents
    views: Views
    access: Access
    newcomers: Newcomers | None = None
    """None: nobody is taken in after a start."""


class EventWriter:
    """Gathers and writes."""

    def __init__(self, progress: Progress, listeners: Listeners) -> None:
        self._progress = progress
        self._to = listeners
        self._queue: asyncio.Queue[Report] = asyncio.Queue(QUEUE_MAX)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._work(), name="event writer")

    async def stop(self) -> None:
        """Write what is queued, then stop."""
        if self._task is not None:
            await self._queue.join()
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def put(self, report: Report) -> None:
        """Queue a report; waits while the queue is full."""
        await self._queue.put(report)

    async def _work(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH_MAX and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._write(batch)
            finally:
                for _ in batch:
                    self._queue.task_done()

    async def _write(self, batch: Sequence[Report]) -> None:
        try:
            await self._tell(await self._progress.record(batch))
        except Exception:  # noqa: BLE001  the writer outlives every report
            _log.exception("reports_not_recorded", reports=len(batch))
            if len(batch) > 1:
                await self._one_by_one(batch)
            else:
                await self._to.presence.cut(batch[0].computer_id, "its report could not be recorded")

    async def _one_by_one(self, batch: Sequence[Report]) -> None:
        failed: set[str] = set()
        for report in batch:
            if report.computer_id in failed:
                continue
            try:
                await self._tell(await self._progress.record([report]))
            except Exception:  # noqa: BLE001  see above
                _log.exception("report_not_recorded", computer=report.computer_id, sequence=report.sequence)
                failed.add(report.computer_id)
                await self._to.presence.cut(report.computer_id, "its report could not be recorded")

    async def _tell(self, recorded: Recorded) -> None:
        to = self._to
        for computer_id, sequence in recorded.acknowledged.items():
            to.presence.acknowledge(computer_id, sequence)
        for computer_id in recorded.gaps:
            await to.presence.cut(computer_id, "a report came before the ones that precede it")
        for computer_id in recorded.designated:
            to.presence.has_source(computer_id)
        asked = {key for key in recorded.measured if to.views.measure_asked.pop(key, None) is not None}
        for request_id in recorded.answered:
            to.presence.answered(request_id)
        for computer in recorded.quarantined:
            to.access.refresh_computer(computer)
        for assignment in recorded.changed:
            to.watchers.changed(assignment.rollout_id, (assignment,))
        to.advancing.poke(*recorded.rollouts)
        if heard := asked | recorded.told_more:
            await self._tell_of_measured(sorted(heard))
        if recorded.incidents:
            await to.incidents.after_commit()

    async def _tell_of_measured(self, computer_ids: Sequence[str]) -> None:
        """Whoever is ready now may go on, or be taken in."""
        await self._to.advancing.poke_of(computer_ids)
        if self._to.newcomers is not None:
            self._to.newcomers.notice(computer_ids)
