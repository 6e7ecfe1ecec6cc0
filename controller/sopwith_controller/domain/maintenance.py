"""Maintenance groups: computers of one SOP with habits of their own, such as servers and laptops.

Decides which group a computer is in and which window holds for each group of a plan; that two groups claim one computer
refuses the plan. Rules:

- A group's window is its own; a group without one may install at any time ("on connect").
- The window of the rollout file beats every group's, where the SOP lets a rollout choose; an emergency has none.
- A computer in no group has the window of the rollout, else of the SOP.
- Groups are worked out when the plan is made and stand in it: what people approve says when each computer is updated.
  The plan of a dynamic audience holds every group, because anybody may join.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sopwith_controller.domain.audience import selector_of
from sopwith_controller.domain.entities import Computer
from sopwith_controller.domain.errors import Refusal
from sopwith_controller.domain.plan import PlanGroup, PlanMember
from sopwith_controller.domain.plan_inputs import PlanInputs
from sopwith_controller.domain.windows import check_window
from sopwith_formats.selector import Selector
from sopwith_formats.sop_policy import MaintenanceGroup, SopPolicy, Window

_NAMES_MAX = 5


class MaintenanceGroups:
    """The groups of one SOP revision, ready to be asked."""

    def __init__(self, policy: SopPolicy) -> None:
        where = f"the selector of {policy.sop_id}'s maintenance group"
        self._groups: tuple[tuple[MaintenanceGroup, Selector], ...] = tuple(
            (group, selector_of(group.selector, f"{where} {group.name}")) for group in policy.maintenance_groups
        )

    def of(self, labels: Mapping[str, str], facts: Mapping[str, Any]) -> tuple[MaintenanceGroup, ...]:
        """Return every group that claims a computer with these labels and facts; more than one is a fault."""
        return tuple(group for group, selector in self._groups if selector.matches(labels, facts))


def members_of(
    inputs: PlanInputs, computers: Sequence[Computer]
) -> tuple[tuple[PlanMember, ...], tuple[PlanGroup, ...], list[Refusal]]:
    """Return the members with their groups, in the order given, the groups that are used, and what refuses the plan."""
    groups = MaintenanceGroups(inputs.policy)
    members: list[PlanMember] = []
    used: dict[str, PlanGroup] = {}
    claimed: list[str] = []
    for computer in computers:
        found = groups.of(computer.labels, computer.facts)
        if len(found) > 1:
            claimed.append(f"{computer.name} ({' and '.join(group.name for group in found)})")
        for group in found[:1]:
            used.setdefault(group.name, PlanGroup(group.name, _window(inputs, group)))
        members.append(PlanMember(computer.id, computer.name, found[0].name if found else ""))
    if inputs.spec.dynamic:
        used = {group.name: PlanGroup(group.name, _window(inputs, group)) for group in inputs.policy.maintenance_groups}
    in_order = tuple(used[group.name] for group in inputs.policy.maintenance_groups if group.name in used)
    return tuple(members), in_order, _refusals(inputs, claimed)


def window_of_rollout(inputs: PlanInputs) -> Window | None:
    """Return the window of computers in no group; None: always open."""
    window = None if inputs.spec.emergency else inputs.spec.window or inputs.policy.window
    return check_window(window) if window else None


def _window(inputs: PlanInputs, group: MaintenanceGroup) -> Window | None:
    own = inputs.spec.window if not inputs.policy.window_fixed else None
    window = None if inputs.spec.emergency else own or group.window
    return check_window(window) if window else None


def _refusals(inputs: PlanInputs, claimed: Sequence[str]) -> list[Refusal]:
    if not claimed or inputs.spec.emergency:
        return []
    more = f" and {len(claimed) - _NAMES_MAX} more" if len(claimed) > _NAMES_MAX else ""
    return [
        Refusal(
            "window",
            "V.C",
            f"two maintenance groups of {inputs.policy.sop_id} claim {', '.join(claimed[:_NAMES_MAX])}{more}, "
            "so that nobody can say which window holds",
            remedy="change the labels of these computers, or revise the groups' selectors so that one matches",
        )
    ]
