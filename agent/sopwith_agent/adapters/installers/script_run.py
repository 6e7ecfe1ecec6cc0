"""One run of a release's script: limited, watched, and its end on disk even where the agent dies meanwhile.

Decides how a script is started and what is known of it afterwards; what follows is `script`'s. A small keeper process
(`script_keeper`) stands between agent and script: it sets the limits, starts the script in a session of its own, ends
the whole group when time is up, and writes how it ended. So an agent that comes back after a crash finds the script
still kept within its time, or its end written down.

Rules: argument list, clean environment, no standard input, output to a bounded file; the environment holds PATH, LANG
and `SOPWITH_ROOT`, `SOPWITH_RELEASE`, `SOPWITH_VERSION`, `SOPWITH_VERSION_BEFORE`, `SOPWITH_STEP`.
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from sopwith_agent.adapters.processes import Finished, escape_text, run_program
from sopwith_agent.steps.installer_port import InstallWork
from sopwith_formats import canonical_json
from sopwith_formats.durable import durable_write, make_private_folder
from sopwith_formats.errors import FormatError

MEMORY_MAX_DEFAULT = 2**30
_KEEPER = "sopwith_agent.adapters.installers.script_keeper"
_KEEPER_GRACE_SECONDS = 15
_OUTPUT_MAX = 8 * 2**10


@dataclass(frozen=True)
class Limits:
    """What one script may use; 0 means our own default."""

    memory_bytes: int
    seconds: int


class ScriptRun:
    """The runs of one release's script."""

    def __init__(self, folder: Path, script: str, limits: Limits) -> None:
        """Keep script and companions in `folder`, and what is known of runs beside it."""
        self.folder = folder
        self._script = script
        self._limits = limits
        self._marks = folder.with_name(f"{folder.name}.runs")

    def forget(self) -> None:
        """Forget earlier runs: another install begins."""
        shutil.rmtree(self._marks, ignore_errors=True)

    def begun(self, act: str) -> bool:
        """Tell whether the act (install, rollback) was ever started."""
        return (self._marks / f"{act}.begun").exists()

    def ended_well(self, act: str) -> bool:
        """Tell whether the last run of the act ended with 0."""
        ended = self._ended(act)
        return ended is not None and ended.ok

    def running(self) -> int:
        """Return the process of a keeper that still runs, 0 where none does."""
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if _KEEPER in words and str(self._marks) in words:
                return int(process.pid)
        return 0

    def start(self, act: str, work: InstallWork, arguments: list[str]) -> Finished:
        """Run the script with these arguments and wait for its end."""
        make_private_folder(self._marks)
        (self._marks / f"{act}.ended").unlink(missing_ok=True)
        durable_write(self._marks / f"{act}.begun", b"", 0o600)
        command: list[str | Path] = [
            *(sys.executable, "-I", "-m", _KEEPER, str(self._marks), act, str(self._limits.seconds)),
            *(str(self._limits.memory_bytes or MEMORY_MAX_DEFAULT), str(self.folder / self._script), *arguments),
        ]
        environment = {
            "SOPWITH_ROOT": str(work.root),
            "SOPWITH_RELEASE": work.manifest.name,
            "SOPWITH_VERSION": work.manifest.version,
            "SOPWITH_VERSION_BEFORE": work.version_before,
            "SOPWITH_STEP": act,
        }
        seconds = self._limits.seconds + _KEEPER_GRACE_SECONDS
        kept = run_program(command, timeout_seconds=seconds, environment=environment, folder=self.folder)
        return self._ended(act) or kept

    def _ended(self, act: str) -> Finished | None:
        try:
            document = canonical_json.decode((self._marks / f"{act}.ended").read_bytes())
            output = (self._marks / f"{act}.output").read_bytes()[-_OUTPUT_MAX:].decode(errors="replace")
            return Finished(document["exit_code"], escape_text(output), document["timed_out"])
        except (OSError, FormatError, KeyError, TypeError):
            return None
