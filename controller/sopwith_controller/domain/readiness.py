"""Whether a computer may be updated now: the verdict over what the agent measured, its age, and who was excused.

The agent judges its own measurements against the SOP's thresholds; here its report is folded into one verdict, a
person's excuse is put over it, and old measurements stop counting. *Ready* means: every blocking check passed at most
15 minutes before the start (SOP, clause V.A).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sopwith_controller.domain.entities import Readiness, Reason

READY, NOT_READY, EXCUSED = "READY", "NOT_READY", "EXCUSED"
FRESH_FOR = timedelta(minutes=15)
CLOCKS_APART = timedelta(minutes=5)
"""How far a time service may steer the clock back without a word (`clock_guard`)."""
ANSWER_WITHIN = timedelta(seconds=30)
"""How long a computer that was asked to measure may take; then it counts as not ready."""


def fold(checks: Sequence[dict[str, str]], *, measured_time: datetime, excused: str = "") -> Readiness:
    """Return the readiness of an agent's checks; `excused` says by whom and until when, empty: not excused.

    Each check is {"name", "result", "code", "measured", "required", "message", "remedy"}; BLOCKED stands in the way.
    """
    reasons = tuple(
        Reason(check.get("code", ""), check.get("message", ""), check.get("remedy", ""))
        for check in checks
        if check.get("result") == "BLOCKED"
    )
    verdict = EXCUSED if excused else NOT_READY if reasons else READY
    if excused:
        reasons = (Reason("", f"excused: {excused}"), *reasons)
    return Readiness(verdict=verdict, reasons=reasons, checks=tuple(checks), measured_time=measured_time)


def is_fresh(readiness: Readiness, now: datetime) -> bool:
    """Tell whether it was measured at most 15 minutes ago; a time to come is one of a clock that was set back since."""
    return readiness.measured_time is not None and -CLOCKS_APART <= now - readiness.measured_time <= FRESH_FOR


def says_more(measured: Readiness, before: Readiness, now: datetime) -> bool:
    """Tell whether a measurement of now says anything that the one before it does not say still."""
    return not is_fresh(before, now) or (measured.verdict, measured.reasons) != (before.verdict, before.reasons)


def is_ready(readiness: Readiness, now: datetime) -> bool:
    """Tell whether a start may rely on it."""
    return readiness.verdict == READY and is_fresh(readiness, now)


def needs_measuring(readiness: Readiness, now: datetime) -> bool:
    """Tell whether a new measurement is needed before anything can be said."""
    return readiness.verdict != EXCUSED and not is_fresh(readiness, now)


def stale_time(readiness: Readiness) -> datetime | None:
    """Return when a verdict stops counting; None where nothing was measured."""
    return None if readiness.measured_time is None else readiness.measured_time + FRESH_FOR
