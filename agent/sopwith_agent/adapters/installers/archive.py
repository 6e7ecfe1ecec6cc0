"""Installs archives: `<into>/<version>/` below the root, and `<into>/<link>`, a relative link that says which runs.

Decides where an archive release lies and what its commit point is: the one atomic rename of the link. What an archive
may hold is `archive_rules`'s, how it comes to the disk `archive_tree`'s.

Rules: the folder of a version is complete and flushed before it gets its name, so a folder with a version's name is
whole; half-unpacked ones have a name that starts with `.sopwith-` and are swept by the next `prepare` or `roll_back`.
The folder of the version before stays: it is the way back. Older ones are removed. Rolling back removes the new
version's folder, and the link too where nothing was installed before. Only folders that this agent laid are ever
removed or replaced; it keeps a list.
"""

import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sopwith_agent.adapters.below_root import below_root
from sopwith_agent.adapters.installers.archive_stream import unpacked_size_default
from sopwith_agent.adapters.installers.archive_tree import (
    Contents,
    Limits,
    holds,
    look_through,
    make_folders,
    write_tree,
)
from sopwith_agent.adapters.installers.os_failures import classified
from sopwith_agent.domain.errors import StepError
from sopwith_agent.steps.installer_port import InstallWork, OnDisk, Refusal, WayBack
from sopwith_formats import canonical_json
from sopwith_formats.durable import (
    durable_move,
    durable_remove,
    durable_replace,
    durable_symlink,
    flush_folder,
    make_private_folder,
)
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import Artifact, Manifest
from sopwith_formats.units import parse_size
from sopwith_formats.vocabulary import Symptom

_PRIVATE = ".sopwith-"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~-]{0,99}")
_OPTIONS = ("into", "link", "unpacked_size_max")


@dataclass(frozen=True)
class _Place:
    """Where one archive release lives on this computer."""

    folder: Path
    link: Path

    def version(self, version: str) -> Path:
        return self.folder / version

    def current(self) -> str:
        """Return the version that the link names, empty when it names none that is there."""
        if not self.link.is_symlink():
            return ""
        target = str(self.link.readlink())
        return target if "/" not in target and target not in (".", "..") and self.version(target).is_dir() else ""


