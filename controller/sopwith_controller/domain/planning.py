"""Making a plan: who is in the audience, in which order and wave, within which bounds; a dry run changes nothing.

Decides the plan, who is left out and why, which gates refuse it, what somebody should know first, and which materials
(SOP clause IV) are there. Approving is left to `approvals`, acting on it to `planner`. Rules (contract, section 5):

- A percentage is a share of the whole audience, rounded up, taken from those not yet placed; 100 % is the rest; a wave
  that gets nobody is dropped.
- The order is fixed by a digest over rollout name, release and computer name: the same input gives the same plan, and
  another rollout begins with other computers. Computers that the SOP prefers as canary stand first, those that it
  spares last.
- A value outside the SOP's bounds is refused (`sop_bounds`).
- The change class is the strictest of SOP, release and profile; `emergency: true` is the one door for urgency and
  skips window and prior approval.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal

from sopwith_controller.domain.approvals import change_class_of
from sopwith_controller.domain.durations import Estimates
from sopwith_controller.domain.entities import Computer, ComputerState, Release, ReleaseState
from sopwith_controller.domain.errors import InvalidInputError, Refusal
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.plan import Plan, PlanMember, PlanThresholds, PlanWave
from sopwith_controller.domain.plan_bounds import check_bounds
from sopwith_controller.domain.readiness import EXCUSED, NOT_READY
from sopwith_controller.domain.windows import check_window
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import Manifest
from sopwith_formats.rollout_spec import ErrorThresholdSpec, RolloutSpec
from sopwith_formats.selector import Selector, parse_selector
from sopwith_formats.sop_policy import Amount, SopPolicy, WaveRule
from sopwith_formats.units import format_duration, format_size, parse_percent

_ALL = Decimal(100)


@dataclass(frozen=True)
class Exclusion:
    """One computer that the audience selects and the plan leaves out."""

    computer: str
    """Name."""
    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class Material:
    """One thing of SOP clause IV that must be there before a start."""

    name: str
    present: bool
    message: str


@dataclass(frozen=True)
class PlanInputs:
    """What a plan is made from."""

    spec: RolloutSpec
    policy: SopPolicy
    sop_revision: int
    policy_sha256: str
    release: Release
    manifest: Manifest
    profile: str
    computers: Sequence[Computer]
    """The whole fleet."""
    rolled_back: frozenset[str] = frozenset()
    """Ids of computers that rolled this release back and have no permission since."""
    source_designated: bool = True
    estimates: Estimates = field(default_factory=Estimates)
    """How long the release's updates take, measured where they ran before."""
    freezes: Sequence[Freeze] = ()
    """Every one on record, earliest first: also those that are over, and those that are known ahead."""


