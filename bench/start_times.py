"""How long each program takes to say its version, beside a Python that does nothing."""

import subprocess
import sys
from functools import partial
from pathlib import Path

from bench.measure import Line, best_seconds

LIMIT_SECONDS = 0.1
PROGRAMS = ("sopwith", "sopwith-controller", "sopwith-agent")
RUNS = 7


def lines() -> list[Line]:
    """Measure all three programs."""
    nothing = best_seconds(lambda: _run(sys.executable, "-c", "pass"), RUNS)
    beside = f"python -c pass: {nothing * 1000:.0f} ms"
    found = []
    for program in PROGRAMS:
        path = str(Path(sys.executable).with_name(program))
        seconds = best_seconds(partial(_run, path, "--version"), RUNS)
        found.append(
            Line(
                f"{program} --version",
                f"{seconds * 1000:.0f} ms",
                f"{LIMIT_SECONDS * 1000:.0f} ms",
                seconds / LIMIT_SECONDS,
                f"{beside} ({seconds / nothing:.1f} x)",
            )
        )
    return found


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
