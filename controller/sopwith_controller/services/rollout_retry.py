"""Retrying a rollout: its gates once more, and new assignments for those on whom it did not succeed.

This module loads, lets `domain.retry` choose and `domain.rollout` decide, records and commits; offering is the
planner's. Rules: the plan and its approvals stay, so that a retry needs no new approval while they hold; a rollout that
completed begins anew only while its SOP revision is the effective one, its release is not withdrawn, and no newer
rollout brings another version of its release since; the same request id has no further effect.
"""

from collections.abc import Sequence
from typing import Any

from sopwith_controller.domain import approvals, gates, retry
from sopwith_controller.domain import rollout as machine
from sopwith_controller.domain.bench import bench_remedy, is_benched, why_benched
from sopwith_controller.domain.entities import Computer, ComputerState
from sopwith_controller.domain.errors import ConflictError, NotFoundError, Refusal, RefusedError
from sopwith_controller.domain.evaluation import check_life
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.plan_inputs import Exclusion
from sopwith_controller.domain.retry import Choice
from sopwith_controller.domain.rollout import RolloutCommand
from sopwith_controller.domain.rollout_entities import Assignment, Rollout, RolloutState
from sopwith_controller.services.access import Caller
from sopwith_controller.services.advance import rollout_draft
from sopwith_controller.services.ports import UnitOfWork
from sopwith_controller.services.release_lookup import find_release
from sopwith_controller.services.requests import done_before, remember
from sopwith_controller.services.rollouts import RolloutTools, find_rollout
from sopwith_controller.services.start_checks import check_again
from sopwith_formats.manifest import split_release


