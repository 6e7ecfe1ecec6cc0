"""Working stand-ins for the agent's ports: a computer in a folder, a source in memory, a clock that is set by hand."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_agent.domain.measurements import DiskSpace, Measurements, SourceReach
from sopwith_agent.domain.record import Record
from sopwith_agent.steps.announcer_port import Announcement
from sopwith_agent.steps.command_port import Moment, Said
from sopwith_agent.steps.health_port import HealthContext, HealthFailure, HealthReport
from sopwith_agent.steps.installer_port import Installer, InstallWork, OnDisk, Refusal, WayBack
from sopwith_agent.steps.notice_port import Disturbance, NobodyAsks, People, Word
from sopwith_agent.steps.ports import StagedFile
from sopwith_agent.steps.sensor_port import Question
from sopwith_formats.manifest import Artifact, HealthCheck, Manifest, manifest_target
from sopwith_formats.plan_approval import PlanApproval
from sopwith_formats.vocabulary import Symptom

START = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = START
        self.seconds = 1000.0
        self.boot = "boot-1"
        self.fleet_ahead = timedelta(0)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds

    def boot_seconds(self) -> int:
        return int(self.seconds)

    def boot_id(self) -> str:
        return self.boot

    def utc_offset_seconds(self) -> int:
        return 3600

    def fleet_now(self) -> datetime:
        return self.time + self.fleet_ahead

    def controller_ahead_seconds(self) -> int | None:
        return int(self.fleet_ahead.total_seconds())

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class FakeSource:
    """A source whose targets are bytes; `failures` are raised in turn, one per refresh or download."""

    root: str = "0" * 64
    targets: dict[str, bytes] = field(default_factory=dict)
    refresh_failures: list[StepError] = field(default_factory=list)
    download_failures: list[StepError] = field(default_factory=list)
    downloads: list[str] = field(default_factory=list)
    on_download: Callable[[], object] = lambda: None
    ends: datetime | None = None
    """Of its timestamp."""

    def publish(self, manifest: Manifest, files: dict[str, bytes]) -> None:
        self.targets[manifest_target(manifest.name, manifest.version)] = manifest.to_json()
        for name, data in files.items():
            self.targets[manifest.target(name)] = data

    def root_sha256(self) -> str:
        return self.root

    def refresh(self) -> None:
        if self.refresh_failures:
            raise self.refresh_failures.pop(0)

    def timestamp_ends(self) -> datetime | None:
        return self.ends

    def manifest(self, name: str, version: str) -> bytes:
        return self._target(manifest_target(name, version))

    def download(
        self, target: str, into: Path, progress: Callable[[int, int], None], cancelled: Callable[[], bool]
    ) -> StagedFile:
        self.on_download()
        if cancelled():
            raise StepError(Symptom.UNKNOWN, "cancelled")
        if self.download_failures:
            raise self.download_failures.pop(0)
        data = self._target(target)
        path = into / target.rpartition("/")[2]
        path.write_bytes(data)
        self.downloads.append(target)
        progress(len(data), len(data))
        return StagedFile(path.name, path, len(data), hashlib.sha256(data).hexdigest())

    def _target(self, name: str) -> bytes:
        if name not in self.targets:
            raise StepError(Symptom.NOT_AUTHORISED_BY_SOURCE, f"the source lists no {name}")
        return self.targets[name]


class FakeInstaller:
    """Installs a release as one file below the root, `<release>`, that holds the version; keeps the one before.

    `fail` maps the name of a moment (prepare, before_commit, after_commit, changed, roll_back) to what is raised there,
    once for each entry of the list.
    """

    name = "archive"
    joins = False

    def __init__(self) -> None:
        self.fail: dict[str, list[BaseException]] = {}
        self.refusal: Refusal | None = None
        self.reads_back: str | None = None
        self.commits = 0
        self.roll_backs = 0

    def available(self) -> bool:
        return True

    def applicable(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> Refusal | None:
        return self.refusal

    def installed_version(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> str:
        if self.reads_back is not None:
            return self.reads_back
        path = root / manifest.name
        return path.read_text() if path.exists() else ""

    def prepare(self, work: InstallWork) -> WayBack:
        self._moment("prepare")
        if not work.version_before:
            return WayBack("removal", "nothing was installed")
        kept = work.kept / work.manifest.name
        if not kept.exists():
            kept.write_text(work.version_before)
        return WayBack("kept", f"{work.version_before} is kept")

    def apply(self, work: InstallWork, on_commit: Callable[[], None]) -> None:
        assert work.staged(work.artifacts[0]).path.exists()
        self._moment("before_commit")
        on_commit()
        self.commits += 1
        self._moment("after_commit")
        (work.root / work.manifest.name).write_text(work.manifest.version)
        self._moment("changed")

    def roll_back(self, work: InstallWork) -> None:
        self.roll_backs += 1
        self._moment("roll_back")
        path = work.root / work.manifest.name
        if work.version_before:
            path.write_text(work.version_before)
        else:
            path.unlink(missing_ok=True)

    def recover(self, work: InstallWork) -> OnDisk:
        version = self.installed_version(work.manifest, work.artifacts, work.root)
        if version == work.manifest.version:
            return OnDisk.NEW
        return OnDisk.OLD if version == work.version_before else OnDisk.BROKEN

    def _moment(self, name: str) -> None:
        if self.fail.get(name):
            raise self.fail[name].pop(0)


class FakeInstallers:
    def __init__(self, installer: Installer) -> None:
        self.installer = installer

    def by_name(self, name: str) -> Installer | None:
        return self.installer if name == self.installer.name else None

    def names(self) -> tuple[str, ...]:
        return (self.installer.name,)


class FakeHealth:
    """Says of each version whether it is healthy."""

    def __init__(self) -> None:
        self.sick: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.cancelled = False

    def watch(
        self, manifest: Manifest, context: HealthContext, cancelled: Callable[[], bool] = lambda: False
    ) -> HealthReport:
        self.asked.append((manifest.version, context.step))
        if self.cancelled:
            return HealthReport((), 1, cancelled=True)
        if manifest.version in self.sick:
            return HealthReport((HealthFailure(0, "exec /check", "exit code 1"),), 1)
        return HealthReport((), 1)


class FakeSensors:
    """A healthy computer, until `free_bytes` or `change` says otherwise."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.change: dict[str, Any] = {}
        self.questions: list[Question] = []

    def measure(self, question: Question) -> Measurements:
        self.questions.append(question)
        healthy = Measurements(
            measured_time=self.clock.now(),
            disks=(DiskSpace("root", "/", 2**40),),
            memory_available_bytes=2**33,
            load_percent=1,
            controller_connected=question.controller_connected,
            controller_ahead_seconds=question.controller_ahead_seconds,
            source_designated=question.source_designated,
            source=SourceReach("127.0.0.1:7445", 1, 1, 1),
        )
        return replace(healthy, **self.change)

    def facts(self) -> dict[str, Any]:
        return {"os": "linux", "arch": "x86_64"}


