"""The whole front matter of a SOP, and the policy record that is made from it.

Decides which of the written values Sopwith enforces: those and only those enter `SopPolicy` and so its digest. Titles,
objectives, references, distribution, control maps and the change note may be rewritten without making a revision
material; every step that a person performs is enforced, since rewriting it changes what people do.
"""

from pydantic import Field

from sopwith_formats import sop_parts as parts
from sopwith_formats import sop_policy as policy
from sopwith_formats.agent_policy import CHECKS, AgentPolicy, read_agent_policy
from sopwith_formats.document_parts import Name, wave_records
from sopwith_formats.document_values import Duration, Text, Word
from sopwith_formats.documents import StrictModel
from sopwith_formats.sop_notice_parts import MaintenanceGroupPart, UserNoticePart
from sopwith_formats.sop_words import INTEGRITY_GATES

SOP_FORMAT = 1
_DEVIABLE_CHECKS = frozenset(CHECKS) - INTEGRITY_GATES


class FrontMatter(StrictModel):
    """The keys between the two lines of dashes."""

    sop_format: int = Field(ge=SOP_FORMAT, le=SOP_FORMAT)
    id: Name
    title: Word
    organization: Word
    revision: int = Field(ge=1, le=100_000)
    change: parts.ChangePart
    roles: parts.RolesPart
    scope: parts.ScopePart
    objectives: list[parts.ObjectivePart] = Field(min_length=1)
    approval: parts.ApprovalPart
    review: parts.ReviewPart
    training: parts.TrainingPart
    sources: list[parts.SourcePart] = Field(min_length=1)
    materials: list[parts.MaterialPart] = Field(min_length=1)
    distribution: list[parts.DistributionPart] = Field(min_length=1)
    user_notice: UserNoticePart = Field(default_factory=UserNoticePart)
    reboot: parts.RebootPart
    windows: parts.WindowsPart
    readiness: parts.ReadinessPart
    connectivity: parts.ConnectivityPart
    maintenance_groups: list[MaintenanceGroupPart] = Field(default_factory=list)
    deadlines: dict[str, dict[str, Duration]] = Field(default_factory=dict)
    change_classes: parts.ChangeClassesPart
    waves: parts.WavesPart
    limits: parts.LimitsPart
    safety: parts.SafetyPart
    gates: dict[str, parts.GatePart] = Field(default_factory=dict)
    contacts: parts.ContactsPart
    ppe: list[parts.PpePart]
    steps: list[parts.StepPart] = Field(min_length=1)
    troubleshooting: list[parts.TroubleshootingPart] = Field(min_length=1)
    records: parts.RecordsPart
    escalation: list[parts.EscalationPart] = Field(min_length=1)
    significant: list[parts.SignificantPart] = Field(min_length=1)
    references: list[parts.ReferencePart] = Field(default_factory=list)
    satisfies: dict[str, dict[str, list[Text]]] = Field(default_factory=dict)


TEXT_KEYS = frozenset(
    {
        *("id", "title", "organization", "roles.owner", "roles.it_manager", "roles.authority", "change.revised_by"),
        *("change.date", "objectives[].target", "contacts.it_manager.telephone", "contacts.owner.telephone"),
        *("contacts.authority.telephone", "references[].title", "references[].edition", "references[].date"),
        *("waves.default[].name", "objectives[].id", "steps[].id"),
    }
)
"""Keys that are text whatever they look like."""

FREE_KEYS = frozenset(
    {
        *("sop_format", "title", "organization", "revision", "change", "scope.personnel", "objectives"),
        *("sources.description", "materials", "distribution", "references", "satisfies"),
    }
)
"""Keys that no policy digest covers: rewriting them alone keeps a revision editorial."""


def policy_of(front: FrontMatter) -> policy.SopPolicy:
    """Return what the SOP enforces."""
    return policy.SopPolicy(
        sop_id=front.id,
        scope=front.scope.targets.strip(),
        roles=policy.Roles(front.roles.owner, front.roles.it_manager, front.roles.authority),
        approval=policy.Approval(
            tuple(front.approval.require),
            front.approval.separate_persons,
            front.approval.separate_persons_risk,
            tuple(front.approval.editorial),
        ),
        review=policy.Review(
            front.review.every, front.review.warn_before, tuple(front.review.on), front.review.hard_expiry
        ),
        training=policy.Training(tuple(front.training.required_for), front.training.grace, front.training.drill),
        waves=_waves(front.waves),
        safety=_safety(front.safety),
        limits=_limits(front.limits),
        records=policy.Records(front.records.retention),
        contacts=tuple(_contact(front, role) for role in ("it_manager", "owner", "authority")),
        escalation=tuple(map(_escalation, sorted(front.escalation, key=lambda rule: rule.severity))),
        significant=tuple(
            policy.Significant(rule.severity, rule.text, tuple(rule.symptoms), tuple(rule.outcomes))
            for rule in front.significant
        ),
        change_classes={
            name: _change_class(getattr(front.change_classes, name)) for name in ("standard", "normal", "emergency")
        },
        window=front.windows.default.record() if front.windows.default else None,
        window_fixed=not front.windows.rollout_may_choose,
        reboot=_reboot(front.reboot),
        maintenance_groups=tuple(_maintenance_group(part, front.user_notice) for part in front.maintenance_groups),
        user_notice=front.user_notice.record(),
        deadlines=front.deadlines,
        gates={gate: part.enforce for gate, part in front.gates.items()},
        readiness=agent_policy_of(front).to_document(),
        sources=tuple(policy.Source(source.id, source.root_sha256) for source in front.sources),
        ppe=tuple(policy.PpeRule(rule.when, tuple(rule.items)) for rule in front.ppe),
        steps=tuple(map(_step, front.steps)),
        troubleshooting=tuple(map(_row, front.troubleshooting)),
    )


