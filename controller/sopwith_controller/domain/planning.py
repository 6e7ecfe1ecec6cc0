"""Making a plan: who is in the audience, in which order and wave, within which bounds; a dry run changes nothing.

Decides the plan and which gates refuse it. Who is in stands in `audience`, whose window is whose in `maintenance`,
what has to be there in `materials`; approving is left to `approvals`, acting on it to `planner`. Rules (contract,
section 5):

- A percentage is a share of the whole audience, rounded up, taken from those not yet placed; 100 % is the rest; a wave
  that gets nobody is dropped.
- A plan that by what is known cannot end by its deadline is refused with its projection (`lateness`).
- A value outside the SOP's bounds is refused (`sop_bounds`).
- The change class is the strictest of SOP, release and profile; `emergency: true` is the one door for urgency and
  skips window and prior approval.
- A release of the agent itself begins with one computer, and one error stops it, whatever was asked (`agent_versions`).
"""

from collections.abc import Sequence
from decimal import ROUND_CEILING, Decimal

from sopwith_controller.domain.agent_versions import check_release, strict, with_canary
from sopwith_controller.domain.approvals import EMERGENCY, change_class_of, rule_of
from sopwith_controller.domain.audience import choose, in_order
from sopwith_controller.domain.entities import Computer
from sopwith_controller.domain.errors import Refusal
from sopwith_controller.domain.lateness import refusal_of, warning_of
from sopwith_controller.domain.maintenance import members_of, window_of_rollout
from sopwith_controller.domain.materials import materials_of, warnings_of
from sopwith_controller.domain.plan import Plan, PlanGroup, PlanMember, PlanThresholds, PlanWave
from sopwith_controller.domain.plan_bounds import check_bounds, check_fits_window, warnings_of_windows
from sopwith_controller.domain.plan_inputs import PlanInputs, Planning
from sopwith_controller.domain.projection import Projection, project
from sopwith_controller.domain.way_back import MATERIAL, check_way_back
from sopwith_formats.rollout_spec import ErrorThresholdSpec
from sopwith_formats.sop_policy import Amount, WaveRule
from sopwith_formats.units import parse_percent

_ALL = Decimal(100)


def make_plan(inputs: PlanInputs) -> Planning:
    """Return the plan of a rollout file; raise InvalidInputError for what cannot be read or carried out."""
    chosen, exclusions, refusals = choose(inputs)
    rules = _wave_rules(inputs, len(chosen))
    members, groups, claimed_twice = members_of(inputs, in_order(inputs, chosen))
    plan = _plan(inputs, members, groups, place(rules, len(members)))
    shown, refused = _in_time(inputs, plan, chosen)
    materials = materials_of(inputs, plan)
    refusals += [*claimed_twice, *check_bounds(inputs.spec, inputs.policy, _asked_rules(inputs))]
    refusals += [*check_fits_window(plan, inputs.estimates), *refused, *check_way_back(inputs)]
    refusals += check_release(inputs.manifest, inputs.controller_version)
    refusals += [
        Refusal("sop_step_order", "IV", f"{item.name} is missing: {item.message}")
        for item in materials
        if not item.present and item.name != MATERIAL
    ]
    return Planning(
        plan=plan,
        projection=shown,
        exclusions=tuple(exclusions),
        refusals=tuple(refusals),
        warnings=(
            *warnings_of(inputs, plan),
            *warnings_of_windows(plan, inputs.estimates, chosen),
            *warning_of(shown),
        ),
        materials=materials,
    )


def _in_time(inputs: PlanInputs, plan: Plan, chosen: Sequence[Computer]) -> tuple[Projection, list[Refusal]]:
    """Return the projection to show, and the refusal of a plan that is late by what is known alone."""
    computers = {computer.id: computer for computer in chosen}

    def projected(*, known_only: bool) -> Projection:
        return project(
            plan,
            computers,
            inputs.manifest,
            inputs.estimates,
            freezes=inputs.freezes,
            now=inputs.now,
            known_only=known_only,
        )

    shown = projected(known_only=False)
    known = projected(known_only=True) if shown.late and not shown.measured else shown
    return shown, refusal_of(plan, known)


