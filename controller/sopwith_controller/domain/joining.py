"""Computers that come after the start: which of them a rollout with a dynamic audience takes in, and where.

Decides who joins and at which place; what they are offered then is the planner's, like for everybody else. Rules
(contract, section 5):

- The plan fixes rule and sizes, so that late joiners change no digest: audience, scope and exclusions are those of the
  plan. A joiner stands after all members of the plan, in the last wave; where that wave has been judged, in the tail.
- Thresholds in percent are shares of the members that there are, so that n grows with each joiner; counts stay.
- The window of a joiner is that of its maintenance group, worked out by the SOP revision of the plan; one that two
  groups claim does not join.
- A member that does not match any more stays: people approved a plan that names it.
- A rollout takes in until its deadline, also while it is paused or suspended; what joins then waits like the others.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sopwith_controller.domain.entities import Computer, ComputerState
from sopwith_controller.domain.maintenance import MaintenanceGroups
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.readiness import EXCUSED
from sopwith_controller.domain.rollout_entities import Assignment, Rollout, RolloutState
from sopwith_formats.manifest import split_release
from sopwith_formats.selector import parse_selector
from sopwith_formats.sop_policy import SopPolicy

_CLAIMED_TWICE = 2
_TAKES_IN = frozenset({RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.SUSPENDED})


def takes_in(rollout: Rollout, plan: Plan, now: datetime) -> bool:
    """Tell whether a rollout takes in computers now."""
    in_time = rollout.deadline_time is not None and now < rollout.deadline_time
    return plan.dynamic and rollout.state in _TAKES_IN and in_time


def belongs(computer: Computer, audience: str, scope: str) -> bool:
    """Tell whether a computer is in service, selected by the audience and inside the SOP's scope."""
    return (
        computer.state is ComputerState.ACCEPTED
        and parse_selector(audience).matches(computer.labels, computer.facts)
        and parse_selector(scope).matches(computer.labels, computer.facts)
    )


def joiners(
    plan: Plan,
    policy: SopPolicy,
    computers: Sequence[Computer],
    *,
    known: Collection[str],
    rolled_back: Collection[str],
) -> list[Computer]:
    """Return who joins, by name. `known` are ids that have their share already, here or in a newer rollout."""
    groups = MaintenanceGroups(policy)
    found = [
        computer
        for computer in computers
        if computer.id not in known
        and computer.id not in rolled_back
        and computer.readiness.verdict != EXCUSED
        and belongs(computer, plan.audience, policy.scope)
        and len(groups.of(computer.labels, computer.facts)) < _CLAIMED_TWICE
    ]
    return sorted(found, key=_name)


def _name(computer: Computer) -> str:
    return computer.name


def groups_of_joiners(plan: Plan, policy: SopPolicy, computers: Iterable[Computer]) -> dict[str, str]:
    """Return the maintenance groups of those who are no members of the plan, by computer id; who is in none is not."""
    if not plan.groups:
        return {}
    groups, members = MaintenanceGroups(policy), {member.id for member in plan.members}
    claims = {c.id: groups.of(c.labels, c.facts) for c in computers if c.id not in members}
    return {computer_id: claim[0].name for computer_id, claim in claims.items() if claim}


def join_wave(rollout: Rollout, plan: Plan) -> int:
    """Return the wave that takes joiners in: the last one, the tail once that one has ended."""
    last = plan.tail - 1
    return last if rollout.waves[last].ended_time is None else plan.tail


def join(rollout: Rollout, plan: Plan, computer: Computer, *, assignment_id: str, position: int) -> Assignment:
    """Return a joiner's assignment; `position` lies after everybody who has one."""
    release, _ = split_release(plan.release)
    return Assignment(
        id=assignment_id,
        rollout_id=rollout.id,
        computer_id=computer.id,
        computer=computer.name,
        position=position,
        wave=join_wave(rollout, plan),
        version_before=computer.installed.get(release, ""),
    )
