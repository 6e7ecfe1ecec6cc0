"""Installs Debian packages with the computer's own dpkg, and goes back to the package before.

Decides what is checked before dpkg starts, what the way back is and when it is whole; how dpkg is called is
`dpkg_tool`'s, what a package demands `deb_control`'s. The commit point is the start of `dpkg --install`.

Rules: the package's name, version and architecture are what the release says; its dependencies are met before anything
changes, because dpkg notices only half-way; a package that somebody put on hold is left alone. Every package that
Sopwith installs is kept; the way back is, in this order, the kept package, the older release's from the source, one
packed again from the installed files; a first install is removed again. A run that another tool left half-way is
finished once, without force. After a crash a dpkg that still runs is waited for, never ended. An artifact installs the
package that `options.package` names, else the one in its file name (`name_version_arch.deb`), else the release's own
name; the first artifact's version is the release's.
"""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sopwith_agent.adapters.installers import dpkg_tool, tools
from sopwith_agent.adapters.installers.deb_control import Control, conflicts
from sopwith_agent.adapters.installers.deb_way_back import PackageBefore, WayBackRecord, keep_package
from sopwith_agent.adapters.installers.dpkg_tool import Dpkg, PackageState, complaint
from sopwith_agent.adapters.installers.os_failures import classified
from sopwith_agent.adapters.package_lock import frontend_lock, held, lock_holder
from sopwith_agent.domain.errors import StepError, TrustError
from sopwith_agent.steps.installer_port import InstallWork, OnDisk, Refusal, WayBack
from sopwith_formats.manifest import Artifact, Manifest
from sopwith_formats.vocabulary import Symptom

_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{1,127}")
_FILE = re.compile(r"([a-z0-9][a-z0-9+.-]+)_[^_]+_[a-z0-9-]+\.deb")
_POLL_SECONDS = 0.1


