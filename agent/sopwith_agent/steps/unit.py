"""A release whose files come by several installers, in the manifest's order: one unit to every step.

Decides the order of acts and what the whole means; each part is its own installer's. Rules: files that follow each
other and belong to one installer that joins them are one part, every other file is a part of its own; all parts are
prepared before the first one changes anything; there is one commit point, the first part's; rolling back goes through
the parts in reverse order. What each part found before is noted in `kept/unit`, durable before the commit point. The
unit has a version only where all parts have the same; where they differ it reads as the first part's with `~partial`,
which no release is called and which is older than that version.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from sopwith_agent.domain.errors import StepError
from sopwith_agent.steps.installer_port import (
    Installer,
    Installers,
    InstallWork,
    OnDisk,
    PreviousRelease,
    Refusal,
    WayBack,
)
from sopwith_formats import canonical_json
from sopwith_formats.durable import durable_replace, make_private_folder
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import Artifact, Manifest
from sopwith_formats.vocabulary import Symptom

_PARTIAL = "~partial"


@dataclass(frozen=True)
class _Part:
    installer: Installer
    artifacts: tuple[Artifact, ...]
    ordinal: int
    """Of this installer's parts, from 0."""

    def kept(self, kept: Path) -> Path:
        """Return where the part keeps its material: with the installer's other releases, unless it is a further one."""
        return kept / f"unit-{self.ordinal}" if self.ordinal else kept


class UnitInstaller:
    """Several installers as one."""

    name = "unit"
    joins = True

    def __init__(self, installers: Installers) -> None:
        self._installers = installers

    def available(self) -> bool:
        """Return True: whether the parts can work is told by `applicable`."""
        return True

    def applicable(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> Refusal | None:
        """Return the first part's refusal."""
        refusals = (part.installer.applicable(manifest, part.artifacts, root) for part in self._parts(artifacts))
        return next((refusal for refusal in refusals if refusal), None)

    def installed_version(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> str:
        """Return the version that all parts share, the first one's with `~partial` where they differ."""
        versions = self._versions(manifest, artifacts, root)
        if len(set(versions)) == 1:
            return versions[0]
        found = next((version for version in versions if version), "")
        return f"{found.removesuffix(_PARTIAL)}{_PARTIAL}"

    def prepare(self, work: InstallWork) -> WayBack:
        """Prepare every part; the unit's way back is its weakest part's."""
        before = self._versions(work.manifest, work.artifacts, work.root)
        parts = self._parts(work.artifacts)
        ways = [
            part.installer.prepare(self._work(work, part, version)) for part, version in zip(parts, before, strict=True)
        ]
        path = _note_path(work)
        make_private_folder(path.parent)
        durable_replace(path, canonical_json.encode({"version": work.manifest.version, "before": before}), 0o600)
        impossible = next((way for way in ways if not way.possible), None)
        told = "; ".join(f"{part.installer.name}: {way.detail}" for part, way in zip(parts, ways, strict=True))
        return impossible or WayBack("kept" if any(way.kind != "removal" for way in ways) else "removal", told)

    def apply(self, work: InstallWork, on_commit: Callable[[], None]) -> None:
        """Install the parts in order; the first change of any part is the unit's commit point."""
        committed = False

        def commit_once() -> None:
            nonlocal committed
            if not committed:
                on_commit()
                committed = True

        for part, part_work in self._noted(work):
            try:
                part.installer.apply(part_work, commit_once)
            except StepError as error:
                error.changed = error.changed or committed
                raise

    def roll_back(self, work: InstallWork) -> None:
        """Roll the parts back, the last one first."""
        for part, part_work in reversed(self._noted(work)):
            part.installer.roll_back(part_work)

    def recover(self, work: InstallWork) -> OnDisk:
        """Tell whether all parts are as before, or all new."""
        noted = self._noted(work)
        found = [(part.installer.recover(part_work), part_work) for part, part_work in noted]
        if found and all(state is OnDisk.NEW for state, _ in found):
            return OnDisk.NEW
        as_before = [
            state is OnDisk.OLD or (state is OnDisk.NEW and part_work.version_before == work.manifest.version)
            for state, part_work in found
        ]
        return OnDisk.OLD if all(as_before) else OnDisk.BROKEN

    def _parts(self, artifacts: tuple[Artifact, ...]) -> list[_Part]:
        parts: list[_Part] = []
        for name, group in groupby(artifacts, key=lambda artifact: artifact.installer):
            installer = self._installers.by_name(name)
            if installer is None:
                raise StepError(Symptom.NOT_APPLICABLE, f"No installer on this computer is called {name}.")
            together = tuple(group)
            for files in [together] if installer.joins else [(file,) for file in together]:
                parts.append(_Part(installer, files, sum(part.installer.name == name for part in parts)))
        return parts

    def _versions(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> list[str]:
        parts = self._parts(artifacts)
        return [part.installer.installed_version(manifest, part.artifacts, root) for part in parts]

    def _noted(self, work: InstallWork) -> list[tuple[_Part, InstallWork]]:
        """Return the parts with their work as it was prepared; none where it never was."""
        before = _read_note(work)
        if before is None:
            return []
        parts = self._parts(work.artifacts)
        return [(part, self._work(work, part, version)) for part, version in zip(parts, before, strict=True)]

    def _work(self, work: InstallWork, part: _Part, before: str) -> InstallWork:
        wanted = {artifact.file for artifact in part.artifacts}
        return replace(
            work,
            artifacts=part.artifacts,
            files=tuple(file for file in work.files if file.file in wanted),
            kept=part.kept(work.kept),
            version_before=before,
            previous=_previous(work.previous, part),
        )


def _previous(previous: PreviousRelease | None, part: _Part) -> PreviousRelease | None:
    """Return the older release with the files of the part's installer only."""
    if previous is None:
        return None
    own = {artifact.file for artifact in previous.manifest.artifacts if artifact.installer == part.installer.name}
    return replace(previous, files=tuple(file for file in previous.files if file.file in own))


def _note_path(work: InstallWork) -> Path:
    return work.kept / "unit" / f"{work.manifest.name}.json"


def _read_note(work: InstallWork) -> list[str] | None:
    path = _note_path(work)
    try:
        note = canonical_json.decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except (FormatError, OSError) as error:
        message = f"The note {path} of what was installed before cannot be read: {error}."
        raise StepError(Symptom.BACKUP_FAILED, message) from error
    if not isinstance(note, dict) or note.get("version") != work.manifest.version:
        return None
    return [str(version) for version in note["before"]]