class ArchiveInstaller:
    """The `archive` installer."""

    name = "archive"
    joins = False

    def available(self) -> bool:
        """Return True: archives need no tool."""
        return True

    def applicable(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> Refusal | None:
        """Refuse releases whose options make no sense here."""
        if len(artifacts) != 1:
            message = f"{len(artifacts)} archives of {manifest.release} are for this computer; one can be installed"
            return Refusal(Symptom.NOT_APPLICABLE, message, "give each archive a `when` of its own")
        try:
            options = _read_options(manifest, artifacts[0])
        except FormatError as error:
            return Refusal(Symptom.CONTENT_REFUSED, f"options of {artifacts[0].file}: {error}", error.remedy)
        if options["link"] == manifest.version:
            return Refusal(Symptom.CONTENT_REFUSED, "options.link is also the version's name", "choose another link")
        return None

    def installed_version(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> str:
        """Return what the link names."""
        with classified("reading the installed version"):
            return _place(manifest, artifacts, root).current()

    def prepare(self, work: InstallWork) -> WayBack:
        """Look through the whole archive, sweep what crashes left, and make sure of the way back."""
        with classified("checking the archive"):
            place = _place(work.manifest, work.artifacts, work.root)
            _check_link(place)
            laid = _Laid.read(work, place)
            _check_folder(work, place, laid, _inspect(work))
            _sweep(place)
            laid.claim(work, place)
            if not work.version_before:
                return WayBack("removal", "a first install; rolling back removes it")
            if place.version(work.version_before).is_dir():
                return WayBack("kept", f"the folder of {work.version_before} stays")
        if work.backup_required:
            message = f"the folder of the running version {work.version_before} is gone, so there is no way back"
            raise StepError(Symptom.BACKUP_FAILED, message, remedy="bring it back, or remove the link")
        return WayBack("none", f"the folder of {work.version_before} is gone")

    def apply(self, work: InstallWork, on_commit: Callable[[], None]) -> None:
        """Lay the version's folder, then switch the link."""
        place = _place(work.manifest, work.artifacts, work.root)
        version = work.manifest.version
        if place.current() == version:
            return  # switched before a crash; committing again would count twice
        with classified("unpacking the archive"):
            _lay(work, place)
        on_commit()
        with classified("switching the link", changed=True):
            durable_symlink(version, place.link)

    def roll_back(self, work: InstallWork) -> None:
        """Switch the link back, or remove it; then remove the new version's folder."""
        place = _place(work.manifest, work.artifacts, work.root)
        before, version = work.version_before, work.manifest.version
        with classified("switching the link back", changed=True):
            if before and place.current() != before:
                if not place.version(before).is_dir():
                    message = f"the folder of {before} is gone from {place.folder}; there is nothing to go back to"
                    raise StepError(Symptom.ROLLBACK_FAILED, message, changed=True)
                durable_symlink(before, place.link)
            if not before and place.current() in ("", version) and place.link.is_symlink():
                durable_remove(place.link)
            if before != version and version in _Laid.read(work, place).versions:
                _discard(place, place.version(version))
            _sweep(place)

    def recover(self, work: InstallWork) -> OnDisk:
        """Tell which version the link names."""
        with classified("reading the link"):
            place = _place(work.manifest, work.artifacts, work.root)
            current = place.current()
            if current == work.manifest.version:
                return OnDisk.NEW
            dangling = place.link.is_symlink() and not current
            return OnDisk.OLD if current == work.version_before and not dangling else OnDisk.BROKEN


@dataclass(frozen=True)
class _Laid:
    """The list of versions that this agent laid in one place; only their folders are ever removed."""

    record: Path
    versions: frozenset[str]

    @classmethod
    def read(cls, work: InstallWork, place: _Place) -> "_Laid":
        """Return the list; an unreadable one only means that nothing is removed."""
        record = work.kept / "archive" / f"{work.manifest.name}.json"
        try:
            document = canonical_json.decode(record.read_bytes())
        except (OSError, FormatError):
            document = None
        if not isinstance(document, dict) or document.get("into") != str(place.folder):
            return cls(record, frozenset())
        named = (version for version in document.get("laid", []) if isinstance(version, str) and "/" not in version)
        return cls(record, frozenset(named) - {".", ".."})

    def claim(self, work: InstallWork, place: _Place) -> None:
        """Put the new version on the list, unless its folder is somebody else's; remove versions without a use."""
        version = work.manifest.version
        new = set() if place.version(version).exists() else {version}
        kept = self.versions & {work.version_before, version, place.current()}
        for unused in self.versions - kept:
            _discard(place, place.version(unused))
        make_private_folder(self.record.parent)
        document = {"into": str(place.folder), "laid": sorted(kept | new)}
        durable_replace(self.record, canonical_json.encode(document), 0o600)


def _read_options(manifest: Manifest, artifact: Artifact) -> dict[str, Any]:
    options = {"into": f"/opt/{manifest.name}", "link": "current", "unpacked_size_max": None, **artifact.options}
    unknown = sorted(options.keys() - set(_OPTIONS))
    if unknown:
        raise FormatError(f"unknown {', '.join(unknown)}", remedy=f"allowed are {', '.join(_OPTIONS)}")
    into, link, size = options["into"], options["link"], options["unpacked_size_max"]
    if not isinstance(into, str) or not into.startswith("/") or not into.strip("/") or ".." in into.split("/"):
        raise FormatError("must be an absolute folder without ..", where="into")
    if "\0" in into:
        raise FormatError("must not hold a NUL", where="into")
    if not isinstance(link, str) or not _PLAIN_NAME.fullmatch(link):
        raise FormatError("must be a plain name", where="link")
    if isinstance(size, str):
        size = parse_size(size)
    if size is None:
        size = unpacked_size_default(artifact.length)
    if type(size) is not int or size <= 0:
        raise FormatError("must be a size", where="unpacked_size_max")
    return {"into": into, "link": link, "unpacked_size_max": size}


def _place(manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> _Place:
    try:
        options = _read_options(manifest, artifacts[0])
    except FormatError as error:
        raise StepError(Symptom.CONTENT_REFUSED, f"options of {artifacts[0].file}: {error}") from error
    folder = below_root(root, options["into"])
    return _Place(folder, folder / options["link"])


def _limits(work: InstallWork) -> Limits:
    options = _read_options(work.manifest, work.artifacts[0])
    return Limits(options["unpacked_size_max"], time.monotonic() + work.timeout_seconds)


def _inspect(work: InstallWork) -> Contents:
    staged = work.staged(work.artifacts[0])
    with staged.path.open("rb") as file:
        return look_through(file, staged, _limits(work))


def _lay(work: InstallWork, place: _Place) -> None:
    staged, limits = work.staged(work.artifacts[0]), _limits(work)
    target = place.version(work.manifest.version)
    with staged.path.open("rb") as file:
        contents = look_through(file, staged, limits)
        if target.is_dir() and holds(target, contents):
            return  # laid by an earlier try
        make_folders(place.folder)
        _discard(place, target)
        unfinished = place.folder / f"{_PRIVATE}{work.manifest.version}"
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            write_tree(file, staged, limits, contents, unfinished)
            durable_move(unfinished, target)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise


def _check_link(place: _Place) -> None:
    if os.path.lexists(place.link) and not place.current():
        raise StepError(
            Symptom.FILE_OR_SERVICE_IN_USE,
            f"{place.link} is not a link to a version's folder beside it; somebody else made it",
            remedy="move it away, or choose another options.link",
        )


def _check_folder(work: InstallWork, place: _Place, laid: _Laid, contents: Contents) -> None:
    folder = place.version(work.manifest.version)
    if os.path.lexists(folder) and work.manifest.version not in laid.versions and not holds(folder, contents):
        raise StepError(
            Symptom.FILE_OR_SERVICE_IN_USE,
            f"{folder} is there already, with another content, and this agent did not lay it",
            remedy="move it away, or choose another options.into",
        )


def _discard(place: _Place, folder: Path) -> None:
    """Take the folder's name first, so that a folder with a version's name is whole at every moment."""
    if not folder.exists() and not folder.is_symlink():
        return
    waste = place.folder / f"{_PRIVATE}waste-{folder.name}"
    shutil.rmtree(waste, ignore_errors=True)
    if folder.is_dir() and not folder.is_symlink():
        durable_move(folder, waste)
        shutil.rmtree(waste, ignore_errors=True)
    else:
        durable_remove(folder)


def _sweep(place: _Place) -> None:
    if not place.folder.is_dir():
        return
    for child in place.folder.iterdir():
        if child.name.startswith(_PRIVATE):
            shutil.rmtree(child, ignore_errors=True)
    flush_folder(place.folder)
