"""Whether a rollout file stays within the bounds that the SOP sets (gate `sop_bounds`); every fault at once.

Decides by the SOP's policy alone. A deviation may cover a value outside; granting one is left to people.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from sopwith_controller.domain.deviation import GRANTED_BY
from sopwith_controller.domain.durations import Estimates, platform_of
from sopwith_controller.domain.entities import Computer
from sopwith_controller.domain.errors import Refusal
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.windows import never_fits
from sopwith_formats.rollout_spec import ErrorThresholdSpec, RolloutSpec
from sopwith_formats.sop_policy import Amount, Range, SopPolicy, WaveRule, amount, same_kind
from sopwith_formats.units import format_duration, format_rate


def check_bounds(spec: RolloutSpec, policy: SopPolicy, waves: Sequence[WaveRule]) -> list[Refusal]:
    """Return one refusal per value of the rollout file that the SOP does not admit."""
    errors = spec.error_threshold or ErrorThresholdSpec()
    thresholds, limits = policy.safety.error_threshold, policy.limits
    asked: tuple[tuple[str, Amount | None, Range], ...] = (
        ("success_threshold", spec.success_threshold, policy.safety.success_threshold),
        ("error_threshold.percent", errors.percent, thresholds.percent),
        ("error_threshold.count", errors.count, thresholds.count),
        ("error_threshold.lost", errors.lost, thresholds.lost),
        ("max_concurrency", spec.max_concurrency, limits.max_concurrency.range),
        ("ready_quorum", spec.ready_quorum, limits.ready_quorum),
        ("attempts_max", spec.attempts_max, limits.attempts_max),
        ("deadline", spec.deadline_seconds, limits.rollout_deadline_seconds),
        ("staging", spec.staging_seconds, limits.staging_seconds),
    )
    if limits.bandwidth_max is not None:
        asked = (*asked, ("bandwidth_max", spec.bandwidth_max, limits.bandwidth_max))
    found = [
        _refusal(f"{key} {_say(key, value)} lies outside the bounds of {policy.sop_id} ({_bounds(key, bounds)})", key)
        for key, value, bounds in asked
        if value is not None and not bounds.admits(value)
    ]
    found += _wave_bounds(policy, waves if spec.waves else ())
    if policy.window_fixed and spec.window not in {None, policy.window} and not spec.emergency:
        found.append(_refusal(f"{policy.sop_id} fixes the window; a rollout may not bring its own", "window"))
    return found


def check_fits_window(plan: Plan, estimates: Estimates) -> list[Refusal]:
    """Return the refusal of a release that takes longer than the window lasts, by what was measured before."""
    estimate = estimates.overall
    windows = [plan.window, *(group.window for group in plan.groups)]
    reason = next(filter(None, (never_fits(window, estimate.takes) for window in windows if window)), "")
    if not reason:
        return []
    measured = f"measured on {estimate.measurements} computers" if estimate.measurements > 1 else "measured once"
    return [
        Refusal(
            "window",
            "V.C",
            f"{plan.release}: {reason} ({measured})",
            remedy="lengthen window in the rollout file",
            deviation=GRANTED_BY,
        )
    ]


def warnings_of_windows(plan: Plan, estimates: Estimates, chosen: Sequence[Computer]) -> list[str]:
    """Return one warning per platform whose computers take longer than their window lasts, while the others fit."""
    hindered: Counter[tuple[str, str]] = Counter()
    for computer in chosen:
        window = plan.window_of(plan.groups_of_members.get(computer.id, ""))
        platform = platform_of(computer.facts)
        own = estimates.by_platform.get(platform)
        if window is None or own is None or never_fits(window, estimates.overall.takes):
            continue
        if reason := never_fits(window, own.takes):
            hindered[platform, f"{reason} (measured on {own.measurements} computers)"] += 1
    return [
        f"{number} of {len(plan.members)} computers, of platform {platform}, will never start: {reason}"
        for (platform, reason), number in hindered.items()
    ]


def _wave_bounds(policy: SopPolicy, waves: Sequence[WaveRule]) -> list[Refusal]:
    found = [
        _refusal(
            f"wave {wave.name} soaks for {_seconds(wave.soak_seconds)}, and {policy.sop_id} wants at least "
            f"{_seconds(policy.waves.soak_min_seconds)}",
            "waves",
        )
        for wave in waves[:-1]
        if wave.soak_seconds < policy.waves.soak_min_seconds
    ]
    first_max = policy.waves.first_size_max
    if waves and first_max is not None:
        first = waves[0]
        if not same_kind(first.size, first_max) or amount(first.size) > amount(first_max):
            found.append(
                _refusal(f"the first wave is {first.size}, and {policy.sop_id} wants at most {first_max}", "waves")
            )
    return found


def _refusal(reason: str, key: str) -> Refusal:
    return Refusal("sop_bounds", "V", reason, remedy=f"change {key} in the rollout file", deviation=GRANTED_BY)


def _bounds(key: str, bounds: Range) -> str:
    low = "" if bounds.min is None else f"at least {_say(key, bounds.min)}"
    high = "" if bounds.max is None else f"at most {_say(key, bounds.max)}"
    return ", ".join(part for part in (low, high) if part)


def _say(key: str, value: Amount) -> str:
    if key == "bandwidth_max":
        return format_rate(int(value))
    return _seconds(int(value)) if key in {"deadline", "staging"} else str(value)


def _seconds(seconds: int) -> str:
    return format_duration(timedelta(seconds=seconds))
