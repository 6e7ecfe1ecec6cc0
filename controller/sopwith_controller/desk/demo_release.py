"""The demo's own small product, `lamp`: an archive with one program that says whether it shines.

Version 1 and 3 shine. Version 2 is the bad update: it installs well and then fails its health check.
"""

import io
import tarfile
from pathlib import Path

_PROGRAM = """#!/bin/sh
# A lamp. It says its version and whether it shines.
echo "lamp {version}"
{verdict}
"""
_MANIFEST = """release: lamp
version: "{version}"
summary: {summary}
severity: moderate
artifacts:
  - file: lamp-{version}.tar.gz
    installer: archive
    options: {{into: /opt/lamp, link: current}}
health_checks:
  - {{exec: [/opt/lamp/current/bin/lamp], expect: "shines", timeout: 5s}}
"""


def write_release(folder: Path, version: str, *, shines: bool, summary: str) -> Path:
    """Write a release folder: release.yaml and its archive; return it."""
    folder.mkdir(parents=True)
    verdict = 'echo "and it shines"' if shines else 'echo "but it stays dark" >&2; exit 1'
    program = _PROGRAM.format(version=version, verdict=verdict).encode()
    with tarfile.open(folder / f"lamp-{version}.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("bin/lamp")
        entry.size, entry.mode = len(program), 0o755
        archive.addfile(entry, io.BytesIO(program))
    (folder / "release.yaml").write_text(_MANIFEST.format(version=version, summary=summary), encoding="utf-8")
    return folder


def write_rollout(path: Path, version: str, waves: str, *, sop: str = "SU-SOP-001", **more: str) -> Path:
    """Write a rollout file; return it."""
    lines = [
        f"rollout: lamp-{version}",
        f"release: lamp@{version}",
        f"sop: {sop}",
        'audience: ""',
        "baseline: false",
        f"waves: {waves}",
    ]
    lines += [f"{key}: {value}" for key, value in more.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
