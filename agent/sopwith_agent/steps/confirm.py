"""CONFIRMING: whether the computer really runs the new version, and is healthy.

The step decides SUCCEEDED or the way back. Rules: the version is read back from the computer, never assumed; every
health check holds for the release's `settle` time; a failed check is looked at once more, as the SOP says for
HEALTH_CHECK_FAILED, before the release goes back; both answers stand in the receipt.
"""

from dataclasses import replace

from sopwith_agent.domain import limits
from sopwith_agent.domain.assignment import Event
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.health_port import HealthReport
from sopwith_agent.steps.workbench import Done, Wait, Workbench
from sopwith_formats.manifest import read_manifest
from sopwith_formats.vocabulary import Symptom


def confirm(record: Record, bench: Workbench) -> Done | Wait:
    """Return HEALTHY, or UNHEALTHY with VERSION_MISMATCH or HEALTH_CHECK_FAILED; wait when asked to stop."""
    manifest = read_manifest(record.manifest_json.encode())
    version = bench.installed_version(manifest)
    if version != manifest.version:
        detail = f"Read back {version or 'nothing'} instead of {manifest.version}."
        return Done(record, Event.UNHEALTHY, Symptom.VERSION_MISMATCH, detail)
    while True:
        report = bench.health.watch(manifest, bench.health_context("confirm"), bench.stopping)
        if report.cancelled:
            return Wait(record, None, detail="The agent was asked to stop; confirmed again after its start.")
        if report.healthy:
            bench.register.remember(manifest)
            return Done(record, Event.HEALTHY)
        if record.rechecks >= limits.recheck_attempts_max:
            return Done(record, Event.UNHEALTHY, Symptom.HEALTH_CHECK_FAILED, describe(report))
        record = replace(record, rechecks=record.rechecks + 1)
        record = record.step("remedy", bench.clock.now(), "one more check", describe(report))
        bench.journal.save(record)


def describe(report: HealthReport) -> str:
    """Return the failed checks in one sentence."""
    return "; ".join(f"{failure.check}: {failure.message}" for failure in report.failures) + "."
