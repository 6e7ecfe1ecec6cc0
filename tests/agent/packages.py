"""Builders of real Debian packages, by dpkg-deb, and of install work for them."""

import hashlib
import subprocess
from pathlib import Path
from typing import Any

from sopwith_agent.steps.installer_port import InstallWork
from sopwith_agent.steps.ports import StagedFile
from sopwith_formats.manifest import Artifact, Manifest
from tests.agent.archives import program


def build_package(
    folder: Path,
    version: str,
    *,
    name: str = "hello",
    architecture: str = "all",
    fields: str = "",
    scripts: dict[str, str] | None = None,
    configuration: str = "",
    extra: dict[str, str] | None = None,
) -> Path:
    """Return a .deb with the program usr/bin/<name> that prints the version."""
    tree = folder / f"tree-{name}-{version.replace(':', '_')}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
        f"Maintainer: Tests <tests@localhost>\nDescription: a package for tests\n long line\n{fields}"
    )
    for script, text in (scripts or {}).items():
        (tree / "DEBIAN" / script).write_text(text)
        (tree / "DEBIAN" / script).chmod(0o755)
    if configuration:
        (tree / "etc").mkdir()
        (tree / f"etc/{name}.conf").write_text(configuration)
        (tree / "DEBIAN/conffiles").write_text(f"/etc/{name}.conf\n")
    for path, text in (extra or {}).items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    (tree / f"usr/bin/{name}").write_bytes(program(version))
    (tree / f"usr/bin/{name}").chmod(0o755)
    target = folder / f"{name}_{version.replace(':', '%3a')}_{architecture}.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, target], check=True, capture_output=True
    )
    return target


def package_work(
    folder: Path, *packages: Path, version: str, before: str = "", installer: str = "deb", **changes: Any
) -> InstallWork:
    """Return the work of installing packages below folder/root; the first is the release's."""
    (folder / "root").mkdir(exist_ok=True)
    staging = folder / "staging"
    staging.mkdir(mode=0o700, exist_ok=True)
    files, artifacts = [], []
    for package in packages:
        data = package.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        name = package.name.replace("%3a", "-")
        path = staging / name
        path.write_bytes(data)
        artifacts.append(Artifact(name, installer, len(data), digest))
        files.append(StagedFile(name, path, len(data), digest))
    given: dict[str, Any] = {
        "manifest": Manifest(name="hello", version=version, artifacts=tuple(artifacts)),
        "artifacts": tuple(artifacts),
        "files": tuple(files),
        "root": folder / "root",
        "kept": folder / "kept",
        "version_before": before,
        "timeout_seconds": 60,
        **changes,
    }
    return InstallWork(**given)


def dpkg_below(root: Path, *arguments: str | Path) -> str:
    """Run the real dpkg below a root, as another administrator would."""
    command = ["dpkg", f"--root={root}", f"--log={root}/dpkg.log", "--force-not-root", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def make_database(root: Path) -> None:
    for name in ("info", "updates", "triggers"):
        (root / "var/lib/dpkg" / name).mkdir(parents=True, exist_ok=True)
    (root / "var/lib/dpkg/status").touch()
