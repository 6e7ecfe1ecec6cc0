"""The agent installed as its users do: an environment of its own from `requirements/agent.lock`, made once per run.

Measurements of the agent use it, because the developers' environment holds libraries that no computer of a fleet has.
"""

import atexit
import functools
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


@functools.cache
def environment() -> Path:
    """Return the environment's folder; raise CalledProcessError where it cannot be made (it needs a package index)."""
    folder = Path(tempfile.mkdtemp(prefix="sopwith-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    run = functools.partial(subprocess.run, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    run([sys.executable, "-m", "venv", folder])
    pip = [folder / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    run([*pip, "--require-hashes", "-r", REPOSITORY / "requirements/agent.lock"])
    run([*pip, "--no-deps", REPOSITORY])
    return folder


def program() -> Path:
    """Return the installed `sopwith-agent`."""
    return environment() / "bin/sopwith-agent"


def size_bytes() -> int:
    """Return what the installed files take, without the installer itself and without bytecode."""
    installers = {"pip", "setuptools", "_distutils_hack"}
    total = 0
    for path in (environment() / "lib").rglob("*"):
        parts = path.relative_to(environment()).parts
        package = next((part for part in parts[3:4]), "").partition("-")[0]
        if path.is_file() and not path.is_symlink() and "__pycache__" not in parts and package not in installers:
            total += path.stat().st_size
    return total
