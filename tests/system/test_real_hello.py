"""Debian's own package `hello`, fetched from Debian, is updated to on real computers by the real dpkg.

The roots are folders, so a stand-in package takes the place of libc6 in their package databases, with the version that
hello asks for: the dependency is met as dpkg sees it, and nothing is forced. The program runs with this system's libc.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.system.fleet import Fleet
from tests.system.packages import deb_version

pytestmark = [pytest.mark.system, pytest.mark.timeout(200), pytest.mark.needs_tool("apt-get", "dpkg", "dpkg-deb")]

NAMES = ("pc1", "pc2")
CONTROL = """Package: {name}
Version: {version}
Architecture: {architecture}
Maintainer: Tests <tests@localhost>
Description: {name}
"""
MANIFEST = """release: hello
version: {version}
artifacts:
  - {{file: {file}, installer: deb}}
health_checks:
  - {{exec: [/usr/bin/hello], expect: "world", timeout: 10s}}
"""
ROLLOUT = """rollout: hello-{version}
release: hello@{version}
sop: SU-SOP-001
waves: [{{name: all, size: 100%}}]
max_concurrency: 5
"""


def build(folder: Path, name: str, version: str, program: str = "") -> Path:
    architecture = subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True)
    tree = folder / f"tree-{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    control = CONTROL.format(name=name, version=version, architecture=architecture.stdout.strip())
    (tree / "DEBIAN" / "control").write_text(control)
    if program:
        (tree / "usr" / "bin").mkdir(parents=True)
        (tree / "usr" / "bin" / name).write_text(f"#!/bin/sh\necho '{program}'\n")
        (tree / "usr" / "bin" / name).chmod(0o755)
    file = folder / f"{name}_{version}_{architecture.stdout.strip()}.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", str(tree), str(file)], check=True, capture_output=True)
    return file


def release(folder: Path, package: Path, version: str) -> Path:
    place = folder / f"hello-{version}"
    place.mkdir()
    shutil.copy(package, place / package.name)
    (place / "release.yaml").write_text(MANIFEST.format(version=version, file=package.name))
    return place


@pytest.fixture(scope="module")
def debians_hello(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hello")
    done = subprocess.run(["apt-get", "download", "hello"], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"Debian's package hello cannot be fetched here: {done.stderr.strip().splitlines()[-1]}")
    return next(folder.glob("hello_*.deb"))


def observed(fleet: Fleet) -> list[tuple[str, ...]]:
    """Return what the log says that others changed."""
    columns = ("computer", "release", "version_before", "version_after", "outcome")
    return [
        tuple(entry[column] for column in columns) for entry in fleet.json("log", "list") if entry["kind"] == "OBSERVED"
    ]


def test_debians_own_hello_replaces_an_older_one(governed_fleet: Fleet, debians_hello: Path):
    fleet = governed_fleet
    version = debians_hello.name.split("_")[1]
    libc = build(fleet.folder, "libc6", "2.99")
    for name in NAMES:
        database = fleet.folder / f"{name}-root" / "var" / "lib" / "dpkg"
        (database / "info").mkdir(parents=True)
        (database / "updates").mkdir()
        (database / "status").touch()
        command = ["dpkg", f"--root={fleet.folder}/{name}-root", "--install", str(libc)]
        subprocess.run(command, check=True, capture_output=True)
    fleet.computers(*NAMES)
    older = build(fleet.folder, "hello", "2.9-1", "hello, old world")
    fleet.publish(release(fleet.folder, older, "2.9-1"))
    fleet.publish(release(fleet.folder, debians_hello, version))

    for number in ("2.9-1", version):
        fleet.finish(fleet.start(ROLLOUT.format(version=number)))
        assert [deb_version(fleet.folder / f"{name}-root", "hello") for name in NAMES] == [number] * 2

    assert [entry for entry in fleet.json("log", "list") if entry["kind"] == "OBSERVED"] == []
    fleet.kill_agent("pc1")
    root = fleet.folder / "pc1-root"
    by_hand = ["dpkg", f"--root={root}", f"--log={root}/var/log/dpkg.log", "--install", str(older)]
    subprocess.run(by_hand, check=True, capture_output=True)
    fleet.run_agent("pc1")
    fleet.until("what was done by hand", lambda: observed(fleet))
    assert observed(fleet) == [("pc1", "hello@2.9-1", version, "2.9-1", "")]

    said = subprocess.run([str(fleet.folder / "pc2-root/usr/bin/hello")], capture_output=True, text=True, check=True)
    assert said.stdout == "Hello, world!\n"
    assert not any(
        "old world" in path.read_text(errors="ignore") for path in fleet.folder.glob("pc2-root/usr/bin/hello")
    )
