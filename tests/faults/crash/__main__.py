"""`make crash`: every step of the agent killed at every call that matters, then once more with the power cut.

Prints, per step, how many points were tried and how many of them broke the model, and every violation; ends with 1 when
there was one. Options: --step PART of a name, --only kill or power, --at-most N points per step,
--twice SEED.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.crash.disks import Disk, FolderDisk, loop_image, loop_refusal
from tests.faults.crash.harness import every, some, sweep
from tests.faults.crash.killer import can_trace
from tests.faults.crash.package_world import PackageWorld
from tests.faults.crash.steps import PACKAGE_STEPS, STEPS, Step
from tests.faults.crash.world import World, served_world


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.crash", description=__doc__)
    parser.add_argument("--step", default="", help="only steps whose name holds this")
    parser.add_argument("--only", choices=("kill", "power"), help="only one of the two deaths")
    parser.add_argument("--at-most", type=int, help="points per step, spread evenly")
    parser.add_argument("--twice", type=int, metavar="SEED", help="let the restarted agent die again, anywhere")
    options = parser.parse_args()
    refusal = can_trace()
    if refusal:
        _say(f"skipped: {refusal}")
        return 0
    bad = 0
    with tempfile.TemporaryDirectory(prefix="sopwith-crash-") as name:
        folder = Path(name)
        if options.only != "power":
            _say("killed (SIGKILL before the call):")
            bad += _sweep(FolderDisk(folder / "killed"), folder / "www", options)
        if options.only != "kill":
            refusal = loop_refusal(folder / "probe")
            _say(f"power cut: skipped, {refusal}" if refusal else "power cut (SIGKILL, unflushed writes lost):")
            if not refusal:
                with loop_image(folder / "power") as disk:
                    bad += _sweep(disk, folder / "www", options)
    return int(bad > 0)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _sweep(disk: Disk, www: Path, options: argparse.Namespace) -> int:
    points = violations = 0
    kinds: list[tuple[type[World], tuple[Step, ...]]] = [(World, STEPS)]
    if shutil.which("dpkg-deb"):
        kinds.append((PackageWorld, PACKAGE_STEPS))
    for kind, steps in kinds:
        chosen = [step for step in steps if options.step in step.name]
        if chosen:
            of_kind = _sweep_all(chosen, kind, disk, www, options)
            points, violations = points + of_kind[0], violations + of_kind[1]
    _say(f"  {'together':24} {points:5} points {violations:4} violations")
    return violations


def _sweep_all(
    steps: list[Step], kind: type[World], disk: Disk, www: Path, options: argparse.Namespace
) -> tuple[int, int]:
    """Return points and violations of these steps."""
    points = violations = 0
    again = None if options.twice is None else random.Random(options.twice)  # noqa: S311  a seed that can be given again
    with served_world(disk.path, www, kind) as world:
        for step in steps:
            began = time.monotonic()
            counts = sweep(step, world, disk, some(options.at_most) if options.at_most else every, again=again)
            points, violations = points + counts.points, violations + len(counts.violations)
            seconds = time.monotonic() - began
            _say(
                f"  {step.name:24} {counts.points:5} points {len(counts.violations):4} violations {seconds:6.0f} s",
            )
            for violation in counts.violations:
                _say(f"    {violation}")
    return points, violations


if __name__ == "__main__":
    sys.exit(main())
