"""What the steps need from an installer: one contract for every kind of update file.

The port decides the order of acts and their names; how a package tool or an archive is handled is the adapter's, and
when to install, retry or roll back is the steps'. One assignment calls `applicable`, `prepare`, `apply`, then reads
`installed_version` back; `roll_back` and `recover` may be called after any of them, also by a new process after a
crash.

Rules
- Nothing of the computer changes before `apply` calls `on_commit`; what was made ready until then is invisible to it
  and is swept by the next `prepare`. `on_commit` makes the journal's record durable and is called exactly once,
  immediately before the act that cannot be taken back (the link switch, the package tool's start).
- Every method may be called again after it was cut short, and then ends as if it had run once.
- Failures are `StepError` with a symptom, `changed` telling whether the computer may have been changed; content that
  breaks the rules is a `TrustError` (CONTENT_REFUSED). No other exception is raised on purpose.
- Methods are synchronous, bounded by `timeout_seconds`, and never ask anybody anything.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from sopwith_agent.domain.retention import Retention
from sopwith_agent.steps.ports import StagedFile
from sopwith_formats.manifest import Artifact, Manifest
from sopwith_formats.vocabulary import Symptom


@dataclass(frozen=True)
class Refusal:
    """Why an installer cannot bring a release to this computer."""

    symptom: Symptom
    message: str
    remedy: str = ""


@dataclass(frozen=True)
class PreviousRelease:
    """The release that runs now, fetched again from the source because no copy of it was kept."""

    manifest: Manifest
    files: tuple[StagedFile, ...]


@dataclass(frozen=True)
class InstallWork:
    """Everything an installer may know about one install; immutable, rebuilt from the journal after a crash."""

    manifest: Manifest
    artifacts: tuple[Artifact, ...]
    """Those of the manifest that apply to this computer (see domain.applicability); all of one installer."""
    files: tuple[StagedFile, ...]
    """One per artifact, verified, in a private folder; empty when only `roll_back` or `recover` follows."""
    root: Path
    """Absolute; everything is installed below it."""
    kept: Path
    """The agent's folder for rollback material (0700); installers make their own folders in it."""
    version_before: str
    """As `installed_version` answered before `prepare`, kept in the journal; empty: nothing was installed."""
    timeout_seconds: int = 1800
    backup_required: bool = True
    """The SOP wants a way back; without one `prepare` refuses (BACKUP_FAILED)."""
    previous: PreviousRelease | None = None
    retention: Retention = field(default_factory=Retention)
    """How much of earlier versions stays, beyond what the way back needs."""

    def staged(self, artifact: Artifact) -> StagedFile:
        """Return the artifact's verified file; raise KeyError when it is not there."""
        for file in self.files:
            if file.file == artifact.file:
                return file
        raise KeyError(artifact.file)


@dataclass(frozen=True)
class WayBack:
    """How this install would be undone, found before it begins."""

    kind: str
    """removal (first install), kept, source (the older release's file), repacked, or none."""
    detail: str
    """One sentence for the record."""

    @property
    def possible(self) -> bool:
        """Tell whether a rollback can succeed."""
        return self.kind != "none"


class OnDisk(StrEnum):
    """What lies on the computer after a crash."""

    OLD = "OLD"
    """What was there before, whole."""
    NEW = "NEW"
    """The release, whole: go on with confirming."""
    BROKEN = "BROKEN"
    """Neither: roll back."""


class Installer(Protocol):
    """Brings one kind of update file to the computer, and back."""

    name: str
    """As manifests name it: deb, archive; a third party's begins with its maker's name: example.flatpak."""
    joins: bool
    """Whether files that follow each other in a release come to the computer in one act; else one by one."""

    def available(self) -> bool:
        """Tell whether the tools that it needs are on this computer."""
        ...

    def applicable(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> Refusal | None:
        """Return why the release cannot be installed here, or None; reads no update file."""
        ...

    def installed_version(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> str:
        """Return the installed version, read back from the computer; empty when absent or not whole."""
        ...

    def prepare(self, work: InstallWork) -> WayBack:
        """Check the files' content strictly and put the way back aside; change nothing else."""
        ...

    def apply(self, work: InstallWork, on_commit: Callable[[], None]) -> None:
        """Install; call `on_commit` once, right before the computer changes."""
        ...

    def roll_back(self, work: InstallWork) -> None:
        """Bring back what `version_before` says; where it runs already, do nothing."""
        ...

    def recover(self, work: InstallWork) -> OnDisk:
        """Tell what is on disk after this process or the computer was cut off; wait for tools that still run."""
        ...


class Installers(Protocol):
    """Finds the installer that an artifact names."""

    def by_name(self, name: str) -> Installer | None:
        """Return the installer, or None where this agent has none of that name."""
        ...

    def names(self) -> tuple[str, ...]:
        """Return the names of installers that can work on this computer, sorted."""
        ...
