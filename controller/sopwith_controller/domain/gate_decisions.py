"""What the controller's gates say to one act, and what becomes of it: passed, deviated, warned, refused.

Decides by the gates' own answers, the SOP's word on each gate (`enforce: block` or `warn`), and the deviations in
force; the answers are made by `gates`, `sop_gates`, `plan_bounds`, `audience` and `approvals`. Every decision carries
what it was made from, so that the update log can keep it with the act: one record per act, never one per computer.
Rules:

- A deviation opens its gate whatever the SOP enforces; its id stands in the decision.
- `warn` lets an act pass and is shown. What no deviation can open no `warn` opens either: integrity gates, roles,
  approvals, the order of steps, a plan that cannot work.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sopwith_controller.domain.deviation import Deviation
from sopwith_controller.domain.errors import Refusal, RefusedError
from sopwith_formats.sop_policy import SopPolicy
from sopwith_formats.vocabulary import GateResult


@dataclass(frozen=True)
class GateCheck:
    """One gate's answer, with what it looked at; no refusals: it is open."""

    gate: str
    clause: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True)
class GateDecision:
    """What was decided, as the update log keeps it."""

    gate: str
    clause: str
    result: GateResult
    inputs: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    deviation: str = ""
    """Id of the deviation that was used; empty: none."""

    def record(self) -> dict[str, Any]:
        """Return the form that a log entry's details carry; what says nothing is left out."""
        document = {
            "gate": self.gate,
            "clause": self.clause,
            "result": self.result.value,
            "inputs": dict(self.inputs),
            "reason": self.reason,
            "deviation": self.deviation,
        }
        return {key: value for key, value in document.items() if value}


@dataclass(frozen=True)
class Judgement:
    """All decisions over one act."""

    decisions: tuple[GateDecision, ...]
    blocking: tuple[Refusal, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return what people should know of gates that would have refused."""
        passed = (GateResult.DEVIATED, GateResult.WARNED)
        return tuple(_warning(decision) for decision in self.decisions if decision.result in passed)

    def records(self) -> list[dict[str, Any]]:
        """Return what a log entry keeps."""
        return [decision.record() for decision in self.decisions]


def asked(gate: str, clause: str, inputs: Mapping[str, Any], question: Callable[[], object]) -> GateCheck:
    """Return the answer of a gate that raises its refusal."""
    try:
        question()
    except RefusedError as error:
        return GateCheck(gate, clause, inputs, (error.refusal,))
    return GateCheck(gate, clause, inputs)


def gathered(refusals: Iterable[Refusal], asked_for: Mapping[str, str]) -> list[GateCheck]:
    """Return one answer per gate that refuses, what no deviation can open apart, and per open one of `asked_for`."""
    found: dict[tuple[str, bool], list[Refusal]] = {}
    for refusal in refusals:
        found.setdefault((refusal.gate, bool(refusal.deviation)), []).append(refusal)
    closed = [GateCheck(gate, those[0].clause, refusals=tuple(those)) for (gate, _), those in found.items()]
    refused = {check.gate for check in closed}
    return [GateCheck(gate, clause) for gate, clause in asked_for.items() if gate not in refused] + closed


def judge(
    checks: Sequence[GateCheck],
    policy: SopPolicy,
    deviations: Mapping[str, Deviation],
    missed: Mapping[str, Deviation] | None = None,
) -> Judgement:
    """Return what becomes of the answers; `missed` are deviations of an earlier plan, named where one is refused."""
    decisions: list[GateDecision] = []
    blocking: list[Refusal] = []
    for check in checks:
        decision = _decide(check, policy, deviations)
        decisions.append(decision)
        if decision.result is GateResult.REFUSED:
            stale = (missed or {}).get(check.gate)
            blocking += [_with_stale(refusal, stale) for refusal in check.refusals]
    return Judgement(tuple(decisions), tuple(blocking))


def _decide(check: GateCheck, policy: SopPolicy, deviations: Mapping[str, Deviation]) -> GateDecision:
    if not check.refusals:
        return GateDecision(check.gate, check.clause, GateResult.PASSED, check.inputs)
    reason = "; ".join(refusal.reason for refusal in check.refusals)
    if not all(refusal.deviation for refusal in check.refusals):
        return GateDecision(check.gate, check.clause, GateResult.REFUSED, check.inputs, reason)
    used = deviations.get(check.gate)
    if used is not None:
        return GateDecision(check.gate, check.clause, GateResult.DEVIATED, check.inputs, reason, used.id)
    result = GateResult.WARNED if policy.enforce(check.gate) == "warn" else GateResult.REFUSED
    return GateDecision(check.gate, check.clause, result, check.inputs, reason)


def _with_stale(refusal: Refusal, stale: Deviation | None) -> Refusal:
    if stale is None:
        return refusal
    return replace(refusal, reason=f"{refusal.reason} (deviation {stale.id} was given to another plan)")


def _warning(decision: GateDecision) -> str:
    how = f"deviation {decision.deviation}" if decision.deviation else "the SOP only warns"
    return f"{decision.gate} would refuse, {how}: {decision.reason}"
