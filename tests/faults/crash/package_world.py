"""The same world with the lamp as a Debian package: real dpkg below the computer's root.

What runs is what dpkg says is installed, in order, and the files that belong to it; a database that dpkg itself calls
broken is a violation.
"""

import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sopwith_agent.adapters.installers import deb  # noqa: F401  loaded late by the agent; forks find it loaded
from sopwith_agent.adapters.installers.dpkg_tool import Dpkg
from sopwith_formats.manifest import Artifact, HealthCheck, Manifest, manifest_target
from tests.agent.packages import build_package, dpkg_below
from tests.faults.crash.world import SICK, World


@dataclass
class PackageWorld(World):
    """Publishes packages, and reads what runs from dpkg and from the disk."""

    passing: frozenset[str] = frozenset({"~", ""})

    def running(self) -> str:
        """Return the version that runs, whole; before recovery dpkg may be in the middle, which is told as `~`."""
        root = self.folder / "root"
        state = Dpkg(root).state("lamp")
        program = root / "usr/bin/lamp"
        if not program.exists():
            return ""
        if dpkg_below(root, "--audit"):
            return "~"
        said = program.read_text().split()[-1]
        assert state.version == said, f"dpkg says {state.version}, the program {said}"
        assert (root / "usr/share/lamp/data").read_bytes() == self._data_of(said)
        return said

    def left_behind(self) -> list[str]:
        """Return what no computer should have after an update."""
        return [str(path) for path in (self.folder / "root/usr").rglob("*.dpkg-*")]

    def _publish(self, version: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            data = self._data_of(version)
            extra = {"usr/share/lamp/data": data.decode("latin-1")}
            package = build_package(Path(folder), version, name="lamp", extra=extra)
            content = package.read_bytes()
            file = package.name
        artifact = Artifact(file, "deb", len(content), sha256(content).hexdigest())
        words = "nothing that it says" if version == SICK else version
        check = HealthCheck(exec=("/usr/bin/lamp",), expect=words)
        manifest = Manifest("lamp", version, (artifact,), health_checks=(check,))
        self.manifests[version] = manifest
        self.repository.add_target(manifest.target(file), content)
        self.repository.add_target(manifest_target("lamp", version), manifest.to_json())

    def _data_of(self, version: str) -> bytes:
        return f"lamp {version}\n".encode() * 1000
