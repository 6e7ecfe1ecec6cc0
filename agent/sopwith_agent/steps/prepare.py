"""PREPARING: whether warrant and source agree, the release is needed, and the computer is ready.

The step decides whether the assignment goes on, waits with reasons, is skipped, or is refused. Nothing of the computer
is touched and no update file is fetched; only the source's metadata and the release's manifest are.

Rules: a warrant is believed only with a signature by a trusted warrant key, for this computer, and with the evidence
that its change class asks for (`authorisation`); the source alone says
what the release is, and must say the same as the warrant; an older version than the installed one is refused unless the
release's manifest allows it; a computer that is not ready says why, and looks again by itself.
"""

import hashlib
import re
from dataclasses import replace
from datetime import timedelta

import structlog

from sopwith_agent.domain import limits
from sopwith_agent.domain.assignment import Event
from sopwith_agent.domain.decisions import of_readiness, passed
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_agent.domain.readiness import Need, Readiness, Reason
from sopwith_agent.domain.record import Record
from sopwith_agent.domain.versions import meets
from sopwith_agent.steps.authorisation import check_authorised, refused
from sopwith_agent.steps.notice_port import Disturbance, Word
from sopwith_agent.steps.workbench import Done, Wait, Workbench
from sopwith_formats.agent_decision import AgentDecision, decision
from sopwith_formats.debian_version import compare
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import Manifest, read_manifest
from sopwith_formats.units import format_time
from sopwith_formats.vocabulary import GateResult, Symptom
from sopwith_formats.warrant import PREFIX, Warrant

_log = structlog.get_logger()
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PEOPLE_REMEDY = "It goes on by itself; the people there may begin it sooner with `sopwith-agent install-now`."


def prepare(record: Record, bench: Workbench) -> Done | Wait:
    """Return READY, NOT_READY with reasons, NOT_NEEDED; raise StepError or TrustError for a refusal."""
    decided: list[AgentDecision] = []
    try:
        return _prepare(record, bench, decided)
    except StepError as error:
        error.decisions = tuple(decided)
        raise


def _prepare(record: Record, bench: Workbench, decided: list[AgentDecision]) -> Done | Wait:
    """Prepare, and note what each gate decided before one of them refuses."""
    warrant = record.warrant
    decided.append(check_warrant(record, bench))
    policy = bench.policy(warrant)
    if not bench.source.root_sha256():
        return not_ready(record, bench.readiness.measure(policy, Need()))
    try:
        manifest = authorised_manifest(warrant, bench)
    except StepError as error:
        if error.symptom is not Symptom.NET_SOURCE_UNREACHABLE:
            raise
        readiness = bench.readiness.measure(policy, Need())
        reason = Reason(error.symptom, error.message, error.remedy or "Check the way from this computer to the source.")
        return not_ready(record, readiness, reason)
    decided.append(_freshness(bench))
    signed = f"manifest {warrant.manifest_sha256[:16]}, as the warrant names it"
    decided.append(passed("signature", signed, "signed by the designated source"))
    skipped = _skip(record, manifest, bench)
    if skipped:
        return replace(skipped, record=skipped.record.decide(*decided))
    decided.append(passed("applicable", bench.require_installer(manifest).name, "a release for this computer"))
    record = replace(
        record,
        manifest_json=manifest.to_json().decode(),
        version_before=bench.installed_version(manifest),
    )
    _check_version_policy(manifest, record.version_before)
    decided.append(passed("version_policy", record.version_before or "nothing installed", f"before {manifest.version}"))
    put_off = bench.people.deferral(record, Disturbance.INSTALL)
    if put_off:
        return wait_for_people(record, put_off, bench)
    readiness = measure(record, manifest, bench)
    record = record.decide(*decided, *of_readiness(readiness))
    if not readiness.ready:
        ask_to_close(record, readiness, bench)
        return not_ready(record, readiness)
    return Done(replace(record, was_ready=True), Event.READY)


def _freshness(bench: Workbench) -> AgentDecision:
    """Return what `metadata_fresh` says of metadata that was accepted: good, or good but long not renewed.

    Who holds newer metadata back can do so until the timestamp ends; half of its life before that it is told.
    """
    ends, now = bench.source.timestamp_ends(), bench.clock.fleet_now()
    if ends is None or ends - now >= timedelta(seconds=limits.source_unrenewed_seconds):
        return passed("metadata_fresh", "neither expired nor older than known", "current metadata")
    measured = f"a timestamp that ends {format_time(ends)}, long not renewed"
    _log.warning("source_not_renewed", timestamp_ends=format_time(ends))
    return decision("metadata_fresh", GateResult.WARNED, measured, "a timestamp of the last 12 hours")


def wait_for_people(record: Record, word: Word, bench: Workbench) -> Wait:
    """Return the wait for people at the computer; whether they are still there is looked at again before it ends."""
    left = (word.until - bench.clock.fleet_now()).total_seconds() if word.until else limits.notice_look_seconds
    reason = Reason(Symptom.USER_BUSY, word.detail, _PEOPLE_REMEDY)
    seconds = max(1.0, min(left, limits.notice_look_seconds))
    return Wait(record, seconds, Symptom.USER_BUSY, word.detail, (reason,))


