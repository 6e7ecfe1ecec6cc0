"""What the gates of a wave said when it opened and when it passed, as the update log keeps it.

Decides nothing new: `wave_progress` opened or passed the wave, and these are the gates that it asked, with what they
looked at. A gate that suspended the rollout stands in the entry of the suspension.
"""

from collections.abc import Sequence
from datetime import datetime

from sopwith_controller.domain.gate_decisions import GateDecision
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.waves import Tally
from sopwith_formats.units import format_time
from sopwith_formats.vocabulary import GateResult

_CLAUSE = "V.C"


def opened(plan: Plan, name: str, errors: int, overridden: Sequence[GateDecision]) -> tuple[GateDecision, ...]:
    """Return the decisions that let a wave open; `overridden` are those that a deviation opened."""
    thresholds = plan.thresholds
    deviated = {one.gate for one in overridden}
    window = plan.window.rrule if plan.window else "always"
    limits = {"percent": thresholds.error_percent, "count": thresholds.error_count, "lost": thresholds.lost}
    asked = (
        ("window", {"wave": name, "window": window}),
        ("freeze", {"wave": name}),
        ("wave_caps", {"wave": name, "max_concurrency": plan.max_concurrency}),
        ("error_threshold", {"errors": errors, **limits}),
    )
    return (
        *(GateDecision(gate, _CLAUSE, GateResult.PASSED, inputs) for gate, inputs in asked if gate not in deviated),
        *overridden,
    )


def passed(plan: Plan, wave: int, tally: Tally, ended: datetime | None) -> tuple[GateDecision, ...]:
    """Return the decisions that let a wave pass; one that nobody belongs to any more has no result to judge."""
    name, soak = plan.wave_name(wave), plan.waves[wave].soak_seconds
    counted = {"succeeded": tally.succeeded, "n": tally.ended - tally.accepted, "limit": plan.thresholds.success}
    watched = {"wave": name, "soak_seconds": soak, "ended": format_time(ended) if ended is not None else ""}
    return (
        GateDecision("wave_success", _CLAUSE, GateResult.PASSED, {"wave": name, **counted}),
        GateDecision("canary_soak", _CLAUSE, GateResult.PASSED, watched),
    )
