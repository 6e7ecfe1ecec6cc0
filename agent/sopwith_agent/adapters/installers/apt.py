"""Installs operating-system updates as one set: each package in exactly the version that the release names.

Decides when a set counts as installed and what may be in it; dpkg, the way back and the commit point are `deb`'s. apt
itself chose and ordered the packages when the set was gathered (`sopwith release gather --from-apt`); here nothing is
chosen and nothing fetched, so that the canary and the last wave get the same.

Rules: every artifact names its package and its version; all are installed by one dpkg run, in the release's order, and
every version is read back. A package that is newer on the computer than in the set is not taken back unless the
release allows downgrades. The set has the release's version when every package has its own; any other state of these
packages reads as `0~` and a digest of their versions, older than every release, so that a rollback is proven by
reading the very state before.
"""

import hashlib
from pathlib import Path

from sopwith_agent.adapters.installers.deb import DebInstaller, package_name
from sopwith_agent.adapters.installers.dpkg_tool import Dpkg
from sopwith_agent.domain.errors import StepError
from sopwith_agent.steps.installer_port import InstallWork, Refusal, WayBack
from sopwith_formats.debian_version import compare
from sopwith_formats.manifest import VERSION, Artifact, Manifest
from sopwith_formats.vocabulary import Symptom

_DIGITS = 16


class AptInstaller(DebInstaller):
    """The `apt` installer."""

    name = "apt"
    options: tuple[str, ...] = ("package", "version")

    def applicable(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> Refusal | None:
        """Refuse where there is no dpkg, and packages without a name or a version."""
        refusal = super().applicable(manifest, artifacts, root)
        if refusal is not None:
            return refusal
        for artifact in artifacts:
            version = artifact.options.get("version")
            if "package" not in artifact.options or not isinstance(version, str) or not VERSION.fullmatch(version):
                message = f"options of {artifact.file} must name package and version"
                remedy = "gather the set with `sopwith release gather --from-apt`"
                return Refusal(Symptom.CONTENT_REFUSED, message, remedy)
        names = [artifact.options["package"] for artifact in artifacts]
        if len(set(names)) < len(names):
            return Refusal(Symptom.CONTENT_REFUSED, "the set holds a package twice", "gather the set again")
        return None

    def installed_version(self, manifest: Manifest, artifacts: tuple[Artifact, ...], root: Path) -> str:
        """Return the release's version when every package has its own, else what these packages are instead."""
        dpkg = Dpkg(root)
        states = [dpkg.state(package_name(manifest, artifact)) for artifact in artifacts]
        wanted = [artifact.options.get("version") for artifact in artifacts]
        if all(state.whole and state.version == version for state, version in zip(states, wanted, strict=True)):
            return manifest.version
        if not any(state.present for state in states):
            return ""
        lines = (f"{state.package}={state.version}:{state.status}\n" for state in states if state.present)
        return f"0~{hashlib.sha256(''.join(lines).encode()).hexdigest()[:_DIGITS]}"

    def prepare(self, work: InstallWork) -> WayBack:
        """Refuse to take newer packages back; then as for any packages."""
        dpkg = Dpkg(work.root)
        for artifact in work.artifacts if work.manifest.downgrade != "allowed" else ():
            state, version = dpkg.state(package_name(work.manifest, artifact)), str(artifact.options["version"])
            if state.present and compare(state.version, version) > 0:
                raise StepError(
                    Symptom.VERSION_POLICY,
                    f"{state.package} {state.version} is newer than the set's {version}, and no downgrade is allowed",
                    remedy="gather a newer set, or publish this one with `downgrade: allowed`",
                )
        return super().prepare(work)

    def _wanted_version(self, work: InstallWork, artifact: Artifact) -> str:
        return str(artifact.options["version"])
