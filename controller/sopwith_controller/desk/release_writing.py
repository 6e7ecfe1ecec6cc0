"""Writing a release file from a package: name, version and platform as the package itself says them.

This module decides what a new `release.yaml` contains; a person reads it before publishing. Health checks are left to
that person, because nobody can guess what a program must do to be well.
"""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from sopwith_controller.desk.errors import DeskError
from sopwith_formats.durable import durable_write
from sopwith_formats.release_document import RELEASE_FILE, read_release_document

_FIELDS = ("Package", "Version", "Architecture", "Description")
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64", "armhf": "armv7l", "i386": "i686"}
_READ_SECONDS = 30


@dataclass(frozen=True)
class Package:
    """What a package says about itself."""

    name: str
    version: str
    architecture: str
    summary: str


def read_deb(path: Path) -> Package:
    """Return what a Debian package says about itself; raise DeskError for anything else."""
    if not path.is_file():
        raise DeskError(f"{path} is no file", remedy="name a package, for example hello_2.10-3_amd64.deb")
    program = which("dpkg-deb")
    if program is None:
        raise DeskError("dpkg-deb is needed to read a package", remedy="install dpkg, or write release.yaml by hand")
    command = [program, "--field", str(path.resolve()), *_FIELDS]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_READ_SECONDS, check=False)
    except (subprocess.TimeoutExpired, UnicodeDecodeError) as error:
        raise DeskError(f"{path} cannot be read as a package") from error
    fields = dict(re.findall(r"^([A-Za-z]+): (.*)$", done.stdout, re.MULTILINE))
    if done.returncode or not {"Package", "Version", "Architecture"} <= fields.keys():
        raise DeskError(f"{path} is no Debian package", remedy="name a .deb file")
    return Package(
        fields["Package"], fields["Version"], fields["Architecture"], fields.get("Description", "")[:200].strip()
    )


def release_text(package: Package, file: str) -> str:
    """Return the release file of a package."""
    lines = [
        f"release: {package.name}",
        f"version: {_quoted(package.version)}",
        f"summary: {_quoted(package.summary)}",
        "artifacts:",
        f"  - file: {_quoted(file)}",
        "    installer: deb",
    ]
    if package.architecture != "all":
        arch = _ARCHITECTURES.get(package.architecture, package.architecture)
        lines.append(f"    when: {{os: linux, arch: [{arch}]}}")
    lines += [
        "# What must hold after the install; without a check the installed version alone is read back.",
        "# health_checks:",
        f"#   - {{exec: [/usr/bin/{package.name}, --version], timeout: 10s}}",
    ]
    return "\n".join(lines) + "\n"


def write_release(deb: Path, folder: Path | None = None) -> Path:
    """Write `release.yaml` beside a package, or into a folder together with a copy of it; return its path."""
    package = read_deb(deb)
    folder = folder or deb.parent
    path = folder / RELEASE_FILE
    if path.exists():
        raise DeskError(f"{path} exists already", remedy="change it by hand, or name another folder with --out")
    data = release_text(package, deb.name).encode()
    read_release_document(data, str(path))
    folder.mkdir(parents=True, exist_ok=True)
    if folder.resolve() != deb.parent.resolve() and not (folder / deb.name).exists():
        durable_write(folder / deb.name, deb.read_bytes())
    durable_write(path, data)
    return path


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
