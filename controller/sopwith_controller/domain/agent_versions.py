"""Which agents this controller serves, and how a release of the agent itself may reach a fleet.

Decides what no rollout file, SOP or emergency changes, because a broken agent cannot be mended from here: the first
wave of such a rollout is one computer, and a single computer on which the new agent did not stay stops it for a person.
Taking a broken version back is the agent's own work. Rules: a controller serves agents of its own minor version and of
the one before; of the major version before it every one, where it is the first of its own; what says no version number
is a development build and is served.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from sopwith_controller.domain.errors import Refusal
from sopwith_controller.domain.plan import PlanThresholds
from sopwith_formats.manifest import Manifest
from sopwith_formats.sop_policy import WaveRule

_NUMBERS = re.compile(r"(\d{1,6})\.(\d{1,6})(?!\d)")
CANARY = "canary"


def served(own: str, agent: str) -> bool:
    """Tell whether a controller of a version serves an agent of another.

    >>> served("1.4.0", "1.3.9"), served("1.4.0", "1.5.0"), served("1.4.0", "1.2.0")
    (True, False, False)
    """
    controller, other = _NUMBERS.match(own), _NUMBERS.match(agent)
    if controller is None or other is None:
        return True
    major, minor = int(controller[1]), int(controller[2])
    if int(other[1]) != major:
        return minor == 0 and int(other[1]) == major - 1
    return 0 <= minor - int(other[2]) <= 1


def refusal_of(own: str, agent: str) -> str:
    """Return why an agent is not served, one sentence."""
    return f"agent {agent} is not served by controller {own}, which serves its own minor version and the one before"


def check_release(manifest: Manifest, own: str) -> list[Refusal]:
    """Return the refusal of an agent release that could not connect to this controller any more."""
    if not manifest.updates_agent or served(own, manifest.version):
        return []
    remedy = "update the controller first; agents follow"
    return [Refusal("sop_step_order", "IV", refusal_of(own, manifest.version), remedy=remedy)]


def with_canary(rules: Sequence[WaveRule], first_size: int, soak_min_seconds: int) -> tuple[WaveRule, ...]:
    """Return the waves of an agent release; `first_size` is what the first one would take of the audience."""
    first = rules[0]
    soak = max(first.soak_seconds, soak_min_seconds)
    if first_size <= 1:
        return (replace(first, soak_seconds=soak), *rules[1:])
    name = CANARY if all(rule.name != CANARY for rule in rules) else f"{CANARY} of the agent"
    return (WaveRule(name, 1, soak), *rules)


def strict(thresholds: PlanThresholds) -> PlanThresholds:
    """Return the thresholds of an agent release: one error or one lost computer stops it."""
    return replace(thresholds, error_count=1, lost=1)