def place(rules: Sequence[WaveRule], audience: int) -> tuple[PlanWave, ...]:
    """Return the waves with their sizes; whoever no rule takes joins the last wave."""
    waves: list[PlanWave] = []
    left = audience
    for rule in rules:
        size = min(left, resolve(rule.size, audience))
        if size:
            waves.append(PlanWave(rule.name, size, rule.soak_seconds))
            left -= size
    if left:
        last = waves.pop() if waves else PlanWave(rules[-1].name, 0, rules[-1].soak_seconds)
        waves.append(PlanWave(last.name, last.size + left, last.soak_seconds))
    return tuple(waves)


def resolve(amount: Amount, audience: int) -> int:
    """Return the count of an amount: a share of the audience is rounded up."""
    if isinstance(amount, int):
        return amount
    return int((parse_percent(amount) * audience / _ALL).to_integral_value(ROUND_CEILING))


def member_waves(plan: Plan) -> tuple[int, ...]:
    """Return the planned wave of each member, by position; assignments are made with it."""
    return tuple(index for index, wave in enumerate(plan.waves) for _ in range(wave.size))


def _wave_rules(inputs: PlanInputs, audience: int) -> tuple[WaveRule, ...]:
    rules = _asked_rules(inputs)
    if not inputs.manifest.updates_agent:
        return rules
    return with_canary(rules, resolve(rules[0].size, audience), inputs.policy.waves.soak_min_seconds)


def _asked_rules(inputs: PlanInputs) -> tuple[WaveRule, ...]:
    if inputs.spec.waves:
        return inputs.spec.waves
    if inputs.spec.emergency:
        return rule_of(inputs.policy, EMERGENCY).waves or inputs.policy.waves.default
    return inputs.policy.waves.default


def _plan(
    inputs: PlanInputs, members: tuple[PlanMember, ...], groups: tuple[PlanGroup, ...], waves: tuple[PlanWave, ...]
) -> Plan:
    spec, policy = inputs.spec, inputs.policy
    errors = spec.error_threshold or ErrorThresholdSpec()
    defaults = policy.safety.error_threshold
    if spec.max_concurrency is None:
        concurrency = max(
            policy.limits.max_concurrency.at_least, resolve(policy.limits.max_concurrency.default, len(members))
        )
    else:
        concurrency = max(1, resolve(spec.max_concurrency, len(members)))
    thresholds = PlanThresholds(
        success=spec.success_threshold or _percent(policy.safety.success_threshold.default),
        error_percent=errors.percent or _percent(defaults.percent.default),
        error_count=int(defaults.count.default) if errors.count is None else errors.count,
        lost=int(defaults.lost.default) if errors.lost is None else errors.lost,
    )
    return Plan(
        rollout=spec.rollout,
        release=inputs.release.release,
        manifest_sha256=inputs.release.manifest_sha256,
        sop_id=policy.sop_id,
        sop_revision=inputs.sop_revision,
        policy_sha256=inputs.policy_sha256,
        change_class=change_class_of(inputs.spec, inputs.manifest, inputs.policy, inputs.profile),
        audience=spec.audience,
        members=members,
        waves=waves,
        thresholds=strict(thresholds) if inputs.manifest.updates_agent else thresholds,
        max_concurrency=concurrency,
        ready_quorum=max(0, resolve(_or(spec.ready_quorum, policy.limits.ready_quorum.default), len(members))),
        attempts_max=int(_or(spec.attempts_max, policy.limits.attempts_max.default)),
        deadline_seconds=int(_or(spec.deadline_seconds, policy.limits.rollout_deadline_seconds.default)),
        window=window_of_rollout(inputs),
        groups=groups,
        disruption_budget=spec.disruption_budget or policy.limits.disruption_budget,
        start_time=spec.start_time or "",
        emergency=spec.emergency,
        ticket=spec.ticket,
        staging_seconds=int(_or(spec.staging_seconds, policy.limits.staging_seconds.default)),
        bandwidth_max=_bandwidth(inputs),
        dynamic=spec.dynamic,
        baseline=spec.baseline and not spec.reboot_only,
        repeat=spec.repeat or "",
    )


def _bandwidth(inputs: PlanInputs) -> int | None:
    bounds = inputs.policy.limits.bandwidth_max
    if inputs.spec.bandwidth_max is not None or bounds is None:
        return inputs.spec.bandwidth_max
    return int(bounds.default)


def _or(value: Amount | None, default: Amount) -> Amount:
    return default if value is None else value


def _percent(value: Amount) -> str:
    return value if isinstance(value, str) else f"{value}%"
