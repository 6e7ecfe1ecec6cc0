"""The steps of an assignment that brings no release and only reboots the computer.

The steps decide whether the computer needs it and whether it is healthy afterwards; when it may reboot is `reboot`'s,
who believes the warrant is `prepare`'s. Rules: no reboot is pending, nothing to do: SKIPPED. The gates of an install
hold, but for those that the warrant's policy opens because a reboot mends them; the start needs the same lease, is
signed and durable before anything happens, and the reboot needs leave like any other. Afterwards every release that
Sopwith brought here and that was healthy before has to be whole and healthy again; nothing was installed, so there is
nothing to take back, and what fails is FAILED.
"""

from dataclasses import replace

from sopwith_agent.domain import limits
from sopwith_agent.domain.assignment import Event
from sopwith_agent.domain.decisions import RECORD_WRITTEN, of_readiness
from sopwith_agent.domain.readiness import Need
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.closing import started_record
from sopwith_agent.steps.confirm import describe, since_boot, undrained
from sopwith_agent.steps.prepare import check_warrant, not_ready
from sopwith_agent.steps.reboot import count_boot, give_back
from sopwith_agent.steps.workbench import Done, Wait, Workbench
from sopwith_formats.manifest import Manifest
from sopwith_formats.vocabulary import Symptom


def prepare(record: Record, bench: Workbench) -> Done | Wait:
    """Return READY, NOT_NEEDED where no reboot is pending, or wait with reasons."""
    record = record.decide(check_warrant(record, bench))
    if not bench.power.reboot_pending():
        return Done(record, Event.NOT_NEEDED, detail="No reboot is pending.")
    readiness = bench.readiness.measure(bench.policy(record.warrant), Need())
    record = record.decide(*of_readiness(readiness))
    if not readiness.ready:
        return not_ready(record, readiness)
    return Done(replace(record, was_ready=True), Event.READY)


def download(record: Record, _bench: Workbench) -> Done:
    """Return VERIFIED: there is nothing to fetch."""
    return Done(record, Event.VERIFIED)


def wait_for_start(record: Record, bench: Workbench) -> Done | Wait:
    """Return START_ALLOWED once, or wait for what is missing; DEFERRED where somebody rebooted it meanwhile."""
    check_warrant(record, bench)
    if not bench.power.reboot_pending():
        return Done(record, Event.DEFERRED)
    policy = bench.policy(record.warrant)
    readiness = bench.readiness.measure(policy, Need(), fresh_within_seconds=limits.readiness_fresh_seconds)
    record = record.decide(*of_readiness(readiness))
    if not readiness.ready:
        return not_ready(record, readiness)
    hindrance = bench.orders.try_start(record.warrant.assignment_id, bench.clock.fleet_now())
    if hindrance:
        return Wait(record, None, detail=f"Waits to start: {hindrance}.")
    return Done(record, Event.START_ALLOWED)


def begin(record: Record, bench: Workbench) -> Done:
    """Write down which boot this is, and which releases are unhealthy before it; then the reboot is awaited."""
    sick = [manifest.name for manifest in bench.register.manifests() if _sick(_at_once(manifest), bench)]
    record = replace(record, boot_id=bench.clock.boot_id(), unhealthy_before=" ".join(sick))
    bench.journal.save(record)
    bench.outbox.started(started_record(record, bench))
    return Done(replace(record, decisions=(RECORD_WRITTEN,)), Event.REBOOT_NEEDED)


def confirm(record: Record, bench: Workbench) -> Done | Wait:
    """Return HEALTHY once every release that was healthy before the boot is so again."""
    record = count_boot(record, bench)
    bench.journal.save(record)
    if record.boots > limits.boots_max:
        detail = f"The computer booted {record.boots} times before it was healthy."
        return Done(record, Event.UNHEALTHY, Symptom.REBOOT_FAILED, detail)
    for manifest in bench.register.manifests():
        sick = "" if manifest.name in record.unhealthy_before.split() else _sick_since_boot(record, manifest, bench)
        if sick is None:
            return Wait(record, None, detail="The agent was asked to stop; confirmed again after its start.")
        if sick:
            return Done(record, Event.UNHEALTHY, Symptom.HEALTH_CHECK_FAILED, f"{manifest.release}: {sick}")
    return undrained(record, None, bench)


def roll_back(record: Record, bench: Workbench) -> Done:
    """Return NOTHING_TO_RESTORE: nothing was installed."""
    return Done(give_back(record, bench), Event.NOTHING_TO_RESTORE, record.symptom, record.detail)


def _sick_since_boot(record: Record, manifest: Manifest, bench: Workbench) -> str | None:
    """Return what is wrong after one more check, empty when nothing is, None when asked to stop."""
    patient = since_boot(record, manifest, bench)
    return _sick(patient, bench) and _sick(patient, bench)


def _sick(manifest: Manifest, bench: Workbench) -> str | None:
    version = bench.installed_version(manifest)
    if version != manifest.version:
        return f"read back {version or 'nothing'} instead of {manifest.version}."
    report = bench.health.watch(manifest, bench.health_context("confirm"), bench.stopping)
    if report.cancelled:
        return None
    return "" if report.healthy else describe(report)


def _at_once(manifest: Manifest) -> Manifest:
    checks = tuple(replace(check, within_seconds=0) for check in manifest.health_checks)
    return replace(manifest, health_checks=checks, settle_seconds=0)
