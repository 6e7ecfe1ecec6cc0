"""Builds the agent's Debian package with its own interpreter: `python deploy/agent_deb.py OUT`; see `make agent-deb`.

Decides what lies in the package: one version's folder with this interpreter's standard library, the shared libraries
that it needs beside glibc, the locked dependencies and our four packages; a unit; maintainer scripts that keep the
state on upgrade and removal and forget it on purge. The same folder, packed as an archive, is the file of the release
by which agents update themselves.

Rules: everything comes from this interpreter and from `requirements/agent.lock` with its hashes; the interpreter finds
its libraries by a path relative to itself, so that no environment variable reaches the programs that the agent starts.
"""

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCES = ("agent/sopwith_agent", "certs/sopwith_certs", "formats/sopwith_formats", "proto/gen/sopwith")
LEFT_OUT = {
    "__pycache__", "ensurepip", "idlelib", "lib2to3", "site-packages", "dist-packages", "test", "tests", "tkinter",
    "turtledemo", "turtle.py", "pydoc_data",
}  # fmt: skip
LEFT_OUT_MODULES = (
    "_tkinter.",
    "_test",
    "_ctypes_test.",
    "xxlimited",
    "_crypt.",
    "nis.",
    "_gdbm.",
    "_dbm.",
    "readline.",
)
GLIBC = (
    "linux-vdso",
    "ld-linux",
    "libc.so",
    "libm.so",
    "libdl.so",
    "libpthread.so",
    "librt.so",
    "libutil.so",
    "libresolv.so",
)
PROGRAM = """#!/bin/sh
here=$(dirname "$(dirname "$(readlink -f "$0")")")
export SOPWITH_AGENT_HOME="$here"
exec "$here/python/bin/python3" -I -B -OO -m sopwith_agent "$@"
"""
CONTROL = """Package: sopwith-agent
Version: {version}
Architecture: {architecture}
Maintainer: The Sopwith founders <founders@sopwith.invalid>
Depends: libc6 (>= {glibc})
Section: admin
Priority: optional
Installed-Size: {kilobytes}
Description: updates this computer under the fleet's Standard Operating Procedure
 The agent of Sopwith with an interpreter of its own. It does what a signed warrant
 of the fleet's controller asks, verifies everything against the signed source, and
 goes back when an update fails.
"""
POSTINST = """#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
into=/opt/sopwith-agent
mkdir -p -m 0700 /var/lib/sopwith-agent
running=$(readlink "$into/current" 2>/dev/null || true)
# An agent that has updated itself beyond this package stays what it is.
if [ -z "$running" ] || [ ! -d "$into/$running" ] || dpkg --compare-versions "$running" lt "{version}"; then
    ln -s "{version}" "$into/.sopwith-current"
    mv -fT "$into/.sopwith-current" "$into/current"
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl enable sopwith-agent.service >/dev/null 2>&1 || true
    if [ -e /var/lib/sopwith-agent/identity/trust.json ]; then
        systemctl restart --no-block sopwith-agent.service || true
    fi
fi
"""
PRERM = """#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl disable --now sopwith-agent.service || true
fi
"""
POSTRM = """#!/bin/sh
set -e
case "$1" in
    remove) rm -rf /opt/sopwith-agent ;;
    purge) rm -rf /opt/sopwith-agent /var/lib/sopwith-agent ;;
esac
if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
"""


def main() -> int:
    """Build the package and the archive; print where they lie and their sizes."""
    parser = argparse.ArgumentParser(description="Build the agent's Debian package with its own interpreter.")
    parser.add_argument("out", type=Path, help="folder for the two files")
    parser.add_argument("--version", default="", help="another version, for tests of upgrades")
    parser.add_argument("--quick", action="store_true", help="pack fast instead of small")
    options = parser.parse_args()
    version = options.version or own_version()
    for tool in ("dpkg-deb", "patchelf", "ldd"):
        if shutil.which(tool) is None:
            print(f"{tool} is missing; on Debian: apt-get install dpkg patchelf", file=sys.stderr)
            return 1
    out = options.out.resolve()
    root = out / "build" / f"sopwith-agent_{version}"
    shutil.rmtree(root, ignore_errors=True)
    home = root / "opt/sopwith-agent" / version
    lay_version(home, version)
    archive = out / f"sopwith-agent-{version}.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1 if options.quick else 9) as tar:
        for child in sorted(home.iterdir()):
            tar.add(child, child.name, filter=_anonymous)
    package = build_package(root, version, out, quick=options.quick)
    shutil.rmtree(root)
    for path, size in ((home, _size(archive)), (package, _size(package))):
        print(f"{path.name if path is home else path}: {size / 2**20:.1f} MiB packed")
    print(f"{archive}")
    return 0


