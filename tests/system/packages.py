"""Real update files for system tests: Debian packages built by dpkg-deb and archives, with a program that checks.

The program prints its version, and fails where the computer holds the file `/etc/beacon-broken`, so that one
computer of many can be made to fail its health check.
"""

import io
import subprocess
import tarfile
from pathlib import Path

_PROGRAM = """#!/bin/sh
echo "beacon {version}"
if [ -e "$SOPWITH_ROOT/etc/beacon-broken" ] && [ "{version}" != 1 ]; then echo "broken here" >&2; exit 1; fi
echo fine
"""

_WAITING = """#!/bin/sh
while [ ! -e "$SOPWITH_ROOT/etc/beacon-go" ]; do sleep 0.1; done
echo "beacon {version}"
if [ -e "$SOPWITH_ROOT/etc/beacon-broken" ]; then echo "broken here" >&2; exit 1; fi
echo fine
"""


def build_deb(folder: Path, version: str, name: str = "beacon") -> Path:
    """Build a package and its release folder; return the folder."""
    tree = folder / f"tree-{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "opt" / name).mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: Tests <tests@localhost>\n"
        "Description: says that it works\n"
    )
    program = tree / "opt" / name / "beacon"
    program.write_text(_PROGRAM.format(version=version))
    program.chmod(0o755)
    release = folder / f"{name}-{version}"
    release.mkdir()
    file = f"{name}_{version}_all.deb"
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", str(tree), str(release / file)], check=True, capture_output=True
    )
    _manifest(release, name, version, f"  - {{file: {file}, installer: deb}}", f"/opt/{name}/beacon")
    return release


def build_archive(folder: Path, version: str, name: str = "beacon", *, waits: bool = False) -> Path:
    """Build an archive and its release folder; return the folder.

    With `waits` its health check takes until the computer holds the file `/etc/beacon-go`, so that a test says how
    long an update is under way.
    """
    release = folder / f"{name}-{version}"
    release.mkdir()
    file = f"{name}-{version}.tar.gz"
    program = (_WAITING if waits else _PROGRAM).format(version=version).encode()
    with tarfile.open(release / file, "w:gz") as archive:
        entry = tarfile.TarInfo("beacon")
        entry.size, entry.mode = len(program), 0o755
        archive.addfile(entry, io.BytesIO(program))
    artifact = f"  - {{file: {file}, installer: archive, options: {{into: /opt/{name}, link: current}}}}"
    _manifest(release, name, version, artifact, f"/opt/{name}/current/beacon", patience="90s" if waits else "10s")
    return release


def _manifest(release: Path, name: str, version: str, artifact: str, program: str, *, patience: str = "10s") -> None:
    (release / "release.yaml").write_text(
        f"release: {name}\nversion: {version}\nartifacts:\n{artifact}\n"
        f"health_checks:\n  - {{exec: [{program}], expect: fine, timeout: {patience}}}\n"
    )


def deb_version(root: Path, name: str = "beacon") -> str:
    """Return the package's version as the database below a root says, empty when it is not installed."""
    done = subprocess.run(
        ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f=${db:Status-Status} ${Version}", name],
        capture_output=True,
        text=True,
        check=False,
    )
    status, _, version = done.stdout.partition(" ")
    return version if done.returncode == 0 and status == "installed" else ""


def archive_version(root: Path, name: str = "beacon") -> str:
    """Return the version that the link below a root points at, empty when there is none."""
    link = root / "opt" / name / "current"
    return link.readlink().name if link.is_symlink() else ""