def ask_to_close(record: Record, readiness: Readiness, bench: Workbench) -> None:
    """Ask people for the one thing that only they can do: end the programs that stand in the way."""
    codes = {reason.code for reason in readiness.reasons}
    if codes == {Symptom.FILE_OR_SERVICE_IN_USE}:
        running = next(check.measured for check in readiness.checks if check.name == "blocking_process")
        bench.people.ask_to_close(record, running.split(", "))


def check_warrant(record: Record, bench: Workbench) -> AgentDecision:
    """Raise TrustError unless the warrant is signed by a trusted key, for this computer, and carries its evidence."""
    warrant = record.warrant
    signature = bytes.fromhex(record.warrant_signature)
    if not bench.warrant_keys.verify(PREFIX + record.warrant_payload.encode(), signature):
        raise refused("no key that this computer trusts signed it")
    if warrant.computer_id != bench.computer_id():
        raise refused("it is made out to another computer")
    if not warrant.sop_id or warrant.sop_revision < 1 or not _DIGEST.fullmatch(warrant.policy_sha256):
        raise refused("it names no SOP revision and policy digest")
    if warrant.generation < 1 or warrant.attempts_max < 1:
        raise refused("its generation or number of tries is below 1")
    check_authorised(warrant, bench.approval_proof, bench.held_policies)
    evidence = f"signed for this computer; {warrant.change_class} change, {len(warrant.approvals)} approvals"
    return passed("warrant_valid", evidence, f"{warrant.sop_id} revision {warrant.sop_revision}")


def authorised_manifest(warrant: Warrant, bench: Workbench) -> Manifest:
    """Return the release as the source lists it now; raise TrustError when that is not what the warrant names."""
    bench.source.refresh()
    data = bench.source.manifest(warrant.release, warrant.version)
    if hashlib.sha256(data).hexdigest() != warrant.manifest_sha256:
        raise TrustError(
            Symptom.NOT_AUTHORISED_BY_SOURCE,
            f"The source lists {warrant.release}@{warrant.version} with another content than the warrant names.",
            remedy="find out who changed the release or the controller",
        )
    try:
        manifest = read_manifest(data)
    except FormatError as error:
        raise TrustError(Symptom.CONTENT_REFUSED, f"The signed manifest breaks its format: {error}.") from error
    if (manifest.name, manifest.version) != (warrant.release, warrant.version):
        raise TrustError(
            Symptom.NOT_AUTHORISED_BY_SOURCE,
            f"The source serves {manifest.release} under the name {warrant.release}@{warrant.version}.",
        )
    return manifest


def measure(record: Record, manifest: Manifest, bench: Workbench, *, fresh_within_seconds: float = 0) -> Readiness:
    """Return readiness for this release on this computer."""
    files_bytes = sum(artifact.length for artifact in bench.artifacts(manifest))
    need = Need(files_bytes, manifest.disk_free_bytes, manifest.severity)
    return bench.readiness.measure(
        bench.policy(record.warrant), need, manifest.blocking_processes, fresh_within_seconds=fresh_within_seconds
    )


def _skip(record: Record, manifest: Manifest, bench: Workbench) -> Done | None:
    artifacts = bench.artifacts(manifest)
    installer = bench.installer(manifest)
    if not artifacts or installer is None:
        wanted = ", ".join(sorted({artifact.installer for artifact in artifacts})) or "no file is for this platform"
        detail = f"{manifest.release} does not apply to this computer ({wanted})."
        return Done(record, Event.NOT_NEEDED, Symptom.NOT_APPLICABLE, detail)
    refusal = installer.applicable(manifest, artifacts, bench.root)
    if refusal is not None and refusal.symptom is Symptom.NOT_APPLICABLE:
        return Done(record, Event.NOT_NEEDED, refusal.symptom, refusal.message)
    if refusal is not None:
        raise StepError(refusal.symptom, refusal.message, remedy=refusal.remedy)
    installed = installer.installed_version(manifest, artifacts, bench.root)
    if installed == manifest.version:
        record = replace(record, version_before=installed, manifest_json=manifest.to_json().decode())
        return Done(record, Event.NOT_NEEDED, detail=f"{manifest.release} is installed already.")
    return None


def _check_version_policy(manifest: Manifest, installed: str) -> None:
    if installed and compare(manifest.version, installed) < 0 and manifest.downgrade != "allowed":
        raise StepError(
            Symptom.VERSION_POLICY,
            f"{manifest.version} is older than the installed {installed}, and the release allows no downgrade.",
            remedy="publish the release with `downgrade: allowed`, or leave the newer version",
        )
    try:
        met = not manifest.requires_from or (bool(installed) and meets(installed, manifest.requires_from))
    except FormatError as error:
        raise TrustError(Symptom.CONTENT_REFUSED, f"The signed manifest breaks its format: {error}.") from error
    if not met:
        raise StepError(
            Symptom.VERSION_POLICY,
            f"{manifest.release} wants {manifest.requires_from} before it; installed is {installed or 'nothing'}.",
            remedy="update in the order that the release asks for",
        )


def not_ready(record: Record, readiness: Readiness, reason: Reason | None = None) -> Wait:
    """Return the wait of a computer that is not ready, with everything that stands in the way."""
    record = record.decide(*of_readiness(readiness))
    reasons = readiness.reasons
    if reason and all(known.code != reason.code for known in reasons):
        reasons = (*reasons, reason)
    first = reasons[0]
    return Wait(record, limits.not_ready_retry_seconds, first.code, first.message, reasons)