def own_version() -> str:
    """Return the version that the source says."""
    text = (REPOSITORY / "formats/sopwith_formats/version.py").read_text(encoding="utf-8")
    return text.partition('VERSION = "')[2].partition('"')[0]


def lay_version(home: Path, version: str) -> None:
    """Lay everything that runs; print what it takes."""
    python = home / "python"
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    library = python / "lib" / name
    (python / "bin").mkdir(parents=True)
    shutil.copy2(Path(sys.executable).resolve(), python / "bin/python3")
    shutil.copytree(sysconfig.get_path("stdlib"), library, ignore=_left_out, symlinks=False)
    site = library / "site-packages"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-compile"]
    lock = REPOSITORY / "requirements/agent.lock"
    subprocess.run([*pip, "--require-hashes", "-r", lock, "--target", site], check=True)
    shutil.rmtree(site / "bin", ignore_errors=True)
    for source in SOURCES:
        shutil.copytree(
            REPOSITORY / source, site / Path(source).name, ignore=shutil.ignore_patterns("__pycache__", "*.pyi")
        )
    (site / "sopwith_formats/version.py").write_text(f'"""The version."""\n\nVERSION = "{version}"\n', encoding="utf-8")
    take_libraries(python)
    size = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
    compile_all = ["-m", "compileall", "-q", "-j", "0", "-o", "2", "--invalidation-mode", "unchecked-hash", library]
    subprocess.run([sys.executable, *compile_all], check=False, stdout=subprocess.DEVNULL)
    (home / "bin").mkdir()
    (home / "bin/sopwith-agent").write_text(PROGRAM, encoding="utf-8")
    (home / "bin/sopwith-agent").chmod(0o755)
    print(f"agent {version} with its interpreter: {size / 2**20:.1f} MiB without bytecode")


def take_libraries(python: Path) -> None:
    """Copy the shared libraries that anything here needs beside glibc, and let the interpreter find them."""
    needed: dict[str, Path] = {}
    objects = [python / "bin/python3", *python.rglob("*.so"), *python.rglob("*.so.*")]
    for path in objects:
        said = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for line in said.splitlines():
            name, arrow, rest = line.strip().partition(" => ")
            found = rest.partition(" (")[0]
            if (
                arrow
                and found.startswith("/")
                and not name.startswith(GLIBC)
                and not Path(found).is_relative_to(python)
            ):
                needed[name] = Path(found)
    for name, found in sorted(needed.items()):
        shutil.copy2(found, python / "lib" / name)
    # An old-style path of the interpreter holds for what its modules need, too, unless these have a path of their own.
    for path in [*python.rglob("lib-dynload/*.so"), *(python / "lib").glob("*.so*")]:
        subprocess.run(["patchelf", "--remove-rpath", path], check=True)
    command = ["patchelf", "--force-rpath", "--set-rpath", "$ORIGIN/../lib", python / "bin/python3"]
    subprocess.run(command, check=True)


def build_package(root: Path, version: str, out: Path, *, quick: bool) -> Path:
    """Lay what belongs to the package and not to the version, and pack it."""
    units = root / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    shutil.copy2(REPOSITORY / "deploy/sopwith-agent.service", units)
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/sopwith-agent").symlink_to("/opt/sopwith-agent/current/bin/sopwith-agent")
    architecture = subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()
    glibc = os.confstr("CS_GNU_LIBC_VERSION") or "glibc 2.36"
    kilobytes = sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) // 1024
    texts = {
        "control": CONTROL.format(
            version=version, architecture=architecture, glibc=glibc.partition(" ")[2], kilobytes=kilobytes
        ),
        "postinst": POSTINST.replace("{version}", version),
        "prerm": PRERM,
        "postrm": POSTRM,
    }
    (root / "DEBIAN").mkdir()
    for name, text in texts.items():
        (root / "DEBIAN" / name).write_text(text, encoding="utf-8")
        (root / "DEBIAN" / name).chmod(0o644 if name == "control" else 0o755)
    package = out / f"sopwith-agent_{version}_{architecture}.deb"
    packing = ["-Zgzip", "-z1"] if quick else ["-Zxz"]
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", *packing, "--build", root, package], check=True, stdout=subprocess.DEVNULL
    )
    return package


def _left_out(_folder: str, names: list[str]) -> set[str]:
    left = LEFT_OUT & set(names)
    left |= {name for name in names if name.startswith(LEFT_OUT_MODULES) or name.startswith("config-")}
    return left | {name for name in names if name.endswith(".a")}


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _size(path: Path) -> int:
    return path.stat().st_size


if __name__ == "__main__":
    sys.exit(main())
