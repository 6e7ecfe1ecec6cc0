"""Real packages, with agent and package tool killed in the middle for real (fault cases 42 to 44, 47).

Debian's own `jq` and `libjq1`, which depend on each other by exact version, are updated to a repacked newer version and
taken back; an rpm with many files likewise. The package tool runs below strace, which kills it at its n-th change of a
file, and the agent dies in the same moment. What follows is what a restarted agent does: look, then go back or stay.
After each the package database is what its own tools call consistent.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from sopwith_agent.adapters import processes
from sopwith_agent.adapters.installers.deb import DebInstaller
from sopwith_agent.adapters.installers.rpm import RpmInstaller
from sopwith_agent.steps.installer_port import Installer, InstallWork, OnDisk
from tests.agent.packages import build_package, dpkg_below, make_database, package_work
from tests.agent.rpms import build_rpm, rpm_below, rpm_work

pytestmark = [pytest.mark.needs_tool("strace"), pytest.mark.timeout(280)]

CALLS = "rename,renameat,renameat2,link,linkat,unlink,unlinkat,fsync,fdatasync"
WRAPPER = """#!/bin/sh
strace -f -qq -o /dev/null -e trace={calls} -e inject={calls}:signal=KILL:when={call} /usr/bin/{tool} "$@"
code=$?
[ $code -lt 128 ] || kill -KILL $PPID
exit $code
"""


@contextmanager
def tool_that_dies(folder: Path, tool: str, call: int) -> Iterator[None]:
    """Let the agent of this process find a package tool that dies at its n-th call, and takes the agent with it."""
    place = folder / "wrapped"
    place.mkdir(exist_ok=True)
    (place / tool).write_text(WRAPPER.format(calls=CALLS, call=call, tool=tool))
    (place / tool).chmod(0o755)
    before, processes.PATH = processes.PATH, f"{place}:{processes.PATH}"
    try:
        yield
    finally:
        processes.PATH = before


def dies(act: Callable[[], object]) -> bool:
    """Run an agent's act in a process of its own; tell whether it was killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            act()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def sweep(
    installer: Installer, work: InstallWork, folder: Path, tool: str, consistent: Callable[[str], None]
) -> dict[str, list[OnDisk]]:
    """Kill install and rollback at one call after the other, further and further apart, until each comes through."""
    acts: dict[str, Callable[[], None]] = {
        "apply": lambda: installer.apply(work, lambda: None),
        "roll_back": lambda: installer.roll_back(work),
    }
    found: dict[str, list[OnDisk]] = {}
    for name, act in acts.items():
        saved = shutil.copytree(work.root, folder / f"saved-{name}", symlinks=True)
        states = found[name] = []
        call = 1
        while dies(lambda: _with(tool_that_dies(folder, tool, call), act)):  # noqa: B023  it runs at once
            states.append(installer.recover(work))
            if name == "roll_back" or states[-1] is not OnDisk.NEW:
                installer.roll_back(work)
                assert installer.recover(work) is OnDisk.OLD
                consistent("old")
            else:
                consistent("new")
            shutil.rmtree(work.root)
            shutil.copytree(saved, work.root, symlinks=True)
            if name == "apply":
                installer.prepare(work)
            call = call * 3 // 2 + 1
        assert installer.recover(work) is (OnDisk.NEW if name == "apply" else OnDisk.OLD)
        consistent("new" if name == "apply" else "old")
    return found


def _with(context: AbstractContextManager[None], act: Callable[[], None]) -> None:
    with context:
        act()


@pytest.fixture(scope="module")
def debians_jq(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jq")
    done = subprocess.run(
        ["apt-get", "download", "jq", "libjq1"], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"Debian's packages cannot be fetched here: {done.stderr.strip().splitlines()[-1]}")
    return folder


def repacked(package: Path, version: str, raised: str) -> Path:
    """Return the same package with a raised version, also where it asks for its sister of the same version."""
    tree = package.parent / f"tree-{package.name}"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True, capture_output=True)
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace(version, raised))
    place = package.parent / "raised"
    place.mkdir(exist_ok=True)
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, place], check=True, capture_output=True)
    shutil.rmtree(tree)
    return next(place.glob(f"{package.name.split('_')[0]}_*.deb"))


