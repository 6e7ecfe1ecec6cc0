"""Agent versions for tests: archives whose program is this very agent under another version's name, good or broken.

Each `bin/sopwith-agent` starts the tested code in a real Python process. What a broken one does, it does when it is
asked to `run`; asked for its version it answers like a good one, as a release that got through every other check.
"""

import io
import sys
import tarfile
from pathlib import Path

GOOD = ""
CRASHES = "if sys.argv[1:2] == ['run']: raise RuntimeError('this version was built without its engine')"
CANNOT_CONNECT = (
    "from sopwith_agent.adapters.controller_link import GrpcLink; GrpcLink.address = property(lambda s: '127.0.0.1:9')"
)
_PROGRAM = """#!/bin/sh
here=$(dirname "$(dirname "$(readlink -f "$0")")")
export SOPWITH_AGENT_HOME="$here"
exec {python} -c "
import sys
import sopwith_formats.version as of
of.VERSION = '{version}'
{fault}
from sopwith_agent.__main__ import main
sys.exit(main())
" "$@"
"""
_RELEASE = """release: sopwith-agent
version: "{version}"
summary: the agent itself
artifacts:
  - file: sopwith-agent-{version}.tar.gz
    installer: agent
    options: {{confirm_within: {within}}}
"""


def program(version: str, fault: str = GOOD) -> bytes:
    """Return `bin/sopwith-agent` of a version."""
    return _PROGRAM.format(python=sys.executable, version=version, fault=fault).encode()


def lay_first(root: Path, version: str) -> Path:
    """Lay a version as the agent's package does; return the program that the service manager starts."""
    folder = root / "opt/sopwith-agent" / version / "bin"
    folder.mkdir(parents=True)
    (folder / "sopwith-agent").write_bytes(program(version))
    (folder / "sopwith-agent").chmod(0o755)
    link = root / "opt/sopwith-agent/current"
    link.symlink_to(version)
    return link / "bin/sopwith-agent"


def archive(path: Path, version: str, fault: str = GOOD) -> Path:
    """Write the archive of a version."""
    data = program(version, fault)
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo("bin/sopwith-agent")
        entry.size, entry.mode = len(data), 0o755
        tar.addfile(entry, io.BytesIO(data))
    return path


def write_release(folder: Path, version: str, fault: str = GOOD, within: str = "30s") -> Path:
    """Write a release folder of a version; return it."""
    folder.mkdir()
    archive(folder / f"sopwith-agent-{version}.tar.gz", version, fault)
    (folder / "release.yaml").write_text(_RELEASE.format(version=version, within=within), encoding="utf-8")
    return folder
