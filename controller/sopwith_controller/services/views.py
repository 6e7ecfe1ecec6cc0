"""What the planner looks at: a rollout with its computers, from one transaction and the live streams.

This module decides nothing; it gathers. The same view serves the tick and the explanation, so that both tell the same.
"""

from collections import OrderedDict
from collections.abc import Iterable
from datetime import datetime, timedelta

from sopwith_controller.domain.assignment import occupies
from sopwith_controller.domain.durations import MEASUREMENTS_MAX, Estimates, estimates, platform_of
from sopwith_controller.domain.entities import Computer, ComputerState, ReleaseState
from sopwith_controller.domain.presence import offline_time
from sopwith_controller.domain.rollout import ACTIVE_STATES
from sopwith_controller.domain.rollout_entities import Rollout
from sopwith_controller.domain.tick import ComputerView, RolloutView
from sopwith_controller.services.ports import AgentGateway, UnitOfWork
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_formats.manifest import split_release

_ESTIMATES_KEPT_MAX = 64


class Views:
    """Builds views of rollouts. `heartbeat` is how often computers give a sign of life."""

    def __init__(self, gateway: AgentGateway, records: RolloutRecords, heartbeat: timedelta) -> None:
        self._gateway = gateway
        self._records = records
        self._heartbeat = heartbeat
        self.measure_asked: dict[str, datetime] = {}
        """Computer id to when it was last asked to measure, while no answer came since."""
        self._estimates: OrderedDict[str, tuple[int, Estimates]] = OrderedDict()
        """By rollout id: how many waves had passed when they were worked out, and what they say."""

    async def load(self, unit: UnitOfWork, rollout: Rollout, now: datetime) -> RolloutView:
        """Return the view of one rollout."""
        assignments = await unit.assignments.of_rollout(rollout.id)
        unended = [assignment.computer_id for assignment in assignments if not assignment.ended]
        name, version = split_release(rollout.release)
        release = await unit.releases.get(name, version)
        rolled_back = set(await unit.releases.rolled_back_on(name, version))
        busy = await self._busy(unit, rollout, now)
        computers = {
            computer.id: self._view(computer, busy.get(computer.id, ""), computer.id in rolled_back)
            for computer in await unit.computers.many(unended)
        }
        return RolloutView(
            rollout=rollout,
            plan=self._records.plan(rollout),
            assignments=assignments,
            computers={**_gone(unended, computers), **computers},
            freezes=await unit.freezes.active(now),
            release_withdrawn=release is not None and release.state is ReleaseState.WITHDRAWN,
            estimates=await self._estimates_of(unit, rollout, name),
        )

    async def _estimates_of(self, unit: UnitOfWork, rollout: Rollout, release_name: str) -> Estimates:
        """Return what the release's updates take: learned once, and again whenever a wave has passed."""
        passed = sum(wave.passed_time is not None for wave in rollout.waves)
        if (known := self._estimates.get(rollout.id)) is None or known[0] != passed:
            self._estimates[rollout.id] = known = (passed, await load_estimates(unit, release_name))
            while len(self._estimates) > _ESTIMATES_KEPT_MAX:
                self._estimates.popitem(last=False)
        return known[1]

    async def _busy(self, unit: UnitOfWork, rollout: Rollout, now: datetime) -> dict[str, str]:
        """Return computers that another running rollout occupies, with its name."""
        busy: dict[str, str] = {}
        for other in await unit.rollouts.in_states(sorted(ACTIVE_STATES)):
            if other.id != rollout.id:
                for assignment in await unit.assignments.of_rollout(other.id):
                    if occupies(assignment, now):
                        busy[assignment.computer_id] = other.name
        return busy

    def _view(self, computer: Computer, busy_with: str, rolled_back: bool) -> ComputerView:  # noqa: FBT001  one fact of three
        presence = self._gateway.presence(computer.id)
        connected = presence is not None and presence.connected
        asleep = not connected and (presence.asleep if presence else computer.asleep)
        seen = presence.last_seen_time if presence and presence.last_seen_time else computer.last_seen_time
        zone = computer.facts.get("time_zone", "")
        return ComputerView(
            id=computer.id,
            name=computer.name,
            connected=connected,
            asleep=asleep,
            offline_time=offline_time(
                connected=connected,
                asleep=asleep,
                last_seen_time=seen,
                controller_started_time=self._gateway.started_time(),
                heartbeat=self._heartbeat,
            ),
            last_seen_time=seen,
            readiness=computer.readiness,
            measure_asked_time=self.measure_asked.get(computer.id),
            in_service=computer.state is ComputerState.ACCEPTED,
            out_of_service_reason=computer.state_reason or computer.state,
            rolled_back_before=rolled_back,
            busy_with=busy_with,
            labels=computer.labels,
            platform=platform_of(computer.facts),
            time_zone=zone if isinstance(zone, str) else "",
        )


async def load_estimates(unit: UnitOfWork, release_name: str) -> Estimates:
    """Return what updates to any version of a release took, for plans and for rollouts alike."""
    return estimates(await unit.measurements.newest(release_name, MEASUREMENTS_MAX))


def _gone(ids: Iterable[str], found: dict[str, ComputerView]) -> dict[str, ComputerView]:
    """Return a view of each computer that is not on record any more."""
    return {
        key: ComputerView(key, key, in_service=False, out_of_service_reason="it is not on record")
        for key in ids
        if key not in found
    }
