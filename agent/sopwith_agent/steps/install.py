"""INSTALLING: bring the staged release to the computer, past one commit point.

The step decides the order of acts; how files come to the computer is the installer's. Rules: the staged files are
hashed again from disk; the way back is found, and the snapshot commands agree, before anything changes; the started
record is signed and durable before the installer may touch the computer, and the commit point is written into the
journal before it is passed: where either cannot be written nothing is installed; after the commit point, whatever goes
wrong goes back. After a restart the commit count tells which side of that point the install stood on.
"""

from dataclasses import replace

from sopwith_agent.domain.assignment import Event
from sopwith_agent.domain.decisions import RECORD_WRITTEN, of_way_back
from sopwith_agent.domain.errors import StepError
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.closing import started_record
from sopwith_agent.steps.command_port import Moment
from sopwith_agent.steps.installer_port import OnDisk
from sopwith_agent.steps.workbench import Done, Workbench
from sopwith_formats.manifest import Manifest, read_manifest
from sopwith_formats.vocabulary import Symptom


def install(record: Record, bench: Workbench) -> Done:
    """Return APPLIED or REBOOT_NEEDED; raise StepError, with the commit point passed or not as the journal tells."""
    manifest = read_manifest(record.manifest_json.encode())
    installer = bench.require_installer(manifest)
    work = bench.work(record, bench.staged_files(record, record.staged, manifest))
    way_back = installer.prepare(work)
    record = record.step("prepare_install", bench.clock.now(), "done", f"way back: {way_back.kind}; {way_back.detail}")
    record = replace(record, way_back=way_back.kind, healthy_before=_health_before(manifest, bench))
    told, required = f"{way_back.kind}; {way_back.detail}", bench.policy(record.warrant).backup_required
    record = record.decide(of_way_back(told, possible=way_back.possible, required=required))
    record = _snapshot(record, manifest, bench)
    held = bench.wakefulness.hold(f"installs {record.warrant.release}")
    record = record.step("keep_awake", bench.clock.now(), "asked", held)
    bench.journal.save(record)
    bench.outbox.started(started_record(record, bench))
    record = replace(record, decisions=(RECORD_WRITTEN,))

    def on_commit() -> None:
        nonlocal record
        record = replace(record, commits=record.commits + 1, boot_id=bench.clock.boot_id())
        bench.journal.save(record)

    installer.apply(work, on_commit)
    return Done(record, after_apply(manifest, bench))


def inspect(record: Record, bench: Workbench) -> Done:
    """Return what follows for an install that was cut off after its commit point was announced."""
    manifest = read_manifest(record.manifest_json.encode())
    found = bench.require_installer(manifest).recover(bench.work(record))
    record = record.step("recover", bench.clock.now(), "done", f"found {found.value.lower()} on disk")
    if found is OnDisk.NEW:
        return Done(record, after_apply(manifest, bench))
    return Done(record, Event.FAILED_CHANGED, Symptom.UNKNOWN, "The install was cut off after its commit point.")


def after_apply(manifest: Manifest, bench: Workbench) -> Event:
    """Return REBOOT_NEEDED where the release asks for a reboot and the computer needs it, else APPLIED."""
    needed = manifest.reboot == "always" or (manifest.reboot == "if_needed" and bench.power.reboot_pending())
    return Event.REBOOT_NEEDED if needed else Event.APPLIED


def _snapshot(record: Record, manifest: Manifest, bench: Workbench) -> Record:
    """Return the record after the snapshot commands agreed; raise StepError where one refuses, or one is owed."""
    policy = bench.policy(record.warrant)
    if record.snapshot_made:
        return record
    said = bench.commands.run(Moment.SNAPSHOT, manifest, bench.health_context("snapshot"))
    if not said.agreed:
        raise StepError(Symptom.BACKUP_FAILED, f"{said.refusal}.", remedy="see what the snapshot command says")
    if said.commands:
        return replace(record, snapshot_made=True).step("snapshot", bench.clock.now(), "done")
    if policy.snapshot_required:
        raise StepError(
            Symptom.BACKUP_FAILED,
            "The SOP wants a snapshot before the install, and nothing makes one.",
            remedy="write snapshot = [[...]] into agent.toml, or publish the release with snapshot:",
        )
    return record


def _health_before(manifest: Manifest, bench: Workbench) -> str:
    """Return whether the release that runs now is healthy: what a rollback can be measured by."""
    previous = bench.register.manifest(manifest.name)
    if previous is None or not previous.health_checks:
        return ""
    at_once = tuple(replace(check, within_seconds=0) for check in previous.health_checks)
    report = bench.health.watch(
        replace(previous, health_checks=at_once, settle_seconds=0), bench.health_context("confirm"), bench.stopping
    )
    if report.cancelled:
        raise StepError(Symptom.UNKNOWN, "The agent was asked to stop before the install began.")
    return "yes" if report.healthy else "no"