def agent_policy_of(front: FrontMatter) -> AgentPolicy:
    """Return the part that each computer applies itself."""
    ready = front.readiness
    return read_agent_policy(
        {
            "enforce": {gate: part.enforce for gate, part in front.gates.items() if gate in _DEVIABLE_CHECKS},
            "disk_free_factor": ready.disk_free.times_files,
            "disk_free_reserve_bytes": ready.disk_free.reserve,
            "memory_available_bytes": ready.memory_available,
            "load_percent": ready.load_percent_of_processors,
            "battery_percent": ready.battery_percent,
            "clock_skew_seconds": ready.clock_skew,
            "metered_unless": list(ready.metered_unless),
            "latency_milliseconds": front.connectivity.latency_milliseconds,
            "throughput_bytes_per_second": front.connectivity.throughput_per_second,
            "measured_within_seconds": ready.fresh_within,
            "offline_start": front.limits.offline_start,
            "backup_required": front.safety.backup != "none" and not _warns(front, "backup"),
            "snapshot_required": front.safety.backup == "snapshot",
            "kept_versions": front.safety.kept.versions,
            "kept_age_seconds": front.safety.kept.age,
            "kept_size_bytes": front.safety.kept.size,
            "package_lock_wait_seconds": ready.package_lock_wait,
            "install_timeout_seconds": front.limits.install_timeout,
            "reboot_when": front.reboot.when,
            "reboot_deferrals": front.reboot.deferrals_max,
            "reboot_defer_seconds": front.reboot.defer_for,
            "reboot_deadline_seconds": front.reboot.deadline,
            "reboot_forced": front.reboot.forced_at_deadline,
            "reboot_notice_seconds": front.reboot.notice,
            "reboot_confirm_seconds": front.reboot.confirm_timeout,
            "notice_seconds": front.user_notice.notice,
            "notice_deferrals": front.user_notice.deferrals_max,
            "notice_defer_seconds": front.user_notice.defer_at_most,
            "notice_grace_seconds": front.user_notice.grace,
        }
    )


def _warns(front: FrontMatter, gate: str) -> bool:
    return gate in front.gates and front.gates[gate].enforce == "warn"


def _waves(part: parts.WavesPart) -> policy.Waves:
    return policy.Waves(
        wave_records(part.default), part.soak_min, part.first_size_max, part.canary.prefer, part.canary.avoid
    )


def _safety(part: parts.SafetyPart) -> policy.Safety:
    errors = part.error_threshold
    return policy.Safety(
        part.success_threshold.record(),
        policy.ErrorThreshold(errors.percent.record(), errors.count.record(), errors.lost.record()),
        part.backup,
        part.rollback,
        part.kept.versions,
        part.kept.age,
        part.kept.size,
    )


def _reboot(part: parts.RebootPart) -> policy.Reboot:
    return policy.Reboot(
        part.when,
        part.deferrals_max,
        part.forced_at_deadline,
        part.notice,
        window=part.window.record() if part.window else None,
        defer_seconds=part.defer_for,
        deadline_seconds=part.deadline,
        confirm_seconds=part.confirm_timeout,
    )


def _limits(part: parts.LimitsPart) -> policy.Limits:
    return policy.Limits(
        part.max_concurrency.concurrency(),
        part.ready_quorum.record(),
        part.attempts_max.record(),
        part.rollout_deadline.record(),
        part.disruption_budget.record() if part.disruption_budget else None,
        part.staging.record(),
        part.bandwidth_max.record() if part.bandwidth_max else None,
        part.offline_start,
    )


def _contact(front: FrontMatter, role: str) -> policy.Contact:
    part: parts.ContactPart = getattr(front.contacts, role)
    return policy.Contact(role, getattr(front.roles, role), part.email, part.telephone)


def _escalation(part: parts.EscalationPart) -> policy.EscalationRule:
    levels = tuple(
        policy.EscalationLevel(level.after, tuple(level.targets), tuple(level.channels), tuple(level.profiles))
        for level in part.levels
    )
    return policy.EscalationRule(
        part.severity, levels, part.dispatch_within, part.acknowledge_within, part.loops, part.group_every
    )


def _change_class(part: parts.ChangeClassPart) -> policy.ChangeClass:
    return policy.ChangeClass(
        part.approval, part.count, tuple(part.roles), part.not_requester, part.review_within, wave_records(part.waves)
    )


def _maintenance_group(part: MaintenanceGroupPart, others: UserNoticePart) -> policy.MaintenanceGroup:
    """Return the group's record; what it does not say of notices is as for everybody else."""
    window = part.window.record() if part.window else None
    said = (part.notice, part.deferrals_max, part.defer_at_most, part.grace)
    common = (others.notice, others.deferrals_max, others.defer_at_most, others.grace)
    values = [theirs if own is None else own for own, theirs in zip(said, common, strict=True)]
    return policy.MaintenanceGroup(part.name, part.selector, window, *values)


def _step(part: parts.StepPart) -> policy.Step:
    texts = (part.action, part.precondition, part.success_test, part.risk, part.mitigation)
    return policy.Step(part.id, part.clause, part.actor, *texts, part.time_limit)


def _row(part: parts.TroubleshootingPart) -> policy.TroubleshootingRow:
    return policy.TroubleshootingRow(
        part.symptom,
        tuple(part.remedies),
        part.then,
        part.attempts,
        part.time_limit,
        tuple(part.may_touch),
        part.severity,
        part.guidance,
    )