@dataclass(frozen=True)
class Planning:
    """A plan, and everything that a person should know of it."""

    plan: Plan
    exclusions: tuple[Exclusion, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    """Gates that refuse it; `rollout submit` wants none."""
    warnings: tuple[str, ...] = ()
    materials: tuple[Material, ...] = ()
    minimum_seconds: int = 0
    """How long its soaks alone take."""


def make_plan(inputs: PlanInputs) -> Planning:
    """Return the plan of a rollout file; raise InvalidInputError for what cannot be read or carried out."""
    _refuse_later_keys(inputs.spec)
    audience = _selector(inputs.spec.audience, "audience")
    scope = _selector(inputs.policy.scope, "the SOP's scope")
    chosen, exclusions, refusals = _choose(inputs, audience, scope)
    rules = _wave_rules(inputs)
    members = _in_order(inputs, chosen)
    plan = _plan(inputs, members, place(rules, len(members)))
    minimum = sum(wave.soak_seconds for wave in plan.waves[:-1])
    refusals += check_bounds(inputs.spec, inputs.policy, rules)
    refusals += _projection(plan, minimum)
    materials = _materials(inputs, plan)
    refusals += [
        Refusal("sop_step_order", "IV", f"{item.name} is missing: {item.message}")
        for item in materials
        if not item.present
    ]
    return Planning(
        plan=plan,
        exclusions=tuple(exclusions),
        refusals=tuple(refusals),
        warnings=tuple(_warnings(inputs, plan)),
        materials=materials,
        minimum_seconds=minimum,
    )


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


def _refuse_later_keys(spec: RolloutSpec) -> None:
    for key, asked in (("dynamic", spec.dynamic), ("repeat", spec.repeat), ("reboot_only", spec.reboot_only)):
        if asked:
            raise InvalidInputError(
                f"{key} is not carried out by this version of Sopwith", remedy=f"remove {key} from the rollout file"
            )


def _selector(text: str, where: str) -> Selector:
    try:
        return parse_selector(text)
    except FormatError as error:
        raise InvalidInputError(f"{where}: {error.message}", remedy=error.remedy) from error


def _choose(
    inputs: PlanInputs, audience: Selector, scope: Selector
) -> tuple[list[Computer], list[Exclusion], list[Refusal]]:
    chosen: list[Computer] = []
    exclusions: list[Exclusion] = []
    outside: list[str] = []
    for computer in inputs.computers:
        if computer.state in {ComputerState.RETIRED, ComputerState.REJECTED}:
            continue
        if not audience.matches(computer.labels, computer.facts):
            continue
        if not scope.matches(computer.labels, computer.facts):
            if audience.requirements:
                outside.append(computer.name)
            continue
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
    if computer.id in inputs.rolled_back:
        return Exclusion(name, f"rolled {release} back before", f"sopwith release permit {release} --computer {name}")
    if computer.readiness.verdict == EXCUSED:
        messages = [reason.message for reason in computer.readiness.reasons[:1]]
        return Exclusion(name, messages[0] if messages else "is excused")
    return None


def _scope_refusals(inputs: PlanInputs, chosen: list[Computer], outside: list[str]) -> list[Refusal]:
    if outside:
        names = ", ".join(outside[:5]) + (f" and {len(outside) - 5} more" if len(outside) > 5 else "")  # noqa: PLR2004  names that fit a line
        return [
            Refusal(
                "sop_scope",
                "II",
                f"{names} lies outside the scope of {inputs.policy.sop_id} ({inputs.policy.scope})",
                remedy="narrow the audience, or revise the SOP's scope",
                deviation="owner or it_manager",
            )
        ]
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


def _wave_rules(inputs: PlanInputs) -> tuple[WaveRule, ...]:
    if inputs.spec.waves:
        return inputs.spec.waves
    if inputs.spec.emergency:
        emergency = inputs.policy.change_classes.get("emergency")
        if emergency and emergency.waves:
            return emergency.waves
    return inputs.policy.waves.default


def _in_order(inputs: PlanInputs, chosen: list[Computer]) -> tuple[PlanMember, ...]:
    prefer = _selector(inputs.policy.waves.canary_prefer, "the SOP's waves.canary_prefer")
    avoid = _selector(inputs.policy.waves.canary_avoid, "the SOP's waves.canary_avoid")
    seed = f"{inputs.spec.rollout}\n{inputs.release.release}\n"

    def key(computer: Computer) -> tuple[int, str, str]:
        rank = 1
        if prefer.requirements and prefer.matches(computer.labels, computer.facts):
            rank = 0
        elif avoid.requirements and avoid.matches(computer.labels, computer.facts):
            rank = 2
        return rank, hashlib.sha256(f"{seed}{computer.name}".encode()).hexdigest(), computer.id

    return tuple(PlanMember(computer.id, computer.name) for computer in sorted(chosen, key=key))


def _plan(inputs: PlanInputs, members: tuple[PlanMember, ...], waves: tuple[PlanWave, ...]) -> Plan:
    spec, policy = inputs.spec, inputs.policy
    window = None if spec.emergency else spec.window or policy.window
    errors = spec.error_threshold or ErrorThresholdSpec()
    defaults = policy.safety.error_threshold
    if spec.max_concurrency is None:
        concurrency = max(
            policy.limits.max_concurrency.at_least, resolve(policy.limits.max_concurrency.default, len(members))
        )
    else:
        concurrency = max(1, resolve(spec.max_concurrency, len(members)))
    return Plan(
        rollout=spec.rollout,
        release=inputs.release.release,
        manifest_sha256=inputs.release.manifest_sha256,
        sop_id=policy.sop_id,
        sop_revision=inputs.sop_revision,
        policy_sha256=inputs.policy_sha256,
        change_class=change_class_of(inputs.spec, inputs.manifest, inputs.profile),
        audience=spec.audience,
        members=members,
        waves=waves,
        thresholds=PlanThresholds(
            success=spec.success_threshold or _percent(policy.safety.success_threshold.default),
            error_percent=errors.percent or _percent(defaults.percent.default),
            error_count=int(defaults.count.default) if errors.count is None else errors.count,
            lost=int(defaults.lost.default) if errors.lost is None else errors.lost,
        ),
        max_concurrency=concurrency,
        ready_quorum=max(0, resolve(_or(spec.ready_quorum, policy.limits.ready_quorum.default), len(members))),
        attempts_max=int(_or(spec.attempts_max, policy.limits.attempts_max.default)),
        deadline_seconds=int(_or(spec.deadline_seconds, policy.limits.rollout_deadline_seconds.default)),
        window=check_window(window) if window else None,
        disruption_budget=spec.disruption_budget or policy.limits.disruption_budget,
        start_time=spec.start_time or "",
        emergency=spec.emergency,
        ticket=spec.ticket,
    )


def _or(value: Amount | None, default: Amount) -> Amount:
    return default if value is None else value


def _percent(value: Amount) -> str:
    return value if isinstance(value, str) else f"{value}%"


def _projection(plan: Plan, minimum: int) -> list[Refusal]:
    if minimum < plan.deadline_seconds:
        return []
    soaks, deadline = (_duration(seconds) for seconds in (minimum, plan.deadline_seconds))
    return [
        Refusal(
            "sop_bounds",
            "V.B",
            f"the waves soak for {soaks} together, so that the rollout cannot end within its deadline of {deadline}",
            remedy="shorten the soaks or lengthen the deadline in the rollout file",
        )
    ]


def _materials(inputs: PlanInputs, plan: Plan) -> tuple[Material, ...]:
    artifacts = inputs.manifest.artifacts
    size = format_size(sum(artifact.length for artifact in artifacts))
    published = inputs.release.state is ReleaseState.PUBLISHED
    contact = inputs.policy.contact("it_manager")
    window = plan.window
    opens = f"{window.rrule} at {window.start}, {window.time_zone}" if window else "always open"
    return (
        Material(
            "update files",
            published,
            f"{len(artifacts)} file(s), {size}" if published else f"{plan.release} was withdrawn",
        ),
        Material(
            "signed source",
            inputs.source_designated,
            "designated" if inputs.source_designated else "no source is designated yet; run sopwith source init",
        ),
        Material("release notes", present=True, message=inputs.manifest.summary or "none were given"),
        Material("effective SOP", present=True, message=f"{plan.sop_id} revision {plan.sop_revision}"),
        Material("window", present=True, message=opens),
        Material(
            "contact of the IT manager",
            bool(contact and contact.email),
            contact.email if contact and contact.email else "the SOP names no address",
        ),
    )


def _warnings(inputs: PlanInputs, plan: Plan) -> list[str]:
    warnings = []
    members = {member.id for member in plan.members}
    not_ready = sum(computer.readiness.verdict == NOT_READY and computer.id in members for computer in inputs.computers)
    if not_ready:
        warnings.append(f"{not_ready} of {len(plan.members)} computers are not ready now; they follow in the tail")
    if len(plan.waves) == 1 and len(plan.members) > 1:
        warnings.append("there is one wave only: every computer is updated without a canary before it")
    if not inputs.manifest.health_checks:
        warnings.append("the release has no health checks: only the installed version is read back")
    if plan.emergency:
        warnings.append("emergency: window and prior approval are skipped; a review is due within 24 h")
    return warnings


def _duration(seconds: int) -> str:
    return format_duration(timedelta(seconds=seconds))
