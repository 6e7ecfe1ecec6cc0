"""DOWNLOADING and STAGED: fetch what the source vouches for, then wait for the word to start.

`download` decides nothing about trust, the source does; it knows which files are for this computer and where they lie.
`wait_for_start` is the last gate before the computer is touched: readiness, lease, freeze, withdrawal, people.

Rules: nothing is fetched over a metered link that the SOP keeps this release from; files lie in a private folder of the
assignment; a file that is there and whole is not fetched again; a release
that Sopwith did not bring itself gets its way back from the source, where the source still has it; an install starts
only with a lease, on a computer that is still ready, and after the people there had the notice that the SOP owes them.
"""

from collections.abc import Callable
from dataclasses import replace

from sopwith_agent.domain import limits
from sopwith_agent.domain.assignment import Event
from sopwith_agent.domain.decisions import of_readiness, passed
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_agent.domain.readiness import Readiness, Reason
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.notice_port import Disturbance
from sopwith_agent.steps.prepare import ask_to_close, authorised_manifest, check_warrant, measure, wait_for_people
from sopwith_agent.steps.workbench import Done, Wait, Workbench
from sopwith_formats.durable import make_private_folder
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import Manifest, read_manifest
from sopwith_formats.vocabulary import Symptom


def download(record: Record, bench: Workbench) -> Done | Wait:
    """Return VERIFIED with every file staged; raise StepError with the source's symptom."""
    manifest = _manifest(record, bench)
    metered = [reason for reason in _readiness_now(record, manifest, bench) if reason.code == Symptom.METERED_LINK]
    if metered:
        detail = f"Does not download: {metered[0].message}"
        return Wait(record, limits.not_ready_retry_seconds, Symptom.METERED_LINK, detail, metered)
    make_private_folder(bench.staging)
    make_private_folder(bench.folder(record))
    staged = _fetch(record, manifest, bench)
    record = replace(record, staged=staged, manifest_json=manifest.to_json().decode())
    record = record.decide(
        passed("digest", f"{len(staged)} files, all whole", "files as the signed manifest lists them")
    )
    return Done(_with_way_back(record, manifest, bench), Event.VERIFIED)


def wait_for_start(record: Record, bench: Workbench) -> Done | Wait:
    """Return START_ALLOWED once, or wait for what is missing."""
    check_warrant(record, bench)
    manifest = read_manifest(record.manifest_json.encode())
    policy = bench.policy(record.warrant)
    staged_for = bench.clock.now() - record.entered_time
    if staged_for.total_seconds() > policy.measured_within_seconds and not policy.offline_start:
        try:
            authorised_manifest(record.warrant, bench)  # the release may have been withdrawn meanwhile
        except StepError as error:
            if error.symptom is not Symptom.NET_SOURCE_UNREACHABLE:
                raise
            return Wait(record, limits.not_ready_retry_seconds, error.symptom, error.message)
    readiness = measure(record, manifest, bench, fresh_within_seconds=limits.readiness_fresh_seconds)
    record = record.decide(*of_readiness(readiness))
    if not readiness.ready:
        ask_to_close(record, readiness, bench)
        first = readiness.reasons[0]
        return Wait(record, limits.not_ready_retry_seconds, first.code, first.message, readiness.reasons)
    warrant = record.warrant
    hindrance = bench.orders.hindrance(warrant.assignment_id, bench.clock.fleet_now())
    if not hindrance:
        waits = _for_people(record, readiness, bench)
        if waits:
            return waits
        hindrance = bench.orders.try_start(warrant.assignment_id, bench.clock.fleet_now())
    if hindrance:
        return Wait(record, None, detail=f"Waits to start: {hindrance}.")
    account = bench.people.account(warrant.assignment_id, Disturbance.INSTALL)
    if account:
        record = record.step("notice", bench.clock.now(), "go", account)
    return Done(record, Event.START_ALLOWED)


def _for_people(record: Record, readiness: Readiness, bench: Workbench) -> Done | Wait | None:
    """Return what has to wait for people at the computer; None where it may go on.

    What they put off goes back to PREPARING, so that it gives its place among the updated ones to others.
    """
    programs_run = any(check.name == "blocking_process" and check.code for check in readiness.checks)
    word = bench.people.may_disturb(record, Disturbance.INSTALL, in_use=programs_run)
    if word.go:
        return None
    wait = wait_for_people(record, word, bench)
    if not word.put_off:
        return wait
    given_back = replace(record, attempts=max(0, record.attempts - 1))
    return Done(given_back, Event.DEFERRED, Symptom.USER_BUSY, word.detail, wait.reasons)


def _manifest(record: Record, bench: Workbench) -> Manifest:
    """Return the release as PREPARING found it a moment ago; asked again when that was long ago, or went wrong."""
    age_seconds = (bench.clock.now() - record.entered_time).total_seconds()
    if record.manifest_json and not record.retries and 0 <= age_seconds < limits.authorised_fresh_seconds:
        return read_manifest(record.manifest_json.encode())
    return authorised_manifest(record.warrant, bench)


def _readiness_now(record: Record, manifest: Manifest, bench: Workbench) -> tuple[Reason, ...]:
    """Return what stands in the way now: a download that is resumed may find the computer on another link."""
    return measure(record, manifest, bench, fresh_within_seconds=limits.readiness_fresh_seconds).reasons


def _fetch(record: Record, manifest: Manifest, bench: Workbench) -> dict[str, str]:
    artifacts = bench.artifacts(manifest)
    total = sum(artifact.length for artifact in artifacts) or 1
    before = 0
    staged = {}
    for artifact in artifacts:
        file = bench.source.download(
            manifest.target(artifact.file),
            bench.folder(record),
            _progress(record, bench, before, total),
            _interrupted(record, bench),
        )
        if (file.length, file.sha256) != (artifact.length, artifact.sha256):
            raise TrustError(
                Symptom.NOT_AUTHORISED_BY_SOURCE,
                f"The source lists {artifact.file} with another length or digest than the release's manifest.",
            )
        before += artifact.length
        staged[artifact.file] = str(file.path.relative_to(bench.folder(record)))
    return staged


def _with_way_back(record: Record, manifest: Manifest, bench: Workbench) -> Record:
    """Return the record with the running version's files fetched too, where nobody else kept them."""
    version = record.version_before
    if (
        not version
        or bench.register.manifest(manifest.name) is not None
        or not bench.policy(record.warrant).backup_required
    ):
        return record
    try:
        data = bench.source.manifest(manifest.name, version)
        previous = read_manifest(data)
        staged = _fetch(record, previous, bench)
    except (StepError, FormatError):
        return record  # the installer finds another way back, or refuses for want of one
    return replace(record, previous_json=data.decode(), previous_staged=staged)


def _progress(record: Record, bench: Workbench, before: int, total: int) -> Callable[[int, int], None]:
    last = [-1]

    def tell(so_far: int, _length: int) -> None:
        percent = min(100, (before + so_far) * 100 // total)
        if percent // 5 != last[0] // 5:
            last[0] = percent
            bench.outbox.advanced(record, percent)

    return tell


def _interrupted(record: Record, bench: Workbench) -> Callable[[], bool]:
    return lambda: bench.stopping() or bench.orders.withdrawn(record.warrant.assignment_id) is not None
