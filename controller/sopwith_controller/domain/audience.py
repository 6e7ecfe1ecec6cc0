"""Who a rollout is for: selected by the file, within the SOP's scope, in the order in which they are updated.

Decides who is in, who is left out and why, and the order; waves and bounds are `planning`'s. Rules:

- Retired and rejected computers are nobody's; one outside the SOP's scope refuses a plan that asked for it by name,
  one that another SOP governs as well refuses every plan.
- The order is fixed by a digest over rollout name, release and computer name: the same input gives the same plan, and
  another rollout begins with other computers. Computers that the SOP prefers as canary stand first, those that it
  spares last.
"""

import hashlib
from collections.abc import Sequence

from sopwith_controller.domain.bench import bench_remedy, is_benched, why_benched
from sopwith_controller.domain.deviation import GRANTED_BY
from sopwith_controller.domain.entities import Computer, ComputerState
from sopwith_controller.domain.errors import InvalidInputError, Refusal
from sopwith_controller.domain.governing import doubly_governed, some, who_governs
from sopwith_controller.domain.plan_inputs import Exclusion, PlanInputs
from sopwith_controller.domain.readiness import EXCUSED
from sopwith_formats.errors import FormatError
from sopwith_formats.selector import Selector, parse_selector


def choose(inputs: PlanInputs) -> tuple[list[Computer], list[Exclusion], list[Refusal]]:
    """Return who is in, who is left out and why, and what refuses the plan."""
    audience = selector_of(inputs.spec.audience, "audience")
    scope = selector_of(inputs.policy.scope, "the SOP's scope")
    chosen: list[Computer] = []
    exclusions: list[Exclusion] = []
    outside: list[Computer] = []
    for computer in inputs.computers:
        if computer.state in {ComputerState.RETIRED, ComputerState.REJECTED}:
            continue
        if not audience.matches(computer.labels, computer.facts):
            continue
        if not scope.matches(computer.labels, computer.facts):
            if not audience.requirements:
                continue
            # Planned and refused: with a deviation from sop_scope the plan stands as it is.
            outside.append(computer)
        reason = _left_out(inputs, computer)
        if reason:
            exclusions.append(reason)
        else:
            chosen.append(computer)
    return chosen, exclusions, _scope_refusals(inputs, chosen, outside)


def _left_out(inputs: PlanInputs, computer: Computer) -> Exclusion | None:
    name, release = computer.name, inputs.release.release
    if computer.state is ComputerState.PENDING:
        return Exclusion(name, "is not accepted yet", f"sopwith computer accept {name}")
    if computer.state is ComputerState.QUARANTINED:
        return Exclusion(name, f"is quarantined: {computer.state_reason or 'no reason was given'}")
    if is_benched(computer):
        return Exclusion(name, why_benched(computer.failures_in_a_row), bench_remedy(name))
    if computer.id in inputs.rolled_back:
        return Exclusion(name, f"rolled {release} back before", f"sopwith release permit {release} --computer {name}")
    if computer.readiness.verdict == EXCUSED:
        messages = [reason.message for reason in computer.readiness.reasons[:1]]
        return Exclusion(name, messages[0] if messages else "is excused")
    return None


def _scope_refusals(inputs: PlanInputs, chosen: list[Computer], outside: list[Computer]) -> list[Refusal]:
    if outside:
        names, sop_id = some([computer.name for computer in outside]), inputs.policy.sop_id
        governed = f"; {who_governs(outside, inputs.other_scopes)}" if inputs.other_scopes else ""
        return [
            Refusal(
                "sop_scope",
                "II",
                f"{names} lies outside the scope of {sop_id} ({inputs.policy.scope}){governed}",
                remedy="narrow the audience, or revise the SOP's scope",
                deviation=GRANTED_BY,
            )
        ]
    doubly = doubly_governed(inputs.policy.sop_id, chosen, inputs.other_scopes)
    if doubly:
        return doubly
    if not chosen:
        audience = inputs.spec.audience or "every accepted computer"
        return [
            Refusal(
                "sop_scope",
                "II",
                f"the audience ({audience}) holds no computer that may be updated",
                remedy="sopwith computer list shows labels and states",
            )
        ]
    return []


def in_order(inputs: PlanInputs, chosen: Sequence[Computer]) -> list[Computer]:
    """Return the computers in the order in which they are updated."""
    prefer = selector_of(inputs.policy.waves.canary_prefer, "the SOP's waves.canary_prefer")
    avoid = selector_of(inputs.policy.waves.canary_avoid, "the SOP's waves.canary_avoid")
    seed = f"{inputs.spec.rollout}\n{inputs.release.release}\n"

    def key(computer: Computer) -> tuple[int, str, str]:
        rank = 1
        if prefer.requirements and prefer.matches(computer.labels, computer.facts):
            rank = 0
        elif avoid.requirements and avoid.matches(computer.labels, computer.facts):
            rank = 2
        return rank, hashlib.sha256(f"{seed}{computer.name}".encode()).hexdigest(), computer.id

    return sorted(chosen, key=key)


def selector_of(text: str, where: str) -> Selector:
    """Return a selector; raise InvalidInputError that says where it stands."""
    try:
        return parse_selector(text)
    except FormatError as error:
        raise InvalidInputError(f"{where}: {error.message}", remedy=error.remedy) from error
