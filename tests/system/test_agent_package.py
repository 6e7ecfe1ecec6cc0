"""The agent's package on a computer without Python: installed, upgraded, removed and purged by real dpkg.

The packages are built by `make agent-deb` beforehand, which takes minutes; SOPWITH_AGENT_DEBS names the folder with two
of them, the older first by version (`make agent-deb-test` builds both and runs this). The computer is a root made by
mmdebstrap, which holds Debian's essential packages and no Python.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

# The loader learns from /proc where a program lies, and so finds the libraries beside it.
_IN_ROOT = 'mount -t proc proc "$1/proc" && exec chroot "$@"'
DEBS = Path(os.environ.get("SOPWITH_AGENT_DEBS", "/nonexistent"))

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(1200),
    pytest.mark.needs_tool("mmdebstrap"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a root of its own"),
    pytest.mark.skipif(not DEBS.is_dir(), reason="needs the packages: `make agent-deb-test` builds them"),
]


@pytest.fixture(scope="module")
def computer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root with Debian's essential packages, and both of ours beside them."""
    root = tmp_path_factory.mktemp("computer") / "root"
    archive = root.with_suffix(".tar")
    subprocess.run(["mmdebstrap", "--variant=essential", "--quiet", "bookworm", archive], check=True)
    root.mkdir()
    subprocess.run(["tar", "-C", root, "--exclude=./dev/*", "-xf", archive], check=True)
    for package in DEBS.glob("sopwith-agent_*.deb"):
        shutil.copy(package, root)
    return root


def inside(root: Path, *command: str, expect: int = 0) -> str:
    """Run a program in the root, with the kernel's folder that every computer has; return what it says."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", _IN_ROOT, "sh", root, *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_agent_comes_stays_and_goes_without_python_on_the_computer(computer: Path):
    older, newer = sorted(path.name for path in computer.glob("sopwith-agent_*.deb"))
    versions = [name.split("_")[1] for name in (older, newer)]
    state = computer / "var/lib/sopwith-agent"
    assert not list((computer / "usr/bin").glob("python*"))

    inside(computer, "dpkg", "-i", f"/{older}")
    assert inside(computer, "sopwith-agent", "--version") == f"sopwith-agent {versions[0]}\n"
    assert "not enrolled" in inside(computer, "sopwith-agent", "check", expect=1)
    assert "Type=notify" in (computer / "usr/lib/systemd/system/sopwith-agent.service").read_text()
    modules = "import ssl, sqlite3, ctypes, cryptography.x509, grpc, tuf.ngclient, psutil, sopwith_agent.bootstrap"
    inside(computer, "/opt/sopwith-agent/current/python/bin/python3", "-I", "-B", "-OO", "-c", modules)

    (state / "kept").mkdir(parents=True)
    (state / "kept/canary").write_text("state")
    inside(computer, "dpkg", "-i", f"/{newer}")
    assert inside(computer, "sopwith-agent", "--version") == f"sopwith-agent {versions[1]}\n"
    assert (state / "kept/canary").read_text() == "state"

    inside(computer, "dpkg", "--remove", "sopwith-agent")
    assert not (computer / "opt/sopwith-agent").exists()
    assert (state / "kept/canary").read_text() == "state"

    inside(computer, "dpkg", "--purge", "sopwith-agent")
    left = [path for path in computer.rglob("*sopwith*") if path.suffix != ".deb" and "dpkg.log" not in path.name]
    assert left == []


def test_agent_that_updated_itself_further_stays_when_an_older_package_comes(computer: Path):
    older, newer = sorted(path.name for path in computer.glob("sopwith-agent_*.deb"))
    inside(computer, "dpkg", "-i", f"/{older}")
    own = computer / "opt/sopwith-agent/99.0"
    own.mkdir()
    (computer / "opt/sopwith-agent/current").unlink()
    (computer / "opt/sopwith-agent/current").symlink_to("99.0")

    inside(computer, "dpkg", "-i", f"/{newer}")

    assert (computer / "opt/sopwith-agent/current").readlink() == Path("99.0")
    inside(computer, "dpkg", "--purge", "sopwith-agent")
    assert not own.exists()
