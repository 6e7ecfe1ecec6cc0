"""Builders of real rpm packages, by rpmbuild, and of install work for them."""

import subprocess
from pathlib import Path
from typing import Any

from sopwith_agent.steps.installer_port import InstallWork
from tests.agent.archives import program
from tests.agent.packages import package_work


def build_rpm(
    folder: Path,
    version: str,
    *,
    name: str = "hello",
    architecture: str = "noarch",
    fields: str = "",
    scripts: str = "",
    configuration: str = "",
    extra: dict[str, str] | None = None,
) -> Path:
    """Return an rpm with the program usr/bin/<name> that prints the version; `version` is version-release."""
    top = folder / f"rpm-{name}-{version}"
    files = {f"usr/bin/{name}": program(version).decode(), **(extra or {})}
    if configuration:
        files[f"etc/{name}.conf"] = configuration
    for path, text in files.items():
        (top / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        (top / "tree" / path).write_text(text)
    upstream, _, release = version.partition("-")
    listed = "\n".join(
        f"%config(noreplace) /{path}" if path.endswith(".conf") else f"%attr(755,root,root) /{path}" for path in files
    )
    (top / "hello.spec").write_text(
        f"Name: {name}\nVersion: {upstream}\nRelease: {release}\nSummary: a package for tests\nLicense: none\n"
        f"AutoReqProv: no\n{fields}\n%description\nfor tests\n"
        f"%install\nmkdir -p %{{buildroot}} && cp -a {top}/tree/. %{{buildroot}}/\n"
        f"%files\n{listed}\n{scripts}\n"
    )
    definitions = {"_topdir": str(top), "_rpmdir": str(top), "_binary_payload": "w.ufdio", "__brp_compress": "true"}
    command = ["rpmbuild", "-bb", "--quiet", "--target", architecture]
    command += [word for key, value in definitions.items() for word in ("--define", f"{key} {value}")]
    subprocess.run([*command, top / "hello.spec"], check=True, capture_output=True)
    (built,) = top.rglob("*.rpm")
    return built.rename(folder / f"{name}-{version}.{architecture}.rpm")


def rpm_work(folder: Path, *packages: Path, version: str, before: str = "", **changes: Any) -> InstallWork:
    """Return the work of installing rpms below folder/root; the first is the release's."""
    return package_work(folder, *packages, version=version, before=before, installer="rpm", **changes)


def rpm_below(root: Path, *arguments: str | Path) -> str:
    """Run the real rpm below a root, as another administrator would."""
    command = ["rpm", f"--root={root}", "--dbpath=/var/lib/rpm", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
