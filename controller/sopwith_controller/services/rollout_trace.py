"""The adherence trace of a rollout: loads what was recorded of it and lets `domain.trace` say what it comes to."""

from dataclasses import dataclass

from sopwith_controller.domain.rollout_entities import Rollout
from sopwith_controller.domain.trace import Recorded, TraceLine, trace
from sopwith_controller.services.kpis import entries_of
from sopwith_controller.services.ports import Database
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_controller.services.rollouts import find_rollout


@dataclass(frozen=True)
class RolloutTrace:
    """A rollout and how it kept to each clause."""

    rollout: Rollout
    lines: tuple[TraceLine, ...]


class RolloutTraces:
    """The use case: read a trace."""

    def __init__(self, database: Database, records: RolloutRecords) -> None:
        self._database = database
        self._records = records

    async def get(self, rollout_id: str) -> RolloutTrace:
        """Return the trace of one rollout."""
        async with self._database.read() as unit:
            rollout = await find_rollout(unit, rollout_id)
            incidents = [one for one in await unit.incidents.all() if one.rollout_id == rollout.id]
            recorded = Recorded(
                rollout=rollout,
                policy=await self._records.policy(unit, rollout),
                assignments=await unit.assignments.of_rollout(rollout.id) if rollout.started_time else (),
                entries=await entries_of(unit, rollout.id),
                incidents=incidents,
                notifications={one.id: await unit.notifications.of_incident(one.id) for one in incidents},
            )
        return RolloutTrace(rollout, trace(recorded))
