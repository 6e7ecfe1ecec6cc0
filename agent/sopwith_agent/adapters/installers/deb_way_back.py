"""What was there before a package install, and how to bring it back: kept on disk before dpkg starts.

Decides which copy of the package before is used and what is remembered about it; running dpkg is `deb`'s. Everything
lies in the agent's private `kept/deb`: packages as `<name>_<version>_<architecture>.deb`, and one `<release>.json` that
says what this install replaces. The record is durable before the commit point, so that a new process can go back after
any crash. Copies that no way back leads to any more are removed when the next install of the release is prepared.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from sopwith_agent.adapters.installers import dpkg_tool
from sopwith_agent.adapters.installers.deb_control import Control
from sopwith_agent.adapters.installers.deb_repack import repack
from sopwith_agent.adapters.installers.dpkg_tool import Dpkg, PackageState
from sopwith_agent.adapters.installers.kept_files import copy_staged, drop_files, package_retention, verified
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_agent.steps.installer_port import InstallWork, WayBack
from sopwith_agent.steps.ports import StagedFile
from sopwith_formats import canonical_json
from sopwith_formats.durable import durable_move, durable_replace
from sopwith_formats.errors import FormatError
from sopwith_formats.vocabulary import Symptom


@dataclass(frozen=True)
class PackageBefore:
    """One package of an install: what comes, and what was there."""

    package: str
    version_new: str
    file_new: str
    """Name of the kept copy of the new package."""
    sha256_new: str
    version: str
    """Before; empty: it was not installed."""
    status: str
    """dpkg's word for its state before."""
    file: str
    """Name of the kept copy of the package before, empty where there is none."""
    kind: str
    detail: str

    @classmethod
    def find(cls, work: InstallWork, dpkg: Dpkg, state: PackageState, new: Control, sha256: str) -> "PackageBefore":
        """Find the way back of one package, making a copy where none was kept."""
        kind, detail, file = "removal", f"{state.package} was not installed; rolling back removes it", ""
        if state.present:
            kind, detail, file = _copy_of(work, dpkg, state)
        version = state.version if state.present else ""
        return cls(new.package, new.version, file_name(new), sha256, version, state.status, file, kind, detail)

    def way_back(self) -> WayBack:
        """Return what the steps are told."""
        return WayBack(self.kind, self.detail)

    def is_back(self, state: PackageState) -> bool:
        """Tell whether the computer has again what was there before."""
        if not self.version:
            return not state.present
        return state.whole and state.version == self.version

    def kept_path(self, work: InstallWork) -> Path | None:
        """Return the kept package before, None where nothing was installed."""
        return kept_folder(work) / self.file if self.file else None

    def verified_new(self, work: InstallWork) -> Path:
        """Return the kept copy of the new package after hashing it once more."""
        return verified(kept_folder(work) / self.file_new, self.sha256_new)


@dataclass(frozen=True)
class WayBackRecord:
    """Everything that going back from one release needs to know."""

    version: str
    """Of the release that is being installed."""
    packages: tuple[PackageBefore, ...]

    def write(self, work: InstallWork) -> None:
        """Make the record durable, then remove copies that need not be kept."""
        document = {"version": self.version, "packages": [asdict(package) for package in self.packages]}
        durable_replace(_record_path(work), canonical_json.encode(document), 0o600)
        for package in self.packages:
            copies = kept_folder(work).glob(f"{package.package}_*.deb")
            drop_files(copies, (package.file, package.file_new), package_retention(work))

    @classmethod
    def read(cls, work: InstallWork) -> "WayBackRecord | None":
        """Return the record of this very install; None where it was never prepared."""
        try:
            document = canonical_json.decode(_record_path(work).read_bytes())
            record = cls(document["version"], tuple(PackageBefore(**item) for item in document["packages"]))
        except FileNotFoundError:
            return None
        except (FormatError, KeyError, TypeError) as error:
            message = f"the record {_record_path(work)} of what was installed before cannot be read: {error}"
            raise StepError(Symptom.BACKUP_FAILED, message) from error
        return record if record.version == work.manifest.version else None


def kept_folder(work: InstallWork) -> Path:
    """Return the private folder of kept packages."""
    return work.kept / "deb"


def file_name(control: Control) -> str:
    """Return the name of a package's kept copy, by Debian's own convention."""
    return f"{control.package}_{control.version.replace(':', '%3a')}_{control.architecture}.deb"


def keep_package(work: InstallWork, staged: StagedFile) -> tuple[Control, Path]:
    """Copy a staged package into the private folder, hashing what is copied; return what it says and where it lies."""
    incoming = copy_staged(staged, kept_folder(work))
    try:
        control = dpkg_tool.read_package(incoming)
    except TrustError:
        incoming.unlink()
        raise
    path = kept_folder(work) / file_name(control)
    durable_move(incoming, path)
    return control, path


def _copy_of(work: InstallWork, dpkg: Dpkg, state: PackageState) -> tuple[str, str, str]:
    """Return kind, sentence and file name of a copy of the package that is installed now."""
    shown = f"{state.package} {state.version}"
    for path in kept_folder(work).glob(f"{state.package}_*.deb"):
        control = dpkg_tool.read_package(path)
        if (control.package, control.version) == (state.package, state.version):
            return "kept", f"{shown} was kept when it was installed", path.name
    for staged in work.previous.files if work.previous else ():
        control, path = keep_package(work, staged)
        if (control.package, control.version) == (state.package, state.version):
            return "source", f"{shown} came from the source's older release", path.name
        path.unlink()
    architecture = next((c.architecture for c in dpkg.installed() if c.package == state.package), "all")
    name = file_name(Control(state.package, state.version, architecture))
    try:
        missing = repack(dpkg, work.root, state, kept_folder(work) / name, work.timeout_seconds)
    except StepError as error:
        return "none", f"no copy of {shown} can be had: {error.message}", ""
    without = f", {missing} listed files were not there" if missing else ""
    return "repacked", f"{shown} was packed again from its installed files{without}", name


def _record_path(work: InstallWork) -> Path:
    return kept_folder(work) / f"{work.manifest.name}.json"
