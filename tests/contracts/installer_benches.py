"""One bench per installer: makes its releases, honest and hostile, and reads what runs without asking it."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from sopwith_agent.adapters.installers.apt import AptInstaller
from sopwith_agent.adapters.installers.archive import ArchiveInstaller
from sopwith_agent.adapters.installers.by_name import InstallersByName
from sopwith_agent.adapters.installers.deb import DebInstaller
from sopwith_agent.adapters.installers.rpm import RpmInstaller
from sopwith_agent.adapters.installers.script import ScriptInstaller
from sopwith_agent.adapters.installers.wheel import WheelInstaller
from sopwith_agent.steps.installer_port import Installer, InstallWork
from sopwith_agent.steps.unit import UnitInstaller
from sopwith_formats.manifest import Artifact
from tests.agent.archives import archive_work, file_member, hello_archive, tar_bytes
from tests.agent.packages import build_package, package_work
from tests.agent.rpms import build_rpm, rpm_work
from tests.agent.third_party import example_installer
from tests.agent.wheels import build_wheel, wheel_work


class Bench(Protocol):
    """Makes releases for one installer, and reads what runs without asking it."""

    installer: Installer
    tools: tuple[str, ...]
    """Programs that the installer cannot do without."""

    def work(self, version: str, before: str) -> InstallWork:
        """Return the work of installing an honest release."""
        ...

    def running(self) -> str:
        """Return the version that runs, empty when none does."""
        ...

    def hostile(self) -> InstallWork:
        """Return the work of a release that is signed and whose content breaks the rules."""
        ...

    def elsewhere(self) -> InstallWork | None:
        """Return the work of a release for another kind of computer, None where its files are for every kind."""
        ...

    def without_way_back(self, work: InstallWork) -> InstallWork:
        """Take away what an update of the installed version could go back to."""
        ...


def program_version(path: Path) -> str:
    """Return what one of our programs would print."""
    return path.read_text().split()[-1] if path.exists() else ""


def with_options(work: InstallWork, **options: Any) -> InstallWork:
    """Return the work with options in its first artifact."""
    artifacts: tuple[Artifact, ...] = (
        replace(work.artifacts[0], options={**work.artifacts[0].options, **options}),
        *work.artifacts[1:],
    )
    return replace(work, artifacts=artifacts, manifest=replace(work.manifest, artifacts=artifacts))


class ArchiveBench:
    """The archive installer."""

    installer: Installer = ArchiveInstaller()
    tools: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def work(self, version: str, before: str) -> InstallWork:
        return archive_work(self.folder, hello_archive(version), version=version, before=before)

    def running(self) -> str:
        return program_version(self.folder / "root/opt/hello/current/bin/hello")

    def hostile(self) -> InstallWork:
        return archive_work(self.folder, tar_bytes([file_member("../outside", b"x" * 1000)]), version="9.0")

    def elsewhere(self) -> None:
        return None

    def without_way_back(self, work: InstallWork) -> InstallWork:
        shutil.rmtree(work.kept)
        shutil.rmtree(work.root / "opt/hello/1.0-1")
        (work.root / "opt/hello/current").unlink()
        return work


class DebBench:
    """The deb installer on the real dpkg."""

    installer: Installer = DebInstaller()
    tools: tuple[str, ...] = ("dpkg", "dpkg-deb", "dpkg-query")

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def work(self, version: str, before: str) -> InstallWork:
        return package_work(self.folder, self._build(version), version=version, before=before)

    def running(self) -> str:
        return program_version(self.folder / "root/usr/bin/hello")

    def hostile(self) -> InstallWork:
        return package_work(self.folder, self._build("9.0", name="other"), version="9.0")

    def elsewhere(self) -> InstallWork:
        return package_work(self.folder, self._build("9.0", architecture="mips"), version="9.0")

    def without_way_back(self, work: InstallWork) -> InstallWork:
        shutil.rmtree(work.kept)
        (work.root / "usr/bin/hello").unlink()
        return work

    def _build(self, version: str, **changes: Any) -> Path:
        ready = self.folder / f"hello_{version}_all.deb"
        if ready.exists():
            return ready
        built = build_package(self.folder, version, **changes)
        return built.rename(built.with_name(built.name.replace("other_", "hello_")))


class AptBench(DebBench):
    """The apt installer: a set of one package, on the real dpkg."""

    installer: Installer = AptInstaller()

    def work(self, version: str, before: str) -> InstallWork:
        return self._set(super().work(version, before), version)

    def hostile(self) -> InstallWork:
        return self._set(super().hostile(), "9.0")

    def elsewhere(self) -> InstallWork:
        return self._set(super().elsewhere(), "9.0")

    def _set(self, work: InstallWork, version: str) -> InstallWork:
        work = with_options(work, package="hello", version=version)
        work = replace(work, manifest=replace(work.manifest, downgrade="allowed"))
        found = self.installer.installed_version(work.manifest, work.artifacts, work.root)
        return replace(work, version_before=found if work.version_before else "")


class RpmBench:
    """The rpm installer on the real rpm, with a database of its own below the root."""

    installer: Installer = RpmInstaller()
    tools: tuple[str, ...] = ("rpm",)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def work(self, version: str, before: str) -> InstallWork:
        return rpm_work(self.folder, self._build(version), version=version, before=before)

    def running(self) -> str:
        return program_version(self.folder / "root/usr/bin/hello")

    def hostile(self) -> InstallWork:
        built = self._build("9.0-1", name="other")
        return rpm_work(self.folder, built.rename(self.folder / "hello-9.0-1.noarch.rpm"), version="9.0-1")

    def elsewhere(self) -> InstallWork:
        return rpm_work(self.folder, self._build("9.0-1", architecture="mips"), version="9.0-1")

    def without_way_back(self, work: InstallWork) -> InstallWork:
        shutil.rmtree(work.kept)
        return work

    def _build(self, version: str, **changes: Any) -> Path:
        built = self.folder / f"hello-{version}.noarch.rpm"
        return built if built.exists() else build_rpm(self.folder, version, **changes)


SCRIPT = """#!/bin/sh
set -e
version() { mkdir -p "$SOPWITH_ROOT/opt/hello"; echo "$1" >.next; mv .next "$SOPWITH_ROOT/opt/hello/VERSION"; }
case "$1" in
install) version %s ;;
undo) if [ -n "$SOPWITH_VERSION_BEFORE" ]; then version "$SOPWITH_VERSION_BEFORE"; else rm -r "$SOPWITH_ROOT/opt"; fi ;;
esac
"""


class ScriptBench:
    """The script installer on a real shell script."""

    installer: Installer = ScriptInstaller()
    tools: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def work(self, version: str, before: str) -> InstallWork:
        return self._work(SCRIPT % version, version, before)

    def running(self) -> str:
        return program_version(self.folder / "root/opt/hello/VERSION")

    def hostile(self) -> InstallWork:
        return self._work("echo no first line says who runs this\n" * 20, "9.0-1")

    def elsewhere(self) -> InstallWork:
        return self._work("#!/usr/bin/powershell-of-another-system\n", "9.0-1")

    def without_way_back(self, work: InstallWork) -> InstallWork:
        options = {"arguments": ["install"], "version_file": "/opt/hello/VERSION"}
        artifact = replace(work.artifacts[0], options=options)
        return replace(work, artifacts=(artifact,))

    def _work(self, text: str, version: str, before: str = "") -> InstallWork:
        script = self.folder / f"hello-{version}.sh"
        script.write_text(text)
        work = package_work(self.folder, script, version=version, before=before, installer="script")
        return with_options(work, arguments=["install"], rollback=["undo"], version_file="/opt/hello/VERSION")


class WheelBench:
    """The wheel installer with the computer's own Python and pip."""

    installer: Installer = WheelInstaller()
    tools: tuple[str, ...] = ("python3",)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def work(self, version: str, before: str) -> InstallWork:
        return wheel_work(self.folder, build_wheel(self.folder, version), version=version, before=before)

    def running(self) -> str:
        found = list((self.folder / "root/opt/hello/current").glob("lib/python3*/site-packages/hello.py"))
        return found[0].read_text().split('"')[1] if found else ""

    def hostile(self) -> InstallWork:
        return wheel_work(self.folder, build_wheel(self.folder, "9.0-1", extra={"../outside": "x"}), version="9.0-1")

    def elsewhere(self) -> InstallWork:
        return wheel_work(self.folder, build_wheel(self.folder, "9.0-1", tag="cp27-none-win32"), version="9.0-1")

    def without_way_back(self, work: InstallWork) -> InstallWork:
        shutil.rmtree(work.kept)
        shutil.rmtree(work.root / "opt/hello/1.0-1")
        (work.root / "opt/hello/current").unlink()
        return work


