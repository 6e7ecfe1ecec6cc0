"""What must be there before a rollout starts (SOP, clause IV), and what somebody should know first.

Decides presence and words; refusing a plan for want of material is `planning`'s.
"""

from sopwith_controller.domain.entities import ReleaseState
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.plan_inputs import Material, PlanInputs
from sopwith_controller.domain.readiness import NOT_READY
from sopwith_controller.domain.way_back import rollback_material
from sopwith_formats.sop_policy import Window
from sopwith_formats.units import format_size


def materials_of(inputs: PlanInputs, plan: Plan) -> tuple[Material, ...]:
    """Return what clause IV asks for, each as present or missing."""
    artifacts = inputs.manifest.artifacts
    size = format_size(sum(artifact.length for artifact in artifacts))
    published = inputs.release.state is ReleaseState.PUBLISHED
    contact = inputs.policy.contact("it_manager")
    return (
        Material(
            "update files",
            published,
            _files(len(artifacts), size) if published else f"{plan.release} was withdrawn",
        ),
        Material(
            "signed source",
            inputs.source_designated,
            "designated" if inputs.source_designated else "no source is designated yet; run sopwith source init",
        ),
        Material("release notes", present=True, message=inputs.manifest.summary or "none were given"),
        rollback_material(inputs),
        Material("effective SOP", present=True, message=f"{plan.sop_id} revision {plan.sop_revision}"),
        Material("window", present=True, message=_windows(plan)),
        Material(
            "contact of the IT manager",
            bool(contact and contact.email),
            contact.email if contact and contact.email else "the SOP names no address",
        ),
    )


def _files(number: int, size: str) -> str:
    return f"{number} file(s), {size}" if number else "none: computers that wait for a reboot are rebooted"


def _windows(plan: Plan) -> str:
    """Return the windows of a plan in words: the rollout's, and each maintenance group's that differs."""
    others = [group for group in plan.groups if group.window != plan.window]
    return "; ".join([_words(plan.window), *(f"maintenance group {one.name}: {_words(one.window)}" for one in others)])


def _words(window: Window | None) -> str:
    return f"{window.rrule} at {window.start}, {window.time_zone}" if window else "always open"


def warnings_of(inputs: PlanInputs, plan: Plan) -> list[str]:
    """Return what somebody should know before the start, one sentence each."""
    warnings = []
    members = {member.id for member in plan.members}
    not_ready = sum(computer.readiness.verdict == NOT_READY and computer.id in members for computer in inputs.computers)
    if not_ready:
        warnings.append(f"{not_ready:,} of {len(plan.members):,} computers are not ready now; they follow in the tail")
    if len(plan.waves) == 1 and len(plan.members) > 1:
        warnings.append("there is one wave only: every computer is updated without a canary before it")
    if not inputs.manifest.health_checks and not inputs.spec.reboot_only:
        warnings.append("the release has no health checks: only the installed version is read back")
    if inputs.manifest.reboot != "never" and inputs.policy.reboot.when == "never":
        warnings.append("the SOP lets no computer reboot itself: each waits until a person reboots it, or for its end")
    if plan.emergency:
        warnings.append("emergency: window and prior approval are skipped; a review is due within 24 h")
    return warnings
