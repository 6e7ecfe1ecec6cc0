"""Installs Python wheels: one environment per version, `<into>/<version>/`, and one link that says which runs.

Decides what wheels may hold, how an environment is filled and when it is whole; the computer's Python and pip are
`wheel_python`'s, the folders and the link `laid_versions`'s. The commit point is the link's switch.

Rules: the first wheel is the release's, of its version and its name (`options.distribution`, else the file's); the
others are what it needs, since nothing is fetched: pip gets exactly these files by their digests, and must then find
that nothing is missing. Wheels are archives and keep the archives' rules. An environment holds its own path and cannot
be moved, so it is made under its final name and is whole only with its mark, written last. The installed version is
read from the metadata of the environment that the link names.
"""

import hashlib
import re
import shutil
import time
from collections.abc import Callable
from email.parser import BytesHeaderParser
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import ZipFile

from sopwith_agent.adapters.installers import tools
from sopwith_agent.adapters.installers.archive_stream import is_zip, refuse, unpacked_size_default
from sopwith_agent.adapters.installers.archive_tree import Limits, look_through, make_folders
from sopwith_agent.adapters.installers.kept_files import copy_staged
from sopwith_agent.adapters.installers.laid_versions import (
    Laid,
    Place,
    found_on_disk,
    place_options,
    switch_back,
    way_back,
)
from sopwith_agent.adapters.installers.os_failures import classified
from sopwith_agent.adapters.installers.wheel_python import Python, ask_python
from sopwith_agent.adapters.processes import Finished
from sopwith_agent.domain.errors import StepError
from sopwith_agent.steps.installer_port import InstallWork, OnDisk, Refusal, WayBack
from sopwith_agent.steps.ports import StagedFile
from sopwith_formats.durable import durable_move, durable_symlink, durable_write, flush_tree
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import Artifact, Manifest
from sopwith_formats.vocabulary import Symptom

_OPTIONS = ("into", "link", "python", "distribution")
_WHEEL = re.compile(r"([A-Za-z0-9._]+)-([^-]+)(-[0-9][^-]*)?-[^-]+-[^-]+-[^-]+\.whl")
_MARK = ".sopwith-whole"
_METADATA_MAX = 2**20
_COMPLAINTS = (
    (r"is not a supported wheel on this platform|requires a different Python", Symptom.NOT_APPLICABLE),
    (r"No space left on device|Disk quota exceeded", Symptom.DISK_FULL),
    (r"which is not installed|but you have|has requirement|ResolutionImpossible", Symptom.DEPENDENCY_CONFLICT),
    (r"Permission denied|Read-only", Symptom.PERMISSION_DENIED),
)


