"""The computer's own Python, as far as wheels need it: what it is, whether it can make environments, and its pip.

Decides how the interpreter is asked and started; what is installed is `wheel`'s. Rules: the computer's Python, not the
agent's, so that an agent that updates itself takes nobody's interpreter away; isolated from the environment and from
user folders; pip works offline, from named files with their digests, builds nothing and keeps no cache.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sopwith_agent.adapters.processes import Finished, run_program
from sopwith_formats.errors import FormatError

_ASK_SECONDS = 30
_QUESTION = """
import importlib.util as u, json, platform, sys
has = lambda name: u.find_spec(name) is not None
print(json.dumps({"version": sys.version_info[:2], "machine": platform.machine(), "pip": has("pip"),
                  "venv": has("venv") and (has("pip") or has("ensurepip")), "is": sys.implementation.name}))
"""


@dataclass(frozen=True)
class Python:
    """One interpreter."""

    path: str
    version: tuple[int, int]
    machine: str
    implementation: str
    makes_environments: bool
    has_pip: bool

    def fits(self, wheel: str) -> bool:
        """Tell whether a wheel's own tags leave a chance that it runs here; pip has the last word."""
        parts = wheel.removesuffix(".whl").split("-")
        if len(parts) < 5:  # noqa: PLR2004  name, version, python, abi, platform
            return False
        pythons, _abis, platforms = (part.split(".") for part in parts[-3:])
        major, minor = self.version
        generic = {f"py{major}", f"py{major}{minor}", f"cp{major}{minor}"}
        here = [tag in generic or tag.startswith(f"cp{major}") for tag in pythons]
        return any(here) and any(tag == "any" or tag.endswith(f"_{self.machine}") for tag in platforms)

    def make_environment(self, folder: Path, timeout_seconds: float) -> Finished:
        """Make an empty environment."""
        without = ["--without-pip"] if self.has_pip else []
        return _run([self.path, "-I", "-m", "venv", *without, folder], timeout_seconds)

    def pip(self, folder: Path, arguments: Sequence[str | Path], timeout_seconds: float) -> Finished:
        """Run pip on an environment."""
        command: list[str | Path] = [folder / "bin/python", "-I", "-m", "pip"]
        if self.has_pip:
            command = [self.path, "-I", "-m", "pip", "--python", folder / "bin/python"]
        options = ["--isolated", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]
        return _run([*command, *options, *arguments], timeout_seconds)


def ask_python(path: str) -> Python:
    """Return what the interpreter says about itself; raise FormatError when it is none."""
    finished = run_program([path, "-I", "-c", _QUESTION], timeout_seconds=_ASK_SECONDS, raw_output=True)
    try:
        said = json.loads(finished.output)
        major, minor = said["version"]
        return Python(path, (major, minor), said["machine"], said["is"], said["venv"], said["pip"])
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError(f"{path} does not answer as a Python does: {finished.line}") from error


def _run(arguments: Sequence[str | Path], timeout_seconds: float) -> Finished:
    environment = {"PIP_CONFIG_FILE": "/dev/null", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    return run_program(arguments, timeout_seconds=timeout_seconds, environment=environment, end_children=True)
