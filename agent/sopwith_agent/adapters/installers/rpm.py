"""Installs rpm packages with the computer's own rpm, and goes back to the package before.

Decides what is checked before rpm starts, what the way back is and when it is whole; how rpm is called is `rpm_tool`'s.
The commit point is the start of `rpm -U`.

Rules: the package's name and version are what the release says (a version is `version-release`, with its epoch where it
has one); rpm itself rehearses the whole act before anything changes, so missing packages, file conflicts, another
architecture and a full disk change nothing. Every package that Sopwith installs is kept; the way back is the kept
package, else the older release's file from the source; a first install is removed again. rpm cannot pack what is
installed again, so a package of unknown origin has no way back. After a crash an rpm that still runs is waited for, and
what it left is verified file by file, since its database alone does not tell. The package's name is `options.package`,
else the file's (`name-version-release.arch.rpm`), else the release's.
"""

import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from sopwith_agent.adapters.installers import rpm_tool, tools
from sopwith_agent.adapters.installers.kept_files import (
    copy_staged,
    drop_files,
    package_retention,
    read_note,
    verified,
    write_note,
)
from sopwith_agent.adapters.installers.os_failures import classified
from sopwith_agent.adapters.installers.rpm_tool import Rpm, RpmTool, complaint
from sopwith_agent.adapters.package_lock import ADMIN_FOLDER, held, rpm_lock_holder
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_agent.steps.installer_port import InstallWork, OnDisk, Refusal, WayBack
from sopwith_agent.steps.ports import StagedFile
from sopwith_formats.durable import durable_move, make_private_folder
from sopwith_formats.manifest import Artifact, Manifest
from sopwith_formats.vocabulary import Symptom

_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,127}")
_FILE = re.compile(r"(.+)-[^-]+-[^-]+\.[a-z0-9_]+\.rpm")
_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class _Change:
    """One package of an install: what comes, and what was there."""

    name: str
    new: str
    """Version that comes."""
    new_file: str
    new_sha256: str
    old: tuple[str, ...]
    """Versions that were there; empty: none."""
    old_file: str
    kind: str
    detail: str


