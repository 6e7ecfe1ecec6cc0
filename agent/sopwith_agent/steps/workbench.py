"""What lies ready for every step: the ports, the folders, and what can be worked out from a record.

Decides nothing; it saves the steps from asking the same question in two ways. Steps return `Done` when something
happened that moves the assignment on, `Wait` when it has to stay where it is.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sopwith_agent.domain.applicability import Platform, artifacts_for
from sopwith_agent.domain.assignment import Event
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_agent.domain.readiness import Need, Readiness, Reason
from sopwith_agent.domain.record import Record
from sopwith_agent.domain.retention import Retention
from sopwith_agent.steps.command_port import Commands
from sopwith_agent.steps.health_port import HealthChecker, HealthContext
from sopwith_agent.steps.installer_port import Installer, Installers, InstallWork, PreviousRelease
from sopwith_agent.steps.notice_port import People
from sopwith_agent.steps.orders import Orders
from sopwith_agent.steps.package_port import NoPackageWatch, PackageWatch
from sopwith_agent.steps.ports import (
    ApprovalProof,
    Clock,
    HeldPolicies,
    Journal,
    Outbox,
    Power,
    Register,
    Source,
    StagedFile,
    WarrantKeys,
)
from sopwith_agent.steps.trial_port import NoTrials, Trials
from sopwith_agent.steps.unit import UnitInstaller
from sopwith_agent.steps.wakefulness_port import Wakefulness
from sopwith_formats.agent_policy import AgentPolicy, read_agent_policy
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import Artifact, Manifest, read_manifest
from sopwith_formats.vocabulary import Symptom
from sopwith_formats.warrant import Warrant

_PIECE_BYTES = 2**18


@dataclass(frozen=True)
class Done:
    """Something happened that moves the assignment on."""

    record: Record
    event: Event
    symptom: str = ""
    detail: str = ""
    reasons: Sequence[Reason] = ()


@dataclass(frozen=True)
class Wait:
    """The assignment stays where it is, for `seconds` or, when None, until something wakes the worker."""

    record: Record
    seconds: float | None
    symptom: str = ""
    detail: str = ""
    reasons: Sequence[Reason] = ()


class ReadinessMeter(Protocol):
    """Measures readiness and lets the session know what came of it."""

    def measure(
        self,
        policy: AgentPolicy,
        need: Need,
        blocking_processes: tuple[str, ...] = (),
        *,
        fresh_within_seconds: float = 0,
    ) -> Readiness:
        """Return readiness, measured now or at most so long ago for the same need."""
        ...


@dataclass(frozen=True)
class Workbench:
    """Ports, folders and facts that do not change while the agent runs."""

    clock: Clock
    journal: Journal
    outbox: Outbox
    source: Source
    installers: Installers
    health: HealthChecker
    readiness: ReadinessMeter
    register: Register
    power: Power
    people: People
    wakefulness: Wakefulness
    commands: Commands
    orders: Orders
    warrant_keys: WarrantKeys
    approval_proof: ApprovalProof
    held_policies: HeldPolicies
    platform: Platform
    computer_id: Callable[[], str]
    computer_name: Callable[[], str]
    root: Path
    """Absolute; everything is installed below it."""
    staging: Path
    kept: Path
    stopping: Callable[[], bool]
    """Tells whether the agent is asked to end: long steps park."""
    packages: PackageWatch = field(default_factory=NoPackageWatch)
    trials: Trials = field(default_factory=NoTrials)

    def policy(self, warrant: Warrant) -> AgentPolicy:
        """Return the SOP's word to this computer; raise TrustError for a policy that this agent cannot keep."""
        try:
            return read_agent_policy(warrant.policy)
        except FormatError as error:
            raise TrustError(
                Symptom.WARRANT_REFUSED,
                f"The warrant's policy cannot be kept: {error.message}.",
                remedy="update the agent, or mend the SOP",
            ) from error

    def artifacts(self, manifest: Manifest) -> tuple[Artifact, ...]:
        """Return the files that are for this computer."""
        return artifacts_for(manifest, self.platform)

    def installer(self, manifest: Manifest) -> Installer | None:
        """Return the installer of the release's files, one for all of them; None where they need none or an unknown."""
        artifacts = self.artifacts(manifest)
        needed = {artifact.installer: self.installers.by_name(artifact.installer) for artifact in artifacts}
        known = [installer for installer in needed.values() if installer is not None]
        if not known or len(known) < len(needed):
            return None
        return (
            known[0] if len(artifacts) == 1 or (len(known) == 1 and known[0].joins) else UnitInstaller(self.installers)
        )

    def require_installer(self, manifest: Manifest) -> Installer:
        """Return the installer; raise StepError where this agent has it no more."""
        installer = self.installer(manifest)
        if installer is None:
            raise StepError(Symptom.NOT_APPLICABLE, f"No installer on this computer can work on {manifest.release}.")
        return installer

    def installed_version(self, manifest: Manifest) -> str:
        """Return the version that is installed, read back from the computer; empty when none is."""
        installer = self.installer(manifest)
        return installer.installed_version(manifest, self.artifacts(manifest), self.root) if installer else ""

    def folder(self, record: Record) -> Path:
        """Return the assignment's private folder for verified files."""
        return self.staging / hashlib.sha256(record.warrant.assignment_id.encode()).hexdigest()[:32]

    def staged_files(self, record: Record, staged: dict[str, str], manifest: Manifest) -> tuple[StagedFile, ...]:
        """Return the staged files, each hashed again from disk; raise StepError when one is missing or changed."""
        by_name = {artifact.file: artifact for artifact in manifest.artifacts}
        return tuple(
            self._staged_file(name, self.folder(record) / path, by_name[name]) for name, path in staged.items()
        )

    def work(self, record: Record, files: tuple[StagedFile, ...] = ()) -> InstallWork:
        """Return what the installer may know; the way back's files are verified again too."""
        manifest = read_manifest(record.manifest_json.encode())
        policy = self.policy(record.warrant)
        return InstallWork(
            manifest,
            self.artifacts(manifest),
            files,
            self.root,
            self.kept,
            record.version_before,
            timeout_seconds=policy.install_timeout_seconds,
            backup_required=policy.backup_required,
            previous=self._previous(record),
            retention=Retention(policy.kept_versions, policy.kept_age_seconds, policy.kept_size_bytes),
        )

    def health_context(self, step: str) -> HealthContext:
        """Return what health checks may know."""
        return HealthContext(self.root, self.computer_name(), step)

    def _previous(self, record: Record) -> PreviousRelease | None:
        if not record.previous_json:
            return None
        manifest = read_manifest(record.previous_json.encode())
        try:
            return PreviousRelease(manifest, self.staged_files(record, record.previous_staged, manifest))
        except StepError:
            return None  # the installer finds another way back, or says that there is none

    def _staged_file(self, name: str, path: Path, artifact: Artifact) -> StagedFile:
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    digest.update(piece)
        except OSError as error:
            raise StepError(
                Symptom.DOWNLOAD_DIGEST_MISMATCH, f"The staged file {name} cannot be read: {error.strerror}."
            ) from error
        if digest.hexdigest() != artifact.sha256:
            path.unlink(missing_ok=True)
            raise StepError(Symptom.DOWNLOAD_DIGEST_MISMATCH, f"The staged file {name} was changed after verification.")
        return StagedFile(name, path, artifact.length, artifact.sha256)