class WheelInstaller:
    """The `wheel` installer."""

    name = "wheel"
    joins = True

    def available(self) -> bool:
        """Tell whether a Python is here."""
        return tools.present(self.name)

    def applicable(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> Refusal | None:
        """Refuse options that make no sense, and computers whose Python cannot run these wheels."""
        try:
            options = _read_options(manifest, artifacts)
        except FormatError as error:
            return Refusal(Symptom.CONTENT_REFUSED, f"options of {artifacts[0].file}: {error}", error.remedy)
        wrong = [artifact.file for artifact in artifacts if not _WHEEL.fullmatch(artifact.file)]
        if wrong or options["link"] == manifest.version:
            message = f"{wrong[0]} is no wheel's name" if wrong else "options.link is also the version's name"
            return Refusal(Symptom.CONTENT_REFUSED, message, "build it with a wheel's own name; choose another link")
        try:
            python = _python(options)
        except StepError as error:
            return Refusal(error.symptom, error.message, error.remedy)
        strange = [artifact.file for artifact in artifacts if not python.fits(artifact.file)]
        if strange:
            version = ".".join(map(str, python.version))
            message = f"{strange[0]} is not for Python {version} on {python.machine}"
            return Refusal(Symptom.NOT_APPLICABLE, message, "give the artifact a `when` with its arch")
        return None

    def installed_version(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> str:
        """Return the version in the metadata of the environment that the link names."""
        with classified("reading the installed version"):
            options, place = _place(manifest, artifacts, root)
            current = place.current()
            if not current or not (place.version(current) / _MARK).is_file():
                return ""
            return _metadata_version(place.version(current), options["distribution"])

    def prepare(self, work: InstallWork) -> WayBack:
        """Look through every wheel, sweep what crashes left, and make sure of the way back."""
        with classified("checking the wheels"):
            options, place = _place(work.manifest, work.artifacts, work.root)
            place.check_link()
            for artifact in work.artifacts:
                _look_through(work, work.staged(artifact))
            _check_metadata(work, options["distribution"])
            refusal = self.applicable(work.manifest, work.artifacts, work.root)
            if refusal:
                raise StepError(refusal.symptom, refusal.message, remedy=refusal.remedy)
            laid = Laid.read(work, place, self.name)
            folder = place.version(work.manifest.version)
            if folder.exists() and work.manifest.version not in laid.versions:
                message = f"{folder} is there already, and this agent did not lay it"
                remedy = "move it away, or choose another options.into"
                raise StepError(Symptom.FILE_OR_SERVICE_IN_USE, message, remedy=remedy)
            place.sweep()
            laid.claim(work, place)
            return way_back(work, place)

    def apply(self, work: InstallWork, on_commit: Callable[[], None]) -> None:
        """Make and fill the version's environment, then switch the link."""
        options, place = _place(work.manifest, work.artifacts, work.root)
        version = work.manifest.version
        if place.current() == version and _whole(work, place.version(version)):
            return  # switched before a crash; committing again would count twice
        with classified("making the environment"):
            _lay(work, place, options)
        on_commit()
        with classified("switching the link", changed=True):
            durable_symlink(version, place.link)

    def roll_back(self, work: InstallWork) -> None:
        """Switch the link back, or remove it; then remove the new version's environment."""
        _, place = _place(work.manifest, work.artifacts, work.root)
        with classified("switching the link back", changed=True):
            switch_back(work, place, Laid.read(work, place, self.name))

    def recover(self, work: InstallWork) -> OnDisk:
        """Tell which version the link names."""
        with classified("reading the link"):
            return found_on_disk(work, _place(work.manifest, work.artifacts, work.root)[1])


def _read_options(manifest: Manifest, artifacts: tuple[Artifact, ...]) -> dict[str, Any]:
    options = place_options(artifacts[0].options, manifest.name, _OPTIONS)
    match = _WHEEL.fullmatch(artifacts[0].file)
    options.setdefault("distribution", match[1] if match else manifest.name)
    options.setdefault("python", tools.find("python3"))
    for key in ("distribution", "python"):
        if not isinstance(options[key], str) or "\0" in options[key]:
            raise FormatError("must be text", where=key)
    if options["python"] and not options["python"].startswith("/"):
        raise FormatError("must be an absolute path", where="python")
    if any(artifact.options for artifact in artifacts[1:]):
        raise FormatError("stand at the first wheel only")
    return options


def _place(manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> tuple[dict[str, Any], Place]:
    try:
        options = _read_options(manifest, artifacts)
    except FormatError as error:
        raise StepError(Symptom.CONTENT_REFUSED, f"options of {artifacts[0].file}: {error}") from error
    return options, Place.of(root, options)


def _python(options: dict[str, Any]) -> Python:
    remedy = "install python3 and python3-venv, or give the artifact a `when`"
    if not options["python"] or not Path(options["python"]).exists():
        message = f"{options['python'] or 'python3'} is not on this computer"
        raise StepError(Symptom.NOT_APPLICABLE, message, remedy=remedy)
    try:
        python = ask_python(options["python"])
    except FormatError as error:
        raise StepError(Symptom.NOT_APPLICABLE, error.message, remedy=remedy) from error
    if not python.makes_environments:
        message = f"{python.path} cannot make environments with pip"
        raise StepError(Symptom.NOT_APPLICABLE, message, remedy=remedy)
    return python


def _look_through(work: InstallWork, staged: StagedFile) -> None:
    limits = Limits(unpacked_size_default(staged.length), time.monotonic() + work.timeout_seconds)
    with staged.path.open("rb") as file:
        look_through(file, staged, limits)
        if not is_zip(file):
            refuse(f"{staged.file} is no wheel", remedy="publish a release with a built wheel")


def _check_metadata(work: InstallWork, distribution: str) -> None:
    first = work.artifacts[0]
    with ZipFile(work.staged(first).path) as archive:
        names = [name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name)]
        if len(names) != 1 or archive.getinfo(names[0]).file_size > _METADATA_MAX:
            refuse(f"{first.file} has no metadata, or more than one wheel's", remedy="publish a built wheel")
        headers = BytesHeaderParser().parsebytes(archive.read(names[0]))
    name, version = str(headers["Name"]), str(headers["Version"])
    if _plain(name) != _plain(distribution) or version != work.manifest.version:
        refuse(
            f"{first.file} is {name} {version}, and the release says {distribution} {work.manifest.version}",
            remedy="publish it with its own name and version (or options.distribution)",
        )


def _lay(work: InstallWork, place: Place, options: dict[str, Any]) -> None:
    folder = place.version(work.manifest.version)
    if _whole(work, folder):
        return  # laid by an earlier try
    python, deadline = _python(options), time.monotonic() + work.timeout_seconds
    make_folders(place.folder)
    place.discard(folder)
    wheels = work.kept / WheelInstaller.name / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    try:
        lines = []
        for artifact in work.artifacts:
            path = wheels / artifact.file
            durable_move(copy_staged(work.staged(artifact), wheels), path)
            lines.append(f"{path.as_uri()} --hash=sha256:{artifact.sha256}\n")
        wanted = wheels / "requirements.txt"
        durable_write(wanted, "".join(lines).encode(), 0o600)
        _demand(python.make_environment(folder, deadline - time.monotonic()), "making the environment")
        install = [
            "install",
            "--no-index",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--require-hashes",
            "-r",
            str(wanted),
        ]
        _demand(python.pip(folder, install, max(1.0, deadline - time.monotonic())), "installing the wheels")
        _demand(python.pip(folder, ["check"], max(1.0, deadline - time.monotonic())), "checking what they need")
        flush_tree(folder)
        durable_write(folder / _MARK, _digest(work))
    except BaseException:
        place.discard(folder)
        raise
    finally:
        shutil.rmtree(wheels, ignore_errors=True)


def _demand(finished: Finished, act: str) -> None:
    if finished.ok:
        return
    if finished.timed_out:
        raise StepError(Symptom.TIMEOUT, f"{act} took too long: {finished.line}")
    for pattern, symptom in _COMPLAINTS:
        if re.search(pattern, finished.output):
            raise StepError(symptom, f"{act}: {finished.line}")
    raise StepError(Symptom.INSTALLER_EXIT_NONZERO, f"{act} ended with {finished.exit_code}: {finished.line}")


def _whole(work: InstallWork, folder: Path) -> bool:
    try:
        return (folder / _MARK).read_bytes() == _digest(work)
    except OSError:
        return False


def _digest(work: InstallWork) -> bytes:
    return hashlib.sha256("".join(artifact.sha256 for artifact in work.artifacts).encode()).hexdigest().encode()


def _metadata_version(folder: Path, distribution: str) -> str:
    for path in folder.glob("lib*/python3*/site-packages/*.dist-info/METADATA"):
        name, _, _ = PurePosixPath(path.parent.name).name.removesuffix(".dist-info").rpartition("-")
        if _plain(name) == _plain(distribution):
            with path.open("rb") as file:
                return str(BytesHeaderParser().parsebytes(file.read(_METADATA_MAX))["Version"])
    return ""


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
