"""How much a plan dares, in one word with its reasons, and which approvals it still waits for: for the dry run.

Decides words only; what may start is decided by gates, thresholds and approvals. Rules:

- high: an emergency, or one wave for everybody, so that a bad release reaches them all before anybody has looked.
- moderate: anything else that a careful person would want to know before: a first wave of more than a tenth, no health
  checks, nothing that the window protects.
- low: none of these.
"""

from dataclasses import dataclass

from sopwith_controller.domain.approvals import APPROVER_ROLES, approvers_needed, rule_of
from sopwith_controller.domain.plan import Plan
from sopwith_formats.sop_policy import SopPolicy

LOW, MODERATE, HIGH = "low", "moderate", "high"
_SHARE = 10
"""A first wave above one in so many is no canary any more."""


@dataclass(frozen=True)
class Risk:
    """What a plan dares."""

    level: str
    """low, moderate or high."""
    reasons: tuple[str, ...]
    """One sentence each; the last says how far a bad release gets before a gate."""


def assess(plan: Plan, *, has_health_checks: bool) -> Risk:
    """Return the risk of a plan."""
    high, moderate = [], []
    computers = len(plan.members)
    first = plan.waves[0].size if plan.waves else 0
    if plan.emergency:
        high.append("emergency: window and prior approval are skipped; a review is due within 24 h")
    if len(plan.waves) == 1 and computers > 1:
        high.append("there is one wave only: every computer is updated without a canary before it")
    elif first > 1 and first * _SHARE > computers:
        moderate.append(f"the first wave is {first} of {computers} computers")
    if not has_health_checks:
        moderate.append("the release has no health checks: only the installed version is read back")
    if plan.window is None and not plan.emergency:
        moderate.append("no window keeps it out of working hours")
    level = HIGH if high else MODERATE if moderate else LOW
    at_once = f", {plan.max_concurrency} at once" if plan.max_concurrency < first else ""
    reach = f"a bad release reaches at most {_computers(first)} before the first gate{at_once}"
    return Risk(level, (*high, *moderate, reach))


def approvals_missing(policy: SopPolicy, change_class: str, profile: str, given: int) -> tuple[str, ...]:
    """Return what a plan waits for: nothing, or one sentence."""
    missing = approvers_needed(policy, change_class, profile) - given
    if missing <= 0:
        return ()
    rule = rule_of(policy, change_class)
    who = " or ".join(rule.approver_roles or APPROVER_ROLES)
    other = ", who did not ask for it" if rule.not_requester else ""
    return (f"{missing} approval{'s' if missing > 1 else ''} by {who}{other} (a {change_class} change)",)


def _computers(number: int) -> str:
    return f"{number} computer{'' if number == 1 else 's'}"