class FakeAnnouncer:
    """So many sessions; remembers what they were told and what was taken back."""

    def __init__(self) -> None:
        self.sessions = 0
        self.reached = "desktop"
        self.told: list[Announcement] = []
        self.dismissed: list[str] = []

    def present(self) -> int:
        return self.sessions

    def announce(self, announcement: Announcement) -> str:
        if all((known.key, known.number) != (announcement.key, announcement.number) for known in self.told):
            self.told.append(announcement)
        return self.reached

    def dismiss(self, key: str) -> None:
        self.dismissed.append(key)


class FakePower:
    def __init__(self) -> None:
        self.pending = False
        self.allowed = False
        self.reboots = 0

    def reboot_pending(self) -> bool:
        return self.pending

    def may_reboot(self) -> bool:
        return self.allowed

    def reboot(self) -> None:
        self.reboots += 1


class FakePeople:
    """Before a reboot gives the words in `words` in turn; else what the desk says: yes where nobody is there."""

    def __init__(self) -> None:
        self.words: list[Word] = []
        self.asked: list[tuple[Disturbance, bool]] = []
        self.desk: People = NobodyAsks()

    def may_disturb(
        self, record: Record, disturbance: Disturbance, *, last_word: bool = False, in_use: bool = False
    ) -> Word:
        if disturbance is Disturbance.REBOOT:
            self.asked.append((disturbance, last_word))
            if self.words:
                return self.words.pop(0)
        return self.desk.may_disturb(record, disturbance, last_word=last_word, in_use=in_use)

    def deferral(self, record: Record, disturbance: Disturbance) -> Word | None:
        return self.desk.deferral(record, disturbance)

    def account(self, assignment_id: str, disturbance: Disturbance) -> str:
        return self.desk.account(assignment_id, disturbance)

    def ask_to_close(self, record: Record, programs: Sequence[str]) -> None:
        self.desk.ask_to_close(record, programs)

    def forget(self, assignment_id: str) -> None:
        self.desk.forget(assignment_id)


class FakeCommands:
    """Has a command for each moment in `refusals`, which refuses so often as there are texts in its list."""

    def __init__(self) -> None:
        self.refusals: dict[Moment, list[str]] = {}
        self.ran: list[Moment] = []
        self.on_run: Callable[[Moment], object] = lambda _moment: None

    def run(self, moment: Moment, manifest: Manifest | None, context: HealthContext) -> Said:
        if moment not in self.refusals:
            return Said(0)
        self.ran.append(moment)
        self.on_run(moment)
        texts = self.refusals[moment]
        return Said(1, texts.pop(0) if texts else "")


class FakeWakefulness:
    """Remembers whether the computer is kept awake, and each time that this changed."""

    def __init__(self) -> None:
        self.held = False
        self.changes: list[bool] = []

    def hold(self, why: str) -> str:
        if not self.held:
            self.held = True
            self.changes.append(True)
        return "held"

    def release(self) -> None:
        if self.held:
            self.held = False
            self.changes.append(False)


class FakeWarrantKeys:
    """Believes the signature `good`."""

    def verify(self, signed: bytes, signature: bytes) -> bool:
        return signature == b"good"


class FakeApprovalProof:
    """Believes envelopes of the form `person rollout plan` that come with the certificate `of person`."""

    def approver(self, envelope_json: str, certificate_pem: str) -> tuple[str, PlanApproval]:
        person, rollout_id, plan_sha256 = envelope_json.split()
        if certificate_pem != f"of {person}":
            raise TrustError(Symptom.WARRANT_REFUSED, "An approval of the plan is not proved.")
        return person, PlanApproval(rollout_id, plan_sha256, person, "2026-11-22T02:14:35Z", "key")


class FakeHeldPolicies:
    """Holds what a test says."""

    def __init__(self) -> None:
        self.held: dict[int, str] = {}

    def digests(self, sop_id: str) -> dict[int, str]:
        return self.held


def hello(version: str, **changes: Any) -> tuple[Manifest, dict[str, bytes]]:
    """Return a release and its files."""
    data = f"hello {version}".encode()
    artifact = Artifact(f"hello-{version}.tar.gz", "archive", len(data), hashlib.sha256(data).hexdigest())
    manifest = Manifest("hello", version, (artifact,), health_checks=(HealthCheck(exec=("/check",)),))
    return replace(manifest, **changes), {artifact.file: data}
