"""dpkg itself is killed in the middle of its work (fault cases 42 to 44, 47): the way back leads to the old version.

strace kills dpkg at its n-th renaming, linking or removing, one later each time, until a run comes through. After each
the installer says what it finds, and rolling back ends with the old version whole, whatever dpkg had done.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from sopwith_agent.adapters.installers.deb import DebInstaller
from sopwith_agent.adapters.installers.dpkg_tool import Dpkg
from sopwith_agent.steps.installer_port import InstallWork, OnDisk
from tests.agent.packages import build_package, dpkg_below, package_work

pytestmark = [pytest.mark.needs_tool("dpkg-deb"), pytest.mark.needs_tool("strace")]

DEB = DebInstaller()
CALLS = "rename,renameat,renameat2,link,linkat,unlink,unlinkat"


def cut_off(work: InstallWork, call: int) -> bool:
    """Run the install's dpkg and kill it at the n-th call; tell whether it was killed."""
    (package,) = (work.kept / "deb").glob("hello_2.0_*.deb")
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={CALLS}"]
    command += ["-e", f"inject={CALLS}:signal=KILL:when={call}"]
    command += ["dpkg", f"--root={work.root}", f"--log={work.root}/var/log/dpkg.log", "--force-not-root"]
    finished = subprocess.run([*command, "--install", package], check=False, capture_output=True, text=True)
    if "ptrace" in finished.stderr:
        pytest.skip("this system lets nobody trace a process")
    return finished.returncode != 0


def test_dpkg_killed_at_any_point_is_rolled_back_to_the_old_version(tmp_path: Path) -> None:
    old = package_work(tmp_path, build_package(tmp_path, "1.0", configuration="a\n"), version="1.0")
    DEB.prepare(old)
    DEB.apply(old, lambda: None)
    new = build_package(tmp_path, "2.0", configuration="b\n", extra={"usr/share/hello/data": "new"})
    work = package_work(tmp_path, new, version="2.0", before="1.0")
    saved = shutil.copytree(work.root, tmp_path / "saved", symlinks=True)

    found: set[OnDisk] = set()
    call = 1
    while True:
        DEB.prepare(work)
        if not cut_off(work, call):
            break
        found.add(DEB.recover(work))
        DEB.roll_back(work)
        assert DEB.recover(work) is OnDisk.OLD
        assert DEB.installed_version(work.manifest, work.artifacts, work.root) == "1.0"
        assert "1.0" in (work.root / "usr/bin/hello").read_text()
        assert dpkg_below(work.root, "--audit") == ""
        assert not list((work.root / "usr/bin").glob("*.dpkg-*"))
        shutil.rmtree(work.root)
        shutil.copytree(saved, work.root, symlinks=True)
        call += 1

    assert call > 10
    assert OnDisk.BROKEN in found
    assert Dpkg(work.root).state("hello").version == "2.0"
