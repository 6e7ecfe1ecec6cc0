"""Installs the agent itself: versions side by side in /opt/sopwith-agent, the new one tried by the running one.

Decides what an agent's archive must hold and when its trial begins; how its folder is laid is `archive`'s, what comes
of the trial `domain.trial`'s. The commit point is the written trial: from then on the new version is started, and the
old one watches. The link `current` is switched by the watcher, once the new version is confirmed.

Rules: the archive holds `bin/sopwith-agent`, which says the release's version before anything is tried; the version
that is installed is the one that runs, told by the process itself; a version that fell back is removed, so that the
same release is laid anew when people permit it again.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sopwith_agent.adapters import trial_file
from sopwith_agent.adapters.installers.archive import check_folder, lay, look_into
from sopwith_agent.adapters.installers.archive_stream import unpacked_size_default
from sopwith_agent.adapters.installers.laid_versions import Laid, Place, way_back
from sopwith_agent.adapters.installers.os_failures import classified
from sopwith_agent.adapters.processes import run_program
from sopwith_agent.adapters.trial_file import HOME_VARIABLE, INTO, LINK, PROGRAM, running_version
from sopwith_agent.domain import limits
from sopwith_agent.domain.errors import StepError
from sopwith_agent.domain.trial import Trial, Verdict
from sopwith_agent.steps.installer_port import InstallWork, OnDisk, Refusal, WayBack
from sopwith_formats.errors import FormatError
from sopwith_formats.manifest import Artifact, Manifest
from sopwith_formats.vocabulary import Symptom

_OPTIONS = ("confirm_within", "unpacked_size_max")
_WITHIN_MIN, _WITHIN_MAX = 5, 3600


class AgentInstaller:
    """The `agent` installer."""

    name = "agent"
    joins = False

    def available(self) -> bool:
        """Return True: an agent that cannot update itself says so for each release."""
        return True

    def applicable(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> Refusal | None:
        """Refuse what makes no sense, and agents that were installed in another way."""
        if len(artifacts) != 1:
            message = f"{len(artifacts)} archives of {manifest.release} are for this computer; one can be installed"
            return Refusal(Symptom.NOT_APPLICABLE, message, "give each archive a `when` of its own")
        try:
            _read_options(artifacts[0])
        except FormatError as error:
            return Refusal(Symptom.CONTENT_REFUSED, f"options of {artifacts[0].file}: {error}", error.remedy)
        if manifest.version == LINK:
            return Refusal(Symptom.CONTENT_REFUSED, f"a version cannot be called {LINK}")
        if not running_version(root):
            message = f"this agent was not started from a version below {INTO}, so it has no place for another"
            return Refusal(Symptom.NOT_APPLICABLE, message, "install the agent's package (docs/guides/agent.md)")
        return None

    def installed_version(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> str:
        """Return the version that this very process is."""
        return running_version(root)

    def prepare(self, work: InstallWork) -> WayBack:
        """Look through the whole archive, sweep what crashes left, and make sure of the way back."""
        with classified("checking the agent's archive"):
            place, options = _place(work), _read_options(work.artifacts[0])
            if trial_file.read(work.kept):
                trial_file.forget(work.kept)  # of a try that was cut off before its commit point counted
            laid = Laid.read(work, place, self.name)
            contents = look_into(work, options["unpacked_size_max"])
            if tuple(PROGRAM.split("/")) not in contents.digests:
                message = f"{work.artifacts[0].file} holds no {PROGRAM}"
                raise StepError(Symptom.CONTENT_REFUSED, message, remedy="publish an agent made by `make agent-deb`")
            check_folder(work, place, laid, contents)
            place.sweep()
            laid.claim(work, place)
            return way_back(work, place)

    def apply(self, work: InstallWork, on_commit: Callable[[], None]) -> None:
        """Lay the version's folder, ask it for its version, and write down that it is to be tried."""
        place, options = _place(work), _read_options(work.artifacts[0])
        version = work.manifest.version
        if running_version(work.root) == version or _is_tried(work, version):
            return  # committed before a crash; committing again would count twice
        with classified("unpacking the agent"):
            lay(work, place, options["unpacked_size_max"])
        _ask_version(place.version(version), version)
        trial = Trial(str(place.folder), work.version_before, version, options["confirm_within"])
        on_commit()
        with classified("writing the trial down", changed=True):
            trial_file.write(work.kept, trial)

    def roll_back(self, work: InstallWork) -> None:
        """Forget the trial and remove the new version; the version before runs already, for it is who does this."""
        with classified("removing the new agent", changed=True):
            place = _place(work)
            running, version = running_version(work.root), work.manifest.version
            if running == version:
                message = f"agent {version} runs and cannot take itself back"
                raise StepError(Symptom.ROLLBACK_FAILED, message, remedy="start the version before", changed=True)
            if version in Laid.read(work, place, self.name).versions and place.current() != version:
                place.discard(place.version(version))
            trial_file.forget(work.kept)
            place.sweep()

    def recover(self, work: InstallWork) -> OnDisk:
        """Tell whether the trial was written down, or is over."""
        version = work.manifest.version
        if running_version(work.root) == version or _is_tried(work, version):
            return OnDisk.NEW
        return OnDisk.OLD


def _is_tried(work: InstallWork, version: str) -> bool:
    trial = trial_file.read(work.kept)
    return trial is not None and trial.after == version and trial.verdict is not Verdict.FELL_BACK


def _ask_version(folder: Path, version: str) -> None:
    """Refuse a version that cannot even say its name, before anything is changed."""
    finished = run_program(
        [folder / PROGRAM, "--version"],
        timeout_seconds=limits.preflight_seconds,
        environment={HOME_VARIABLE: str(folder)},
        end_children=True,
    )
    said = finished.output.strip()
    if not finished.ok or said != f"sopwith-agent {version}":
        message = f"agent {version} cannot be tried: asked for its version it says {said[-300:] or 'nothing'}"
        remedy = "publish the release under the version that the agent itself names"
        raise StepError(Symptom.INSTALLER_EXIT_NONZERO, message, remedy=remedy)


def _place(work: InstallWork) -> Place:
    return Place.of(work.root, {"into": INTO, "link": LINK})


def _read_options(artifact: Artifact) -> dict[str, Any]:
    options = {
        "confirm_within": limits.trial_within_seconds,
        "unpacked_size_max": unpacked_size_default(artifact.length),
        **artifact.options,
    }
    if unknown := sorted(options.keys() - set(_OPTIONS)):
        raise FormatError(f"unknown {', '.join(unknown)}", remedy=f"allowed are {', '.join(_OPTIONS)}")
    within, size = options["confirm_within"], options["unpacked_size_max"]
    if type(within) is not int or not _WITHIN_MIN <= within <= _WITHIN_MAX:
        raise FormatError(f"must be {_WITHIN_MIN} s to {_WITHIN_MAX} s", where="confirm_within")
    if type(size) is not int or size <= 0:
        raise FormatError("must be a size", where="unpacked_size_max")
    return options
