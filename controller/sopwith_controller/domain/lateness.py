"""Whether a plan can end by its deadline, in words: the projection that refuses it, or a warning.

Decides which projection counts and what is said; the times come from `projection`. Rules: a plan is refused by what is
known alone, which are soaks, windows, start time, freezes and measured durations; where only the guessed duration makes
it late a warning says so.
"""

from datetime import datetime, timedelta

from sopwith_controller.domain.errors import Refusal
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.projection import HORIZON, Projection
from sopwith_formats.units import format_duration, format_time

_WAVES_SHOWN = 4


def refusal_of(plan: Plan, known: Projection) -> list[Refusal]:
    """Return the refusal of a plan that, by what is known, cannot end by its deadline."""
    if not known.late:
        return []
    soaks = sum(wave.soak_seconds for wave in plan.waves[:-1])
    reason = f"started now, it would {_end(known)}, and its deadline of {_duration(plan.deadline_seconds)} is over at"
    reason += f" {_time(known.deadline)}: {_waves(known)}"
    reason += f"; the waves soak for {_duration(soaks)} together" if soaks else ""
    reason += f"; an install takes {format_duration(known.longest)} by measurement" if known.longest else ""
    remedy = "shorten the soaks, widen the window, raise max_concurrency or lengthen the deadline in the rollout file"
    return [Refusal("sop_bounds", "V.B", reason, remedy=remedy)]


def warning_of(shown: Projection) -> list[str]:
    """Return the warning of a plan that is late only if a guess is right."""
    if not shown.late or shown.measured:
        return []
    guess = format_duration(shown.longest)
    return [
        f"it may {_end(shown)}, after its deadline at {_time(shown.deadline)}, if an install takes {guess} (a guess)"
    ]


def _end(projection: Projection) -> str:
    if projection.finish is None:
        return f"not end within {HORIZON.days} days after its deadline"
    return f"end about {_time(projection.finish)}"


def _waves(projection: Projection) -> str:
    """Return the waves in time; where there are many, the first ones and the last."""
    waves = [
        f"wave {wave.name} opens {_time(wave.opens)} and ends {_time(wave.ends)}"
        if wave.opens and wave.ends
        else f"wave {wave.name} finds no time to end in"
        for wave in projection.waves
    ]
    if len(waves) > _WAVES_SHOWN:
        waves = [*waves[: _WAVES_SHOWN - 1], "...", waves[-1]]
    return ", ".join(waves)


def _time(time: datetime) -> str:
    return format_time(time.replace(microsecond=0))


def _duration(seconds: int) -> str:
    return format_duration(timedelta(seconds=seconds))
