"""Computers that come after a start: rollouts with a dynamic audience take them in, catch-ups bring them a baseline.

This module decides when it looks, and carries out what `domain.joining` and `domain.baseline` decide, in one
transaction per look. Rules: a computer that dials, reports readiness, is accepted or labelled is looked at within a
second or so, many together; a slow sweep finds what was missed; a look that repeats another changes nothing more.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sopwith_controller.domain import baseline as rules
from sopwith_controller.domain.entities import Computer, ComputerState
from sopwith_controller.domain.governing import governors
from sopwith_controller.domain.joining import belongs, join, joiners, takes_in
from sopwith_controller.domain.lasting_entities import Baseline
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.rollout import ACTIVE_STATES
from sopwith_controller.domain.rollout_entities import CATCH_UP, Assignment, Rollout
from sopwith_controller.services.baselines import end_what_holds_no_more, past_of
from sopwith_controller.services.catch_up import CatchUps
from sopwith_controller.services.governing import scopes_in_force
from sopwith_controller.services.ports import AgentGateway, Timers, UnitOfWork
from sopwith_controller.services.receipts import assignment_draft
from sopwith_controller.services.rollout_records import RolloutRecords
from sopwith_controller.services.rollouts import RolloutTools
from sopwith_controller.services.superseding import supersede
from sopwith_formats.manifest import split_release

LOOK_WITHIN = timedelta(seconds=1)
SWEEP_EVERY = timedelta(minutes=10)


class Newcomers:
    """The use case: look for computers that came late."""

    def __init__(self, tools: RolloutTools, gateway: AgentGateway, timers: Timers) -> None:
        self._tools = tools
        self._gateway = gateway
        self._timers = timers
        self._catch_ups = CatchUps(tools)
        self._noticed: set[str] = set()
        self._everybody = False

    async def start(self) -> None:
        """Look again and again; the first look follows the first computer that dials."""
        self._timers.every("newcomers/sweep", SWEEP_EVERY, self.sweep)
        self.notice_everybody()

    def notice(self, computer_ids: Iterable[str]) -> None:
        """Look at these computers within a second or so."""
        self._noticed.update(computer_ids)
        self._soon()

    def notice_everybody(self) -> None:
        """Look at the whole fleet within a second or so: a rollout completed, or was approved."""
        self._everybody = True
        self._soon()

    async def sweep(self) -> None:
        """Look at the whole fleet."""
        self._everybody = False
        await self.look(None)

    async def look(self, computer_ids: Sequence[str] | None) -> None:
        """Take in, and open catch-ups, for these computers; None: for all."""
        now = self._tools.clock.now()
        if computer_ids is None:
            self._catch_ups.try_all()
        if not await self._anything(now):
            return
        async with self._tools.database.write() as unit:
            look = _Look(self._tools, self._catch_ups, unit, self._gateway.connected_ids(), now)
            found = await unit.computers.all() if computer_ids is None else await unit.computers.many(computer_ids)
            await look.run([computer for computer in found if computer.state is ComputerState.ACCEPTED])
            if look.changed:
                await unit.commit()
        for assignment in look.replaced:
            await self._gateway.withdraw(assignment.computer_id, assignment.id, assignment.detail)
            self._tools.changed(assignment.rollout_id)
        for rollout_id in look.touched:
            self._tools.changed(rollout_id)

    async def _anything(self, now: datetime) -> bool:
        """Tell whether anybody could be taken in anywhere; spares most fleets the look at their computers."""
        async with self._tools.database.read() as unit:
            if await unit.baselines.in_force():
                return True
            active = await unit.rollouts.in_states(sorted(ACTIVE_STATES))
            return any(takes_in(rollout, self._tools.records.plan(rollout), now) for rollout in active)

    def _soon(self) -> None:
        self._timers.at("newcomers/noticed", self._tools.clock.now() + LOOK_WITHIN, self._look_at_noticed)

    async def _look_at_noticed(self) -> None:
        noticed, self._noticed = self._noticed, set()
        everybody, self._everybody = self._everybody, False
        await self.look(None if everybody else sorted(noticed))


class _Look:
    """One look inside one unit of work."""

    def __init__(
        self, tools: RolloutTools, catch_ups: CatchUps, unit: UnitOfWork, connected: frozenset[str], now: datetime
    ) -> None:
        self._tools = tools
        self._catch_ups = catch_ups
        self._unit = unit
        self._connected = connected
        self._now = now
        self.changed = False
        self.touched: dict[str, None] = {}
        self.replaced: list[Assignment] = []

    async def run(self, computers: Sequence[Computer]) -> None:
        """Look at these computers."""
        active = await self._unit.rollouts.in_states(sorted(ACTIVE_STATES))
        for rollout in active:
            plan = self._tools.records.plan(rollout)
            if rollout.origin != CATCH_UP and takes_in(rollout, plan, self._now):
                await self._take_in(rollout, await self._joiners(rollout, computers, active))
        in_force, ended = await end_what_holds_no_more(self._unit, self._now)
        self.changed = self.changed or ended
        for baseline in in_force:
            await self._bring(baseline, computers, in_force, active)

    async def _joiners(
        self, rollout: Rollout, computers: Sequence[Computer], active: Sequence[Rollout]
    ) -> list[Computer]:
        """Return who joins; whoever has a share in a newer rollout of the release name does not."""
        unit, plan = self._unit, self._tools.records.plan(rollout)
        name, version = split_release(rollout.release)
        known = {one.computer_id for one in await unit.assignments.of_rollout(rollout.id)}
        for newer in active:
            if newer.created_time > rollout.created_time and split_release(newer.release)[0] == name:
                known |= {one.computer_id for one in await unit.assignments.of_rollout(newer.id)}
        policy = await self._tools.records.policy(unit, rollout)
        rolled_back = await unit.releases.rolled_back_on(name, version)
        others = await scopes_in_force(unit, without=rollout.sop_id)
        ours = [computer for computer in computers if not governors(computer, others)]
        return joiners(plan, policy, ours, known=known, rolled_back=rolled_back)

    async def _take_in(self, rollout: Rollout, chosen: Sequence[Computer]) -> None:
        if not chosen:
            return
        unit, plan = self._unit, self._tools.records.plan(rollout)
        there = await unit.assignments.of_rollout(rollout.id)
        first = max((one.position for one in there), default=-1) + 1
        joined = [
            join(rollout, plan, computer, assignment_id=self._tools.ids.new("a"), position=first + number)
            for number, computer in enumerate(chosen)
        ]
        await unit.assignments.put_all(joined)
        for one in joined:
            message = f"{one.computer} joined {rollout.name} after its start, in wave {plan.wave_name(one.wave)}"
            await unit.update_log.append(assignment_draft(LogKind.COMPUTER_JOINED, rollout, one, message))
        self.replaced += await supersede(unit, rollout, {one.computer_id for one in joined}, self._now)
        self._note(rollout)

    async def _bring(
        self, baseline: Baseline, computers: Sequence[Computer], in_force: Sequence[Baseline], active: Sequence[Rollout]
    ) -> None:
        """Let an open catch-up take in who lacks the baseline, or open one."""
        catch_up = await self._unit.rollouts.get(baseline.catch_up_id) if baseline.catch_up_id else None
        if catch_up is not None and await self._catch_ups.move_on(self._unit, baseline, catch_up, self._now):
            self._note(catch_up)
            return
        lacking = [computer for computer in computers if await self._lacks(baseline, computer, in_force, active)]
        if not lacking:
            return
        if catch_up is None:
            opened, changed = await self._catch_ups.open(self._unit, baseline, lacking, self._now)
            self.changed = self.changed or changed
            if opened is not None:
                self._note(opened)
        elif takes_in(catch_up, self._tools.records.plan(catch_up), self._now):
            known = {one.computer_id for one in await self._unit.assignments.of_rollout(catch_up.id)}
            await self._take_in(catch_up, [computer for computer in lacking if computer.id not in known])

    async def _lacks(
        self, baseline: Baseline, computer: Computer, in_force: Sequence[Baseline], active: Sequence[Rollout]
    ) -> bool:
        name, version = split_release(baseline.release)
        cheap = computer.installed.get(name, "") == version or not belongs(computer, baseline.audience, "")
        if cheap or rules.absence(computer, connected=computer.id in self._connected):
            return False
        return not await objection_to(
            self._tools.records, self._unit, baseline, computer, in_force=in_force, active=active
        )

    def _note(self, rollout: Rollout) -> None:
        self.changed = True
        self.touched[rollout.id] = None


async def objection_to(
    records: RolloutRecords,
    unit: UnitOfWork,
    baseline: Baseline,
    computer: Computer,
    *,
    in_force: Sequence[Baseline],
    active: Sequence[Rollout],
) -> str:
    """Return why a computer is not to have a baseline's release from a catch-up; empty: it lacks it."""
    name, version = split_release(baseline.release)
    rollout = await records.get(unit, baseline.rollout_id)
    scope = (await records.policy(unit, rollout)).scope
    found = rules.objection(baseline, computer, await past_of(unit, computer.id, name), scope=scope)
    if found:
        return found
    if not rules.newest_for(computer, baseline, in_force):
        return f"a newer baseline of {name} counts for it"
    held = rules.held_by(computer, baseline, active)
    if held:
        return f"rollout {held} brings another version of {name} to its audience"
    if computer.id in await unit.releases.rolled_back_on(name, version):
        return f"it rolled {baseline.release} back; a second person permits another try"
    return ""