class UnitBench:
    """A Debian package and an archive as one unit; it runs a version only when both are there."""

    installer: Installer = UnitInstaller(InstallersByName(others=()))
    tools: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self.deb, self.archive = DebBench(folder), ArchiveBench(folder)

    def work(self, version: str, before: str) -> InstallWork:
        return joined(self.deb.work(version, before), self.archive.work(version, before))

    def running(self) -> str:
        versions = {self.deb.running(), self.archive.running()}
        return versions.pop() if len(versions) == 1 else f"partly {sorted(versions)}"

    def hostile(self) -> InstallWork:
        hostile = self.archive.hostile()
        return joined(self.deb.work(hostile.manifest.version, ""), hostile)

    def elsewhere(self) -> InstallWork:
        return joined(self.deb.elsewhere(), self.archive.work("9.0", ""))

    def without_way_back(self, work: InstallWork) -> InstallWork:
        self.archive.without_way_back(work)
        (work.root / "usr/bin/hello").unlink()
        return work


class ExampleBench:
    """The worked example of the guide for other makers' installers."""

    tools: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.installer: Installer = example_installer(folder / "site")

    def work(self, version: str, before: str) -> InstallWork:
        file = self.folder / f"hello-{version}.txt"
        file.write_text(f"{version}\nsoup\n")
        work = package_work(self.folder, file, version=version, before=before, installer="example.file")
        return with_options(work, settings={"to": "/srv/hello.txt"})

    def running(self) -> str:
        path = self.folder / "root/srv/hello.txt"
        return path.read_text().split()[0] if path.exists() else ""

    def hostile(self) -> InstallWork:
        work = self.work("8.0", "")
        return replace(work, manifest=replace(work.manifest, version="9.0"))

    def elsewhere(self) -> None:
        return None

    def without_way_back(self, work: InstallWork) -> InstallWork:
        (work.root / "srv/hello.txt").unlink()
        return work