class RolloutRetry:
    """The use case: retry."""

    def __init__(self, tools: RolloutTools) -> None:
        self._tools = tools

    async def retry(
        self, caller: Caller, rollout_id: str, names: Sequence[str], reason: str
    ) -> tuple[Rollout, tuple[str, ...], tuple[Exclusion, ...]]:
        """Let computers begin anew; return the rollout, their names, and who was left out."""
        tools, now = self._tools, self._tools.clock.now()
        async with tools.database.write() as unit:
            before = await find_rollout(unit, rollout_id)
            assignments = await unit.assignments.of_rollout(before.id)
            done = await done_before(unit, caller, LogKind.ROLLOUT_RETRIED)
            if done is not None:
                return before, _of_generation(assignments, done), ()
            approvals.check_prepared(before)
            machine.next_state(before, RolloutCommand.RETRY)
            decisions = await self._check(unit, caller, before)
            choice = await self._choose(unit, before, assignments, names)
            plan = tools.records.plan(before)
            waves = {one.id: retry.wave_of(before, plan, one) for one in choice.chosen}
            rollout = machine.retry(
                before,
                person=caller.name,
                reason=reason,
                now=now,
                deadline_seconds=plan.deadline_seconds,
                waves=frozenset(waves.values()),
            )
            await unit.rollouts.put(rollout)
            await self._put(unit, rollout, choice, waves)
            chosen = tuple(one.computer for one in choice.chosen)
            await unit.update_log.append(
                rollout_draft(
                    LogKind.ROLLOUT_RETRIED,
                    rollout,
                    f"{caller.name} retried {rollout.name} on {len(chosen)} computers: {' '.join(reason.split())}",
                    person=caller.name,
                    details={"computers": list(chosen), "generation": rollout.generation, "gates": decisions},
                )
            )
            thing = f"{rollout.id} {rollout.generation}"
            await remember(unit, caller, LogKind.ROLLOUT_RETRIED, thing, now)
            await unit.commit()
        tools.changed(rollout.id)
        return rollout, chosen, choice.exclusions

    async def _check(self, unit: UnitOfWork, caller: Caller, rollout: Rollout) -> list[dict[str, Any]]:
        """Pass the gates of a start that may have closed since; the plan and what was measured stay."""
        now = self._tools.clock.now()
        effective = gates.check_sop_effective(
            rollout.sop_id, await unit.sops.newest(rollout.sop_id), await unit.sops.effective(rollout.sop_id)
        )
        release = await find_release(unit, rollout.release)
        if release is None:
            raise NotFoundError(f"{rollout.release} is not published any more", remedy="sopwith release list")
        gates.check_release(release)
        check_life(await unit.settings(), now)
        decisions = await check_again(unit, self._tools, caller, rollout, effective)
        if rollout.state is RolloutState.COMPLETED:
            if effective.revision != rollout.sop_revision:
                raise RefusedError(
                    Refusal(
                        "sop_effective",
                        "VII",
                        f"{rollout.name} followed revision {rollout.sop_revision} of {rollout.sop_id}, "
                        f"and revision {effective.revision} is effective now",
                        "sopwith rollout create -f FILE",
                    )
                )
            await self._check_newest(unit, rollout)
        return decisions

    async def _check_newest(self, unit: UnitOfWork, rollout: Rollout) -> None:
        name, began = split_release(rollout.release)[0], rollout.started_time
        for other in await unit.rollouts.all():
            newer = other.started_time is not None and began is not None and other.started_time > began
            if newer and split_release(other.release)[0] == name and other.release != rollout.release:
                raise ConflictError(
                    f"{other.name} ({other.id}) of {other.release} was started since and is the newer word",
                    remedy=f"sopwith rollout retry {other.id}, or sopwith rollout create -f FILE",
                )

    async def _choose(
        self, unit: UnitOfWork, rollout: Rollout, assignments: Sequence[Assignment], names: Sequence[str]
    ) -> Choice:
        computers = await unit.computers.many([one.computer_id for one in assignments])
        rolled_back = set(await unit.releases.rolled_back_on(*split_release(rollout.release)))
        hindrances = {
            computer.id: why
            for computer in computers
            if (why := _hindrance(computer, rollout, rolled_back=computer.id in rolled_back))
        }
        known = {computer.id for computer in computers}
        gone = {one.computer_id: Exclusion(one.computer, "left the fleet") for one in assignments}
        hindrances |= {key: why for key, why in gone.items() if key not in known}
        return retry.choose(rollout, assignments, hindrances, names)

    async def _put(self, unit: UnitOfWork, rollout: Rollout, choice: Choice, waves: dict[str, int]) -> None:
        release, _ = split_release(rollout.release)
        found = await unit.computers.many([one.computer_id for one in choice.chosen])
        installed = {computer.id: computer.installed.get(release, "") for computer in found}
        await unit.assignments.put_all([retry.replaced(one) for one in choice.chosen])
        await unit.assignments.put_all(
            [
                retry.again(
                    one,
                    identifier=self._tools.ids.new("a"),
                    generation=rollout.generation,
                    wave=waves[one.id],
                    version_before=installed[one.computer_id],
                )
                for one in choice.chosen
            ]
        )


def _of_generation(assignments: Sequence[Assignment], done: str) -> tuple[str, ...]:
    """Return whom the retry that was carried out before took, as far as none followed it."""
    generation = int(done.partition(" ")[2])
    return tuple(one.computer for one in assignments if one.generation == generation)


def _hindrance(computer: Computer, rollout: Rollout, *, rolled_back: bool) -> Exclusion | None:
    if computer.state is not ComputerState.ACCEPTED:
        why = f": {computer.state_reason}" if computer.state_reason else ""
        return Exclusion(computer.name, f"is {computer.state}{why}", f"sopwith computer show {computer.name}")
    if rolled_back:
        command = f"sopwith release permit {rollout.release} --computer {computer.name} --reason TEXT"
        return Exclusion(computer.name, f"rolled {rollout.release} back", f"{command}, by a second person")
    if is_benched(computer):
        return Exclusion(computer.name, why_benched(computer.failures_in_a_row), bench_remedy(computer.name))
    return None
