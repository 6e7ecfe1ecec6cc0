"""Installs archives: `<into>/<version>/` below the root, and `<into>/<link>`, a relative link that says which runs.

Decides how a version's folder is filled and when it is whole. What an archive may hold is `archive_rules`'s, how it
comes to the disk `archive_tree`'s, what lies beside it and how the link goes back `laid_versions`'s. Rule: the folder
of a version is complete and flushed before it gets its name, so a folder with a version's name is whole.
"""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sopwith_agent.adapters.installers.archive_stream import unpacked_size_default
from sopwith_agent.adapters.installers.archive_tree import (
    Contents,
    Limits,
    holds,
    look_through,
    make_folders,
    write_tree,
)
from sopwith_agent.adapters.installers.laid_versions import (
    PASSING,
    Laid,
    Place,
    found_on_disk,
    place_options,
    switch_back,
    way_back,
)
from sopwith_agent.adapters.installers.os_failures import classified
from sopwith_agent.domain.errors import StepError
from sopwith_agent.steps.installer_port import InstallWork, OnDisk, Refusal, WayBack
from sopwith_formats.durable import durable_move, durable_symlink
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import Artifact, Manifest
from sopwith_formats.units import parse_size
from sopwith_formats.vocabulary import Symptom

_OPTIONS = ("into", "link", "unpacked_size_max")


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
            place.check_link()
            laid = Laid.read(work, place, self.name)
            check_folder(work, place, laid, look_into(work, _size_max(work)))
            place.sweep()
            laid.claim(work, place)
            return way_back(work, place)

    def apply(self, work: InstallWork, on_commit: Callable[[], None]) -> None:
        """Lay the version's folder, then switch the link."""
        place = _place(work.manifest, work.artifacts, work.root)
        version = work.manifest.version
        if place.current() == version:
            return  # switched before a crash; committing again would count twice
        with classified("unpacking the archive"):
            lay(work, place, _size_max(work))
        on_commit()
        with classified("switching the link", changed=True):
            durable_symlink(version, place.link)

    def roll_back(self, work: InstallWork) -> None:
        """Switch the link back, or remove it; then remove the new version's folder."""
        place = _place(work.manifest, work.artifacts, work.root)
        with classified("switching the link back", changed=True):
            switch_back(work, place, Laid.read(work, place, self.name))

    def recover(self, work: InstallWork) -> OnDisk:
        """Tell which version the link names."""
        with classified("reading the link"):
            return found_on_disk(work, _place(work.manifest, work.artifacts, work.root))


def _read_options(manifest: Manifest, artifact: Artifact) -> dict[str, Any]:
    options = place_options(artifact.options, manifest.name, _OPTIONS)
    size = options.get("unpacked_size_max")
    if isinstance(size, str):
        size = parse_size(size)
    if size is None:
        size = unpacked_size_default(artifact.length)
    if type(size) is not int or size <= 0:
        raise FormatError("must be a size", where="unpacked_size_max")
    return {**options, "unpacked_size_max": size}


def _place(manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> Place:
    try:
        options = _read_options(manifest, artifacts[0])
    except FormatError as error:
        raise StepError(Symptom.CONTENT_REFUSED, f"options of {artifacts[0].file}: {error}") from error
    return Place.of(root, options)


def _size_max(work: InstallWork) -> int:
    return int(_read_options(work.manifest, work.artifacts[0])["unpacked_size_max"])


def look_into(work: InstallWork, unpacked_size_max: int) -> Contents:
    """Return what the one archive of an install holds; refuse one that breaks the rules."""
    staged = work.staged(work.artifacts[0])
    with staged.path.open("rb") as file:
        return look_through(file, staged, Limits(unpacked_size_max, time.monotonic() + work.timeout_seconds))


def lay(work: InstallWork, place: Place, unpacked_size_max: int) -> None:
    """Unpack the archive to its version's folder, which gets its name when it is whole."""
    staged = work.staged(work.artifacts[0])
    limits = Limits(unpacked_size_max, time.monotonic() + work.timeout_seconds)
    target = place.version(work.manifest.version)
    with staged.path.open("rb") as file:
        contents = look_through(file, staged, limits)
        if target.is_dir() and holds(target, contents):
            return  # laid by an earlier try
        make_folders(place.folder)
        place.discard(target)
        unfinished = place.folder / f"{PASSING}{work.manifest.version}"
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            write_tree(file, staged, limits, contents, unfinished)
            durable_move(unfinished, target)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise


def check_folder(work: InstallWork, place: Place, laid: Laid, contents: Contents) -> None:
    """Refuse a version's folder that is there with another content and that this agent did not lay."""
    folder = place.version(work.manifest.version)
    if os.path.lexists(folder) and work.manifest.version not in laid.versions and not holds(folder, contents):
        raise StepError(
            Symptom.FILE_OR_SERVICE_IN_USE,
            f"{folder} is there already, with another content, and this agent did not lay it",
            remedy="move it away, or choose another options.into",
        )