def joined(first: InstallWork, second: InstallWork) -> InstallWork:
    """Return the work of both as one release."""
    artifacts = (*first.artifacts, *second.artifacts)
    manifest = replace(first.manifest, artifacts=artifacts)
    return replace(first, manifest=manifest, artifacts=artifacts, files=(*first.files, *second.files))


BENCHES: dict[str, Callable[[Path], Bench]] = {
    "archive": ArchiveBench,
    "deb": DebBench,
    "apt": AptBench,
    "rpm": RpmBench,
    "script": ScriptBench,
    "wheel": WheelBench,
    "unit": UnitBench,
    "example.file": ExampleBench,
}
NEEDED = {
    "deb": ("dpkg-deb",),
    "apt": ("dpkg-deb",),
    "rpm": ("rpm", "rpmbuild"),
    "wheel": ("python3",),
    "unit": ("dpkg-deb",),
}
"""Programs without which a bench cannot be set up."""

V1, V2 = "1.0-1", "2.0-1"
"""Versions that every format can write."""


def install(bench: Bench, version: str, before: str) -> tuple[InstallWork, list[str]]:
    work = bench.work(version, before)
    commits: list[str] = []
    bench.installer.prepare(work)
    bench.installer.apply(work, lambda: commits.append(bench.running()))
    return work, commits


def version_of(bench: Bench, work: InstallWork) -> str:
    found = bench.installer.installed_version(work.manifest, work.artifacts, work.root)
    return bench.running() if found.startswith("0~") else found  # a set that was there before has no name of its own
