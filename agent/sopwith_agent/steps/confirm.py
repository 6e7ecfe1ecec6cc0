"""CONFIRMING: whether the computer really runs the new version, and is healthy.

The step decides SUCCEEDED or the way back. Rules: the version is read back from the computer, never assumed; every
health check holds for the release's `settle` time; a failed check is looked at once more, as the SOP says for
HEALTH_CHECK_FAILED, before the release goes back; both answers stand in the receipt. After a reboot no check has longer
than the SOP's confirm timeout, counted from boot; a computer that boots again and again before it could be confirmed
goes back; and the undrain commands have to agree before the update counts as done.
"""

from dataclasses import replace

from sopwith_agent.domain import limits
from sopwith_agent.domain.assignment import Event
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.command_port import Moment
from sopwith_agent.steps.health_port import HealthReport
from sopwith_agent.steps.reboot import count_boot
from sopwith_agent.steps.self_update import confirm_agent
from sopwith_agent.steps.workbench import Done, Wait, Workbench
from sopwith_formats.manifest import Manifest, read_manifest
from sopwith_formats.vocabulary import Symptom


def confirm(record: Record, bench: Workbench) -> Done | Wait:
    """Return HEALTHY, or UNHEALTHY with VERSION_MISMATCH or HEALTH_CHECK_FAILED; wait when asked to stop."""
    manifest = read_manifest(record.manifest_json.encode())
    if manifest.updates_agent:
        return confirm_agent(record, manifest, bench)
    record = count_boot(record, bench)
    bench.journal.save(record)
    if record.boots > limits.boots_max:
        detail = f"The computer booted {record.boots} times before the release could be confirmed."
        return Done(record, Event.UNHEALTHY, Symptom.REBOOT_FAILED, detail)
    version = bench.installed_version(manifest)
    if version != manifest.version:
        detail = f"Read back {version or 'nothing'} instead of {manifest.version}."
        return Done(record, Event.UNHEALTHY, Symptom.VERSION_MISMATCH, detail)
    while True:
        watched = since_boot(record, manifest, bench)
        report = bench.health.watch(watched, bench.health_context("confirm"), bench.stopping)
        if report.cancelled:
            return Wait(record, None, detail="The agent was asked to stop; confirmed again after its start.")
        if report.healthy:
            return undrained(record, manifest, bench)
        if record.rechecks >= limits.recheck_attempts_max:
            return Done(record, Event.UNHEALTHY, Symptom.HEALTH_CHECK_FAILED, describe(report))
        record = replace(record, rechecks=record.rechecks + 1)
        record = record.step("remedy", bench.clock.now(), "one more check", describe(report))
        bench.journal.save(record)


def since_boot(record: Record, manifest: Manifest, bench: Workbench) -> Manifest:
    """Return the release with the patience of its checks shortened to what the confirm timeout leaves after a boot."""
    if not record.boots:
        return manifest
    left = max(0, bench.policy(record.warrant).reboot_confirm_seconds - bench.clock.boot_seconds())
    checks = tuple(replace(check, within_seconds=min(check.within_seconds, left)) for check in manifest.health_checks)
    return replace(manifest, health_checks=checks)


def undrained(record: Record, manifest: Manifest | None, bench: Workbench) -> Done | Wait:
    """Return HEALTHY once the work is back on the computer; what refuses that for good is no healthy release."""
    if record.drained:
        said = bench.commands.run(Moment.UNDRAIN, manifest, bench.health_context("undrain"))
        record = replace(record, undrain_tries=record.undrain_tries + 1, drained=not said.agreed)
        record = record.step("undrain", bench.clock.now(), "done" if said.agreed else "refused", said.refusal)
        if not said.agreed and record.undrain_tries >= limits.undrain_tries_max:
            return Done(record, Event.UNHEALTHY, Symptom.HEALTH_CHECK_FAILED, f"{said.refusal}.")
        if not said.agreed:
            return Wait(record, limits.retry_cap_seconds, Symptom.HEALTH_CHECK_FAILED, f"{said.refusal}.")
    if manifest is not None:
        bench.register.remember(manifest)
    return Done(record, Event.HEALTHY)


def describe(report: HealthReport) -> str:
    """Return the failed checks in one sentence."""
    return "; ".join(f"{failure.check}: {failure.message}" for failure in report.failures) + "."