@pytest.mark.needs_tool("apt-get", "dpkg-deb")
def test_debians_jq_is_updated_and_taken_back_with_every_plug_pulled(tmp_path: Path, debians_jq: Path) -> None:
    installer = DebInstaller()
    jq, library = next(debians_jq.glob("jq_*.deb")), next(debians_jq.glob("libjq1_*.deb"))
    fields = subprocess.run(["dpkg-deb", "-f", jq, "Version"], check=True, capture_output=True, text=True)
    version = fields.stdout.strip()
    raised = f"{version}+raised1"
    root = tmp_path / "root"
    make_database(root)
    dpkg_below(root, "--install", *(build_package(tmp_path, "99", name=name) for name in ("libc6", "libonig5")))
    old = package_work(tmp_path, jq, library, version=version)
    installer.prepare(old)
    installer.apply(old, lambda: None)
    new = [repacked(package, version, raised) for package in (jq, library)]
    work = package_work(tmp_path, *new, version=raised, before=version)
    installer.prepare(work)

    def consistent(which: str) -> None:
        wanted = raised if which == "new" else version
        assert dpkg_query(root) == {"jq": f"installed {wanted}", "libjq1": f"installed {wanted}"}
        assert dpkg_below(root, "--audit") == ""
        assert dpkg_below(root, "--verify", "jq", "libjq1") == ""
        assert not list(root.rglob("*.dpkg-new")) + list(root.rglob("*.dpkg-tmp"))

    found = sweep(installer, work, tmp_path, "dpkg", consistent)

    assert OnDisk.BROKEN in found["apply"]
    assert len(found["apply"]) >= 4
    assert len(found["roll_back"]) >= 4


def dpkg_query(root: Path) -> dict[str, str]:
    """Return how dpkg's database has the two packages."""
    shown = "--showformat=${Package} ${db:Status-Status} ${Version}\n"
    command = ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "--show", shown, "jq", "libjq1"]
    rows = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return dict(row.split(" ", 1) for row in rows)


@pytest.mark.needs_tool("rpm", "rpmbuild")
def test_rpm_is_updated_and_taken_back_with_every_plug_pulled(tmp_path: Path) -> None:
    installer = RpmInstaller()
    files = {f"usr/share/hello/{number:02}": f"file {number}\n" for number in range(20)}
    old = rpm_work(tmp_path, build_rpm(tmp_path, "1.0-1", configuration="a\n", extra=files), version="1.0-1")
    installer.prepare(old)
    installer.apply(old, lambda: None)
    changed = {name: text.upper() for name, text in files.items()}
    new = build_rpm(tmp_path, "2.0-1", configuration="a\n", extra=changed)
    work = rpm_work(tmp_path, new, version="2.0-1", before="1.0-1")
    installer.prepare(work)
    root = work.root

    def consistent(which: str) -> None:
        wanted = "2.0-1" if which == "new" else "1.0-1"
        assert rpm_below(root, "-qa") == f"hello-{wanted}.noarch\n"
        verify = ["rpm", f"--root={root}", "--dbpath=/var/lib/rpm", "-Va", "--nodeps", "--nomtime"]
        assert subprocess.run(verify, check=False, capture_output=True, text=True).stdout == ""
        command = ["rpmdb", f"--root={root}", "--dbpath=/var/lib/rpm", "--verifydb"]
        subprocess.run(command, check=True, capture_output=True)
        assert not list(root.rglob("*;*"))
        assert (root / "usr/share/hello/07").read_text() == ("FILE 7\n" if which == "new" else "file 7\n")

    found = sweep(installer, work, tmp_path, "rpm", consistent)

    assert OnDisk.BROKEN in found["apply"]
    assert len(found["apply"]) >= 4
    assert len(found["roll_back"]) >= 4
