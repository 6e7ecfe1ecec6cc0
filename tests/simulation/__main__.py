"""`python -m tests.simulation --seed N --computers M [--seeds K] [--jobs J]`: run seeds, print what broke.

Each job runs its share of the seeds in a process of its own, where hashes are pinned, so that the same seed gives the
same run in every process. A broken promise shows the last events of its run and how to see it again. Exit code 0: every
promise held.
"""

import argparse
import gc
import logging
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import MutableMapping
from typing import Any, NoReturn

PINNED = "0"
SHOWN_BROKEN = 10


def main() -> int:
    """Run the seeds that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds")
    parser.add_argument("--step", type=int, default=1, help="from one seed to the next")
    parser.add_argument("--computers", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=1, help="how many processes share the seeds; 0: one per core")
    options = parser.parse_args()
    begun = time.monotonic()
    jobs = min(options.jobs or os.cpu_count() or 1, options.seeds)
    if jobs > 1:
        failed = _shared(options, jobs)
    elif os.environ.get("PYTHONHASHSEED") != PINNED:
        command = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, "PYTHONHASHSEED": PINNED})  # noqa: S606  the same program
    else:
        seeds = range(options.seed, options.seed + options.seeds * options.step, options.step)
        failed = sum(not _run(seed, options.computers) for seed in seeds)
    took = time.monotonic() - begun
    _say(f"{options.seeds} seeds of {options.computers} computers in {took:.0f} s: {failed} broke a promise")
    return 1 if failed else 0


def _shared(options: argparse.Namespace, jobs: int) -> int:
    """Let processes run every n-th seed each; return how many seeds broke a promise."""
    failed = [0] * jobs
    threads = []
    for job in range(jobs):
        seeds = len(range(job, options.seeds, jobs))
        numbers = {"seed": options.seed + job, "seeds": seeds, "step": jobs, "computers": options.computers}
        command = [sys.executable, "-m", "tests.simulation", *(f"--{key}={value}" for key, value in numbers.items())]
        threads.append(threading.Thread(target=_follow, args=(command, failed, job)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    return sum(failed)


def _follow(command: list[str], failed: list[int], job: int) -> None:
    """Show what one process says; its last line is its own summary."""
    environment = {**os.environ, "PYTHONHASHSEED": PINNED}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        summary = ""
        for line in process.stdout or ():
            if summary:
                _say(summary)
            summary = line.rstrip("\n")
    words = summary.split()
    failed[job] = int(words[-4]) if summary.endswith("broke a promise") else 1
    if process.returncode not in {0, 1}:
        _say(f"a job ended with {process.returncode}: {summary}")


def _run(seed: int, computers: int) -> bool:
    from tests.simulation.world import World

    logging.disable(logging.CRITICAL)
    listen_for_mistakes(world := World(seed, computers))
    begun = time.process_time()
    gc.collect()
    gc.disable()  # hardly anything of a run is garbage before its end, and looking for it takes a quarter of the time
    try:
        result = world.run()
    except Exception:  # noqa: BLE001  a mistake of the simulation must not end a night of seeds
        _say(f"seed {seed}: BROKEN the simulation itself failed\n{traceback.format_exc()}")
        _say(f"  again: make simulate SEED={seed} SEEDS=1 COMPUTERS={computers}")
        return False
    finally:
        gc.enable()
    outcomes = ", ".join(f"{number} {name or 'open'}" for name, number in result.outcomes.items())
    _say(
        f"seed {seed}: {'; '.join(result.rollouts)}; {outcomes}; {result.starts} starts, {result.commits} commits, "
        f"{result.controllers} controllers, {result.acts} acts, {result.virtual} in "
        f"{time.process_time() - begun:.1f} s, trace {result.digest[:12]}"
    )
    if result.broken:
        for text in result.last:
            _say(f"  {text}")
        for text in result.broken[:SHOWN_BROKEN]:
            _say(f"  BROKEN {text}")
        _say(f"  again: make simulate SEED={seed} SEEDS=1 COMPUTERS={computers}")
    return not result.broken


def listen_for_mistakes(world: Any) -> None:
    """Count every error that a service caught and logged as a broken promise, but for the injected ones."""
    import structlog

    from tests.simulation.database import DiskRefusedError
    from tests.simulation.promises import Promise

    def listen(_: Any, __: str, event: MutableMapping[str, Any]) -> NoReturn:
        if event.get("exc_info"):
            error = sys.exc_info()[1]
            if error is not None and not isinstance(error, DiskRefusedError):
                world.note_broken(Promise.CALM, f"{event['event']}: {type(error).__name__}: {error}")
        raise structlog.DropEvent

    structlog.configure(processors=[listen])


_SAYING = threading.Lock()


def _say(text: str) -> None:
    with _SAYING:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
