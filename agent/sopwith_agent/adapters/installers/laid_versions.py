"""Versions that lie side by side in one folder, and the relative link that says which of them runs.

Decides where such a release lies, what counts as ours there, and how the link goes back; how a version's folder is
filled is the installer's (`archive`, `wheel`). Rules: the link's one atomic rename is the commit point; the folder of
the version before stays, for it is the way back, and earlier ones as `retention` says; only folders that this agent
laid are ever removed or replaced, and it keeps a list; passing names begin with `.sopwith-` and are swept by the next
prepare or rollback.
"""

import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sopwith_agent.adapters.below_root import below_root
from sopwith_agent.adapters.installers.kept_files import kept_version
from sopwith_agent.domain.errors import StepError
from sopwith_agent.domain.retention import to_drop
from sopwith_agent.steps.installer_port import InstallWork, OnDisk, WayBack
from sopwith_formats import canonical_json
from sopwith_formats.durable import (
    durable_move,
    durable_remove,
    durable_replace,
    durable_symlink,
    flush_folder,
    make_private_folder,
    sweep_beside,
)
from sopwith_formats.errors import FormatError
from sopwith_formats.vocabulary import Symptom

PASSING = ".sopwith-"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~-]{0,99}")


@dataclass(frozen=True)
class Place:
    """Where the versions of one release lie on this computer."""

    folder: Path
    link: Path

    @classmethod
    def of(cls, root: Path, options: dict[str, Any]) -> "Place":
        """Return the place that checked options name below the root."""
        folder = below_root(root, options["into"])
        return cls(folder, folder / options["link"])

    def version(self, version: str) -> Path:
        """Return a version's folder."""
        return self.folder / version

    def current(self) -> str:
        """Return the version that the link names, empty when it names none that is there."""
        if not self.link.is_symlink():
            return ""
        target = str(self.link.readlink())
        return target if "/" not in target and target not in (".", "..") and self.version(target).is_dir() else ""

    def check_link(self) -> None:
        """Refuse a link that somebody else made into something else."""
        if os.path.lexists(self.link) and not self.current():
            raise StepError(
                Symptom.FILE_OR_SERVICE_IN_USE,
                f"{self.link} is not a link to a version's folder beside it; somebody else made it",
                remedy="move it away, or choose another options.link",
            )

    def discard(self, folder: Path) -> None:
        """Remove a version; its name goes first, so that a folder with a version's name is whole at every moment."""
        if not folder.exists() and not folder.is_symlink():
            return
        waste = self.folder / f"{PASSING}waste-{folder.name}"
        shutil.rmtree(waste, ignore_errors=True)
        if folder.is_dir() and not folder.is_symlink():
            durable_move(folder, waste)
            shutil.rmtree(waste, ignore_errors=True)
        else:
            durable_remove(folder)

    def sweep(self) -> None:
        """Remove what was cut off half-way."""
        if not self.folder.is_dir():
            return
        for child in self.folder.iterdir():
            if child.name.startswith(PASSING):
                shutil.rmtree(child, ignore_errors=True)
        sweep_beside(self.link)
        flush_folder(self.folder)


@dataclass(frozen=True)
class Laid:
    """The list of versions that this agent laid in one place; only their folders are ever removed."""

    record: Path
    versions: frozenset[str]

    @classmethod
    def read(cls, work: InstallWork, place: Place, installer: str) -> "Laid":
        """Return the list; an unreadable one only means that nothing is removed."""
        record = work.kept / installer / f"{work.manifest.name}.json"
        try:
            document = canonical_json.decode(record.read_bytes())
        except (OSError, FormatError):
            document = None
        if not isinstance(document, dict) or document.get("into") != str(place.folder):
            return cls(record, frozenset())
        named = (version for version in document.get("laid", []) if isinstance(version, str) and "/" not in version)
        return cls(record, frozenset(named) - {".", ".."})

    def claim(self, work: InstallWork, place: Place) -> None:
        """Put the new version on the list, unless its folder is somebody else's; remove what need not be kept."""
        version = work.manifest.version
        new = set() if place.version(version).exists() else {version}
        earlier = {one: place.version(one) for one in self.versions - {version} if place.version(one).is_dir()}
        needed = {work.version_before, place.current()}
        there = [kept_version(folder, needed=one in needed) for one, folder in earlier.items()]
        gone = to_drop(there, work.retention, time.time())
        for unused in gone:
            place.discard(earlier[unused])
        kept = (earlier.keys() - set(gone)) | (self.versions & {version})
        make_private_folder(self.record.parent)
        document = {"into": str(place.folder), "laid": sorted(kept | new)}
        durable_replace(self.record, canonical_json.encode(document), 0o600)


def place_options(options: dict[str, Any], name: str, known: tuple[str, ...]) -> dict[str, Any]:
    """Return the options with their defaults; raise FormatError for unknown ones, and a place that makes no sense."""
    found = {"into": f"/opt/{name}", "link": "current", **options}
    unknown = sorted(found.keys() - set(known))
    if unknown:
        raise FormatError(f"unknown {', '.join(unknown)}", remedy=f"allowed are {', '.join(known)}")
    into, link = found["into"], found["link"]
    if not isinstance(into, str) or not into.startswith("/") or not into.strip("/") or ".." in into.split("/"):
        raise FormatError("must be an absolute folder without ..", where="into")
    if "\0" in into:
        raise FormatError("must not hold a NUL", where="into")
    if not isinstance(link, str) or not _PLAIN_NAME.fullmatch(link):
        raise FormatError("must be a plain name", where="link")
    return found


def way_back(work: InstallWork, place: Place) -> WayBack:
    """Return how the link goes back; refuse where it could not and has to."""
    if not work.version_before:
        return WayBack("removal", "a first install; rolling back removes it")
    if place.version(work.version_before).is_dir():
        return WayBack("kept", f"the folder of {work.version_before} stays")
    if work.backup_required:
        message = f"the folder of the running version {work.version_before} is gone, so there is no way back"
        raise StepError(Symptom.BACKUP_FAILED, message, remedy="bring it back, or remove the link")
    return WayBack("none", f"the folder of {work.version_before} is gone")


def switch_back(work: InstallWork, place: Place, laid: Laid) -> None:
    """Switch the link back, or remove it; then remove the new version's folder."""
    before, version = work.version_before, work.manifest.version
    if before and place.current() != before:
        if not place.version(before).is_dir():
            message = f"the folder of {before} is gone from {place.folder}; there is nothing to go back to"
            raise StepError(Symptom.ROLLBACK_FAILED, message, changed=True)
        durable_symlink(before, place.link)
    if not before and place.current() in ("", version) and place.link.is_symlink():
        durable_remove(place.link)
    if before != version and version in laid.versions:
        place.discard(place.version(version))
    place.sweep()


def found_on_disk(work: InstallWork, place: Place) -> OnDisk:
    """Tell which version the link names."""
    current = place.current()
    if current == work.manifest.version:
        return OnDisk.NEW
    dangling = place.link.is_symlink() and not current
    return OnDisk.OLD if current == work.version_before and not dangling else OnDisk.BROKEN
