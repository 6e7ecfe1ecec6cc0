"""What the planner looks at: a rollout with its computers, from one transaction and the live streams.

This module decides nothing; it gathers. The same view serves the tick and the explanation, so that both tell the same.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sopwith_controller.domain.agent_gates import READINESS_GATES, despite, opened_by
from sopwith_controller.domain.assignment import occupies
from sopwith_controller.domain.durations import MEASUREMENTS_MAX, Estimates, estimates
from sopwith_controller.domain.entities import ReleaseState
from sopwith_controller.domain.joining import groups_of_joiners
from sopwith_controller.domain.rollout import ACTIVE_STATES
from sopwith_controller.domain.rollout_entities import Rollout
from sopwith_controller.domain.tick import ComputerView, RolloutView
from sopwith_controller.services.covering import covering_among
from sopwith_controller.services.mirrors import AssignmentMirror, ComputerMirror
from sopwith_controller.services.overlays import AwayViews, SpokenOf, Word
from sopwith_controller.services.ports import AgentGateway, UnitOfWork
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_controller.services.warrants import is_approved
from sopwith_formats.agent_policy import read_agent_policy
from sopwith_formats.manifest import split_release
from sopwith_formats.vocabulary import AssignmentState

_ESTIMATES_KEPT_MAX = 64


class Views:
    """Builds views of rollouts. `heartbeat` is how often computers give a sign of life."""

    def __init__(self, gateway: AgentGateway, records: RolloutRecords, heartbeat: timedelta) -> None:
        self._gateway = gateway
        self._records = records
        self._assignments = AssignmentMirror()
        self._computers = ComputerMirror()
        self._away = AwayViews(gateway, heartbeat)
        self._spoken_of: dict[str, SpokenOf] = {}
        self.measure_asked: dict[str, datetime] = {}
        """Computer id to when it was last asked to measure, while no answer came since."""
        self._estimates: OrderedDict[str, tuple[int, Estimates]] = OrderedDict()
        """By rollout id: how many waves had passed when they were worked out, and what they say."""

    def is_connected(self, computer_id: str) -> bool:
        """Tell whether a computer has a live stream."""
        return computer_id in self._gateway.connected_ids()

    async def load(self, unit: UnitOfWork, rollout: Rollout, now: datetime) -> RolloutView:
        """Return the view of one rollout."""
        assignments = await self._assignments.of_rollout(unit, rollout.id)
        unended = [one.computer_id for one in assignments if one.state is not AssignmentState.ENDED]
        name, version = split_release(rollout.release)
        release = await unit.releases.get(name, version)
        plan, computers = self._records.plan(rollout), await self._computer_views(unit, rollout, unended, now)
        if plan.dynamic and plan.groups:
            members = {member.id for member in plan.members}
            joined = await unit.computers.many([key for key in unended if key not in members])
            groups = groups_of_joiners(plan, await self._records.policy(unit, rollout), joined)
            computers |= {key: replace(computers[key], group=group) for key, group in groups.items()}
        deviations = await unit.deviations.unended()
        selective = any(deviation.selector for deviation in deviations)
        covering = covering_among(
            deviations,
            sop_id=rollout.sop_id,
            rollout_id=rollout.id,
            plan_sha256=rollout.plan_sha256,
            computers=await unit.computers.many(unended) if selective else (),
            now=now,
        )
        opened = {*covering.deviations, *opened_by(rollout.release)}
        if opened & set(READINESS_GATES):
            computers = {key: replace(one, readiness=despite(one.readiness, opened)) for key, one in computers.items()}
        return RolloutView(
            rollout=rollout,
            plan=plan,
            assignments=assignments,
            computers=computers,
            freezes=await unit.freezes.active(now),
            release_withdrawn=release is not None and release.state is ReleaseState.WITHDRAWN,
            estimates=await self._estimates_of(unit, rollout, name),
            freeze_begins=await unit.freezes.next_start(now),
            install_timeout=await self._install_timeout(unit, rollout),
            reboot=(await self._records.policy(unit, rollout)).reboot,
            deviations=covering.deviations,
            approved=await is_approved(unit, rollout, self._records),
        )

    def forget(self, rollout_id: str) -> None:
        """Keep nothing of a rollout that does not run any more."""
        self._estimates.pop(rollout_id, None)
        self._spoken_of.pop(rollout_id, None)
        if self._assignments.forget(rollout_id):
            self._computers.forget()
            self._away.forget()

    async def _computer_views(
        self, unit: UnitOfWork, rollout: Rollout, computer_ids: Sequence[str], now: datetime
    ) -> dict[str, ComputerView]:
        """Return what the tables say, and over it what only this process knows and what other rollouts do."""
        known = await self._computers.many(unit, computer_ids)
        views = {**_gone(computer_ids, known), **known} if len(known) < len(computer_ids) else known
        connected = self._gateway.connected_ids()
        for one in [one for one in views.values() if one.asleep and one.id in connected]:
            views[one.id] = replace(one, asleep=False)
        away = [views[key] for key in computer_ids if key not in connected]
        views.update(await self._away.of(unit, away))
        busy = await self._busy(unit, rollout, now)
        rolled_back = set(await unit.releases.rolled_back_on(*split_release(rollout.release)))
        asked = self.measure_asked
        words = {
            key: Word(busy.get(key, ""), key in rolled_back, asked.get(key))
            for key in dict.fromkeys((*busy, *rolled_back, *asked))
            if key in views
        }
        self._spoken_of.setdefault(rollout.id, SpokenOf()).lay_over(views, words)
        return views

    async def _install_timeout(self, unit: UnitOfWork, rollout: Rollout) -> timedelta:
        policy = await self._records.policy(unit, rollout)
        return timedelta(seconds=read_agent_policy(policy.readiness).install_timeout_seconds)

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
        theirs = await unit.assignments.at_work(sorted(ACTIVE_STATES), other_than=rollout.id)
        return {assignment.computer_id: name for assignment, name in theirs if occupies(assignment, now)}


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