class DebInstaller:
    """The `deb` installer."""

    name = "deb"
    joins = True
    options: tuple[str, ...] = ("package",)

    def available(self) -> bool:
        """Tell whether dpkg is here."""
        return tools.present(self.name)

    def applicable(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> Refusal | None:
        """Refuse where there is no dpkg, or where options make no sense."""
        if not self.available():
            message = f"{', '.join(tools.missing(self.name))} is not on this computer"
            return Refusal(Symptom.NOT_APPLICABLE, message, "give the artifact a `when` with its distribution")
        for artifact in artifacts:
            if artifact.options.keys() - set(self.options) or not _PACKAGE.fullmatch(package_name(manifest, artifact)):
                allowed = " and ".join(self.options)
                message = f"options of {artifact.file} may only hold {allowed} of a Debian package"
                return Refusal(Symptom.CONTENT_REFUSED, message, "mend the release")
        return None

    def installed_version(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> str:
        """Return the first package's version from dpkg's database; empty unless all packages are whole."""
        dpkg = Dpkg(root)
        states = [dpkg.state(package_name(manifest, artifact)) for artifact in artifacts]
        return states[0].version if all(state.whole for state in states) else ""

    def prepare(self, work: InstallWork) -> WayBack:
        """Check package, lock, database and dependencies; put the way back aside."""
        dpkg = Dpkg(work.root)
        with classified("preparing the package"):
            self._refuse_held_lock(work.root)
            controls = [self._check_package(work, dpkg, artifact) for artifact in work.artifacts]
            self._refuse_held_packages(dpkg, controls)
            self._finish_interrupted(work, dpkg, {control.package for control in controls})
            problems = conflicts(controls, dpkg.installed())
            if problems:
                raise StepError(
                    Symptom.DEPENDENCY_CONFLICT,
                    "; ".join(problems),
                    remedy="bring the missing packages in the same release, or before it",
                )
            return self._prepare_way_back(work, dpkg, controls)

    def apply(self, work: InstallWork, on_commit: Callable[[], None]) -> None:
        """Run `dpkg --install` on the kept copies of the verified packages."""
        dpkg = Dpkg(work.root)
        record = WayBackRecord.read(work)
        if record is None:
            raise StepError(Symptom.BACKUP_FAILED, "the way back was not prepared", remedy="prepare the install again")
        if self._look(record, dpkg) is OnDisk.NEW:
            return  # installed before a crash; committing again would count twice
        with classified("preparing dpkg's folders"):
            files = [package.verified_new(work) for package in record.packages]
            dpkg.ensure_database()
        with frontend_lock(work.root):
            self._refuse_held_lock(work.root, besides_frontend=True)
            on_commit()
            finished = dpkg.run(["--install", *files], work.timeout_seconds)
        if not finished.ok:
            raise complaint(finished, f"dpkg --install of {work.manifest.release}")

    def roll_back(self, work: InstallWork) -> None:
        """Install the packages before, or remove what was not there before."""
        dpkg = Dpkg(work.root)
        deadline = time.monotonic() + work.timeout_seconds
        self._wait_for_lock(work.root, deadline)
        record = WayBackRecord.read(work)
        if record is None:
            return  # never prepared, so nothing was ever committed
        states = [dpkg.state(package.package) for package in record.packages]
        pairs = [pair for pair in zip(record.packages, states, strict=True) if not pair[0].is_back(pair[1])]
        if not pairs:
            return
        with frontend_lock(work.root):
            for arguments in self._ways_back(work, pairs):
                finished = dpkg.run(arguments, max(1.0, deadline - time.monotonic()))
                if not finished.ok:
                    failed = complaint(finished, f"dpkg {arguments[0]}")
                    message = f"rolling back {work.manifest.release}: {failed.message}"
                    raise StepError(Symptom.ROLLBACK_FAILED, message, changed=True) from failed
        if self._look(record, dpkg) is not OnDisk.OLD:
            message = (
                f"after rolling back, {', '.join(package.package for package in record.packages)} is not as before"
            )
            raise StepError(Symptom.ROLLBACK_FAILED, message, changed=True)

    def recover(self, work: InstallWork) -> OnDisk:
        """Wait for a dpkg that still runs, then compare its database with before and after."""
        self._wait_for_lock(work.root, time.monotonic() + work.timeout_seconds)
        record = WayBackRecord.read(work)
        return OnDisk.OLD if record is None else self._look(record, Dpkg(work.root))

    def _look(self, record: WayBackRecord, dpkg: Dpkg) -> OnDisk:
        states = [dpkg.state(package.package) for package in record.packages]
        pairs = list(zip(record.packages, states, strict=True))
        if all(state.whole and state.version == package.version_new for package, state in pairs):
            return OnDisk.NEW
        return OnDisk.OLD if all(package.is_back(state) for package, state in pairs) else OnDisk.BROKEN

    def _check_package(self, work: InstallWork, dpkg: Dpkg, artifact: Artifact) -> Control:
        """Keep a verified copy, and compare what it says with what the release says."""
        control, path = keep_package(work, work.staged(artifact))
        wanted = package_name(work.manifest, artifact)
        says = ""
        if control.package != wanted:
            says = f"is the package {control.package}, and the release says {wanted}"
        elif (version := self._wanted_version(work, artifact)) and control.version != version:
            says = f"is version {control.version}, and the release says {version}"
        if says:
            path.unlink()
            remedy = "publish it with its own name and version (or options.package)"
            raise TrustError(Symptom.CONTENT_REFUSED, f"{artifact.file} {says}", remedy=remedy)
        if control.architecture not in dpkg.architectures():
            path.unlink()
            message = f"{artifact.file} is for {control.architecture}, which this computer cannot run"
            raise StepError(Symptom.NOT_APPLICABLE, message, remedy="give the artifact a `when` with its arch")
        return control

    def _refuse_held_packages(self, dpkg: Dpkg, controls: list[Control]) -> None:
        """Refuse what somebody put on hold: dpkg would pass over that without a word."""
        states = [(control, dpkg.state(control.package)) for control in controls]
        held = [control.package for control, state in states if state.held and state.version != control.version]
        if held:
            raise StepError(
                Symptom.DEPENDENCY_CONFLICT,
                f"on hold on this computer, and so not to be changed: {', '.join(held)}",
                remedy=f"let it go with `apt-mark unhold {' '.join(held)}`, or leave this computer out",
            )

    def _wanted_version(self, work: InstallWork, artifact: Artifact) -> str:
        """Return the version that the package must have; empty: any."""
        return work.manifest.version if artifact is work.artifacts[0] else ""

    def _finish_interrupted(self, work: InstallWork, dpkg: Dpkg, ours: set[str]) -> None:
        if not dpkg.unfinished():
            return
        with frontend_lock(work.root):
            finished = dpkg.configure_interrupted(work.timeout_seconds)
        left = dpkg.unfinished()
        now = self.installed_version(work.manifest, work.artifacts, work.root)
        if left or now != work.version_before:
            found = f"still half-installed: {', '.join(left)}" if left else f"version {now} came out of it"
            raise StepError(
                Symptom.PACKAGE_DATABASE_BROKEN,
                f"an interrupted dpkg run was finished once; {found} ({finished.line})",
                remedy="run `dpkg --configure -a` and `dpkg --audit` on the computer, then retry",
            )

    def _prepare_way_back(self, work: InstallWork, dpkg: Dpkg, controls: list[Control]) -> WayBack:
        now = self.installed_version(work.manifest, work.artifacts, work.root)
        if now != work.version_before:
            message = f"the installed version changed from {work.version_before!r} to {now!r} meanwhile"
            raise StepError(Symptom.VERSION_MISMATCH, message, remedy="retry; somebody else works on this computer")
        packages = tuple(
            PackageBefore.find(work, dpkg, dpkg.state(control.package), control, artifact.sha256)
            for control, artifact in zip(controls, work.artifacts, strict=True)
        )
        ways = [package.way_back() for package in packages]
        impossible = [way for way in ways if not way.possible]
        if impossible and work.backup_required:
            raise StepError(Symptom.BACKUP_FAILED, impossible[0].detail, remedy="publish the older release too")
        WayBackRecord(work.manifest.version, packages).write(work)
        return impossible[0] if impossible else ways[0]

    def _ways_back(
        self, work: InstallWork, pairs: list[tuple[PackageBefore, PackageState]]
    ) -> Iterator[list[str | Path]]:
        old = [kept for before, _ in pairs if (kept := before.kept_path(work)) is not None]
        if old:
            yield ["--install", *old]
        for before, state in pairs:
            if before.version:
                continue
            force = ["--force-remove-reinstreq"] if state.reinstall_required else []
            yield ["--purge" if before.status == dpkg_tool.ABSENT else "--remove", *force, before.package]

    def _refuse_held_lock(self, root: Path, *, besides_frontend: bool = False) -> None:
        holder = lock_holder(root, besides_frontend=besides_frontend)
        if holder:
            raise held(holder)

    def _wait_for_lock(self, root: Path, deadline: float) -> None:
        while holder := lock_holder(root) or dpkg_tool.running_below(root):
            if time.monotonic() > deadline:
                raise held(holder)
            time.sleep(_POLL_SECONDS)


def package_name(manifest: Manifest, artifact: Artifact) -> str:
    """Return the name of the package that an artifact brings."""
    named = artifact.options.get("package")
    if named is not None:
        return str(named)
    match = _FILE.fullmatch(artifact.file)
    return match[1] if match else manifest.name