class RpmInstaller:
    """The `rpm` installer."""

    name = "rpm"
    joins = True

    def available(self) -> bool:
        """Tell whether rpm is here."""
        return tools.present(self.name)

    def applicable(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> Refusal | None:
        """Refuse where there is no rpm, where dpkg keeps the packages, or where options make no sense."""
        if not self.available():
            return Refusal(Symptom.NOT_APPLICABLE, "rpm is not on this computer", "give the artifact a `when`")
        if not RpmTool(root).exists and (root / ADMIN_FOLDER / "status").exists():
            message = "this computer keeps its packages with dpkg; rpm has no database on it"
            return Refusal(Symptom.NOT_APPLICABLE, message, "give the artifact a `when` with its distribution")
        for artifact in artifacts:
            if artifact.options.keys() - {"package"} or not _PACKAGE.fullmatch(_package(manifest, artifact)):
                message = f"options of {artifact.file} may only hold package, the name of an rpm package"
                return Refusal(Symptom.CONTENT_REFUSED, message, "mend the release")
        return None

    def installed_version(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> str:
        """Return the first package's version from rpm's database; empty unless every package is there once."""
        tool = RpmTool(root)
        found = [tool.installed(_package(manifest, artifact)) for artifact in artifacts]
        return found[0][0].version if all(len(packages) == 1 for packages in found) else ""

    def prepare(self, work: InstallWork) -> WayBack:
        """Check the packages, let rpm rehearse, and put the way back aside."""
        tool = RpmTool(work.root)
        with classified("preparing the package"):
            _refuse_held_lock(work.root)
            now = self.installed_version(work.manifest, work.artifacts, work.root)
            if now != work.version_before:
                message = f"the installed version changed from {work.version_before!r} to {now!r} meanwhile"
                raise StepError(Symptom.VERSION_MISMATCH, message, remedy="retry; somebody else works on this computer")
            changes = [_change(work, tool, artifact) for artifact in work.artifacts]
            scratch = _folder(work) / "scratch"
            make_private_folder(scratch)
            files = [_folder(work) / change.new_file for change in changes]
            if any(change.old != (change.new,) for change in changes):
                finished = tool.rehearse(files, scratch, work.timeout_seconds)
                if not finished.ok:
                    raise complaint(finished, f"rpm would not install {work.manifest.release}", changed=False)
            impossible = [change for change in changes if change.kind == "none"]
            if impossible and work.backup_required:
                remedy = "publish the older release too"
                raise StepError(Symptom.BACKUP_FAILED, impossible[0].detail, remedy=remedy)
            write_note(work, self.name, {"changes": [asdict(change) for change in changes]})
            _sweep(work, changes)
            first = (impossible or changes)[0]
            return WayBack(first.kind, first.detail)

    def apply(self, work: InstallWork, on_commit: Callable[[], None]) -> None:
        """Run `rpm -U` on the kept copies of the verified packages."""
        changes = _noted(work)
        if changes is None:
            raise StepError(Symptom.BACKUP_FAILED, "the way back was not prepared", remedy="prepare the install again")
        tool = RpmTool(work.root)
        if _look(changes, tool) is OnDisk.NEW:
            return  # installed before a crash; committing again would count twice
        with classified("reading the kept packages"):
            files = [verified(_folder(work) / change.new_file, change.new_sha256) for change in changes]
        _refuse_held_lock(work.root)
        on_commit()
        with classified("clearing away what a killed rpm left"):
            tool.sweep_unfinished(files)
        finished = tool.change(["-U", "--oldpackage", *files], work.timeout_seconds)
        if not finished.ok:
            raise complaint(finished, f"rpm -U of {work.manifest.release}", changed=True)

    def roll_back(self, work: InstallWork) -> None:
        """Install the packages before, or remove what was not there before."""
        deadline = time.monotonic() + work.timeout_seconds
        _wait_for_rpm(work.root, deadline)
        changes = _noted(work)
        if changes is None:
            return
        names = [name for change in changes for name in (change.old_file, change.new_file) if name]
        with classified("clearing away what a killed rpm left"):
            RpmTool(work.root).sweep_unfinished([path for name in names if (path := _folder(work) / name).exists()])
        if _look(changes, RpmTool(work.root)) is OnDisk.OLD:
            return
        old = [_folder(work) / change.old_file for change in changes if change.old]
        new = [change.name for change in changes if not change.old and RpmTool(work.root).installed(change.name)]
        acts: list[list[str | Path]] = []
        if old:
            acts.append(["-U", "--oldpackage", "--replacepkgs", "--replacefiles", *old])
        if new:
            acts.append(["-e", "--allmatches", *new])
        for arguments in acts:
            finished = RpmTool(work.root).change(arguments, max(1.0, deadline - time.monotonic()))
            if not finished.ok:
                failed = complaint(finished, f"rpm {arguments[0]}", changed=True)
                message = f"rolling back {work.manifest.release}: {failed.message}"
                raise StepError(Symptom.ROLLBACK_FAILED, message, changed=True) from failed
        if _look(changes, RpmTool(work.root)) is not OnDisk.OLD:
            message = f"after rolling back, {', '.join(change.name for change in changes)} is not as before"
            raise StepError(Symptom.ROLLBACK_FAILED, message, changed=True)

    def recover(self, work: InstallWork) -> OnDisk:
        """Wait for an rpm that still runs, then compare database and files with before and after."""
        _wait_for_rpm(work.root, time.monotonic() + work.timeout_seconds)
        changes = _noted(work)
        return OnDisk.OLD if changes is None else _look(changes, RpmTool(work.root))


def _look(changes: list[_Change], tool: RpmTool) -> OnDisk:
    found = [tuple(rpm.version for rpm in tool.installed(change.name)) for change in changes]
    whole = all(not there or not tool.damage(change.name) for change, there in zip(changes, found, strict=True))
    if whole and all(there == (change.new,) for change, there in zip(changes, found, strict=True)):
        return OnDisk.NEW
    as_before = all(there == change.old for change, there in zip(changes, found, strict=True))
    return OnDisk.OLD if whole and as_before else OnDisk.BROKEN


def _change(work: InstallWork, tool: RpmTool, artifact: Artifact) -> _Change:
    rpm, path = _keep(work, work.staged(artifact))
    wanted = _package(work.manifest, artifact)
    says = ""
    if rpm.name != wanted:
        says = f"is the package {rpm.name}, and the release says {wanted}"
    elif artifact is work.artifacts[0] and rpm.version != work.manifest.version:
        says = f"is version {rpm.version}, and the release says {work.manifest.version}"
    if says:
        path.unlink()
        remedy = "publish it with its own name and version-release (or options.package)"
        raise TrustError(Symptom.CONTENT_REFUSED, f"{artifact.file} {says}", remedy=remedy)
    installed = tool.installed(rpm.name)
    kind, detail, file = _way_back(work, rpm.name, installed)
    old = tuple(package.version for package in installed)
    return _Change(rpm.name, rpm.version, rpm.file_name, artifact.sha256, old, file, kind, detail)


def _way_back(work: InstallWork, name: str, installed: list[Rpm]) -> tuple[str, str, str]:
    """Return kind, sentence and file name of a copy of what is installed now."""
    if not installed:
        return "removal", f"{name} was not installed; rolling back removes it", ""
    if len(installed) > 1:
        versions = ", ".join(package.version for package in installed)
        return "none", f"{name} is installed in several versions ({versions}); an update would remove them all", ""
    package = installed[0]
    shown = f"{name} {package.version}"
    if (_folder(work) / package.file_name).exists():
        return "kept", f"{shown} was kept when it was installed", package.file_name
    for staged in work.previous.files if work.previous else ():
        rpm, path = _keep(work, staged)
        if (rpm.name, rpm.version) == (name, package.version):
            return "source", f"{shown} came from the source's older release", rpm.file_name
        path.unlink()
    return "none", f"no copy of {shown} was kept, and the source has none", ""


def _keep(work: InstallWork, staged: StagedFile) -> tuple[Rpm, Path]:
    incoming = copy_staged(staged, _folder(work))
    try:
        rpm = rpm_tool.read_package(incoming)
    except TrustError:
        incoming.unlink()
        raise
    path = _folder(work) / rpm.file_name
    durable_move(incoming, path)
    return rpm, path


def _noted(work: InstallWork) -> list[_Change] | None:
    note = read_note(work, RpmInstaller.name)
    if note is None:
        return None
    try:
        return [_Change(**{**item, "old": tuple(item["old"])}) for item in note["changes"]]
    except (KeyError, TypeError) as error:
        message = f"the note of what was installed before {work.manifest.release} cannot be read: {error}"
        raise StepError(Symptom.BACKUP_FAILED, message) from error


def _sweep(work: InstallWork, changes: list[_Change]) -> None:
    """Remove copies that need not be kept."""
    for change in changes:
        named = [(path, _FILE.fullmatch(path.name)) for path in _folder(work).glob(f"{change.name}-*.rpm")]
        copies = [path for path, match in named if match and match[1] == change.name]
        drop_files(copies, (change.old_file, change.new_file), package_retention(work))


def _folder(work: InstallWork) -> Path:
    return work.kept / RpmInstaller.name


def _package(manifest: Manifest, artifact: Artifact) -> str:
    named = artifact.options.get("package")
    if named is not None:
        return str(named)
    match = _FILE.fullmatch(artifact.file)
    return match[1] if match else manifest.name


def _refuse_held_lock(root: Path) -> None:
    holder = rpm_lock_holder(root)
    if holder:
        raise held(holder)


def _wait_for_rpm(root: Path, deadline: float) -> None:
    while holder := rpm_lock_holder(root) or rpm_tool.running_below(root):
        if time.monotonic() > deadline:
            raise held(holder)
        time.sleep(_POLL_SECONDS)
