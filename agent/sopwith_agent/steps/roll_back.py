"""ROLLING_BACK: bring back what ran before, as often as it takes, within bounds.

The step decides when the way back is done and when it is hopeless. Rules: each try is written down before it begins;
rolling back twice ends as once; the version that ran before is read back; where that version was healthy before the
update it has to be healthy again, where it was not, or nobody knows, its return is enough; where the new version was
booted into, the computer boots once more, and is looked at after that; spent tries end in FAILED
with ROLLBACK_FAILED, which calls a person at once.
"""

from dataclasses import replace

from sopwith_agent.domain import limits
from sopwith_agent.domain.assignment import Event
from sopwith_agent.domain.errors import StepError
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.confirm import describe
from sopwith_agent.steps.reboot import give_back, reboot_back
from sopwith_agent.steps.self_update import gives_way
from sopwith_agent.steps.troubleshooting import back_off_seconds
from sopwith_agent.steps.workbench import Done, Wait, Workbench
from sopwith_formats.manifest import Manifest, read_manifest
from sopwith_formats.vocabulary import Symptom


def roll_back(record: Record, bench: Workbench) -> Done | Wait:
    """Return RESTORED, RESTORE_FAILED when the tries are spent, or wait before the next try."""
    manifest = read_manifest(record.manifest_json.encode())
    return gives_way(record, manifest, bench) or _take_back(record, manifest, bench)


def _take_back(record: Record, manifest: Manifest, bench: Workbench) -> Done | Wait:
    now = bench.clock.now()
    if record.way_back_boot_id == bench.clock.boot_id():
        return _restored(record, manifest, bench)
    if record.rollback_attempts >= limits.rollback_attempts_max:
        if _failure(record, manifest, bench) == "":  # a try did its work, and the agent died before it could say so
            return _restored(record, manifest, bench)
        detail = f"{limits.rollback_attempts_max} rollbacks failed; first came {record.symptom}: {record.detail}"
        return Done(record, Event.RESTORE_FAILED, Symptom.ROLLBACK_FAILED, detail)
    record = replace(record, rollback_attempts=record.rollback_attempts + 1)
    bench.journal.save(record)
    try:
        bench.require_installer(manifest).roll_back(bench.work(record))
        failure = _failure(record, manifest, bench)
    except (StepError, OSError) as error:
        failure = str(error)
    if failure is None:  # asked to stop: this was no try
        stopped = replace(record, rollback_attempts=record.rollback_attempts - 1)
        return Wait(stopped, None, record.symptom, record.detail)
    if failure:
        record = record.step("roll_back", now, "failed", failure)
        return Wait(record, back_off_seconds(record.rollback_attempts), record.symptom, record.detail)
    return _restored(record, manifest, bench)


def _restored(record: Record, manifest: Manifest, bench: Workbench) -> Done | Wait:
    booted = reboot_back(record, manifest, bench)
    if isinstance(booted, Wait):
        return booted
    record = booted
    if not record.version_before:
        bench.register.forget(manifest.name)
    version = record.version_before or "nothing"
    record = give_back(record, bench)
    record = record.step("roll_back", bench.clock.now(), "done", f"{version} is installed again")
    return Done(record, Event.RESTORED, record.symptom, record.detail)


def _failure(record: Record, manifest: Manifest, bench: Workbench) -> str | None:
    """Return what is still wrong after a rollback, empty text when nothing is, None when asked to stop."""
    version = bench.installed_version(manifest)
    if version != record.version_before:
        return f"Read back {version or 'nothing'} instead of {record.version_before or 'nothing'}."
    previous = bench.register.manifest(manifest.name)
    if record.healthy_before != "yes" or previous is None or previous.version != version:
        return ""
    report = bench.health.watch(previous, bench.health_context("roll_back"), bench.stopping)
    if report.cancelled:
        return None
    return "" if report.healthy else describe(report)
