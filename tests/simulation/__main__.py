"""`python -m tests.simulation --seed N --computers M [--seeds K]`: run seeds, print what broke and how to see it again.

Hashes are pinned, so that the same seed gives the same run in every process. Exit code 0: every promise held.
"""

import argparse
import logging
import os
import sys
import time
from collections.abc import MutableMapping
from typing import Any, NoReturn

PINNED = "0"


def main() -> int:
    """Run the seeds that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, one after the other")
    parser.add_argument("--computers", type=int, default=100)
    options = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != PINNED:
        command = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        os.execve(sys.executable, command, {**os.environ, "PYTHONHASHSEED": PINNED})  # noqa: S606  the same program
    failed = 0
    begun = time.monotonic()
    for seed in range(options.seed, options.seed + options.seeds):
        failed += not _run(seed, options.computers)
    took = time.monotonic() - begun
    _say(f"{options.seeds} seeds of {options.computers} computers in {took:.0f} s: {failed} broke a promise")
    return 1 if failed else 0


def _run(seed: int, computers: int) -> bool:
    from tests.simulation.world import World

    logging.disable(logging.CRITICAL)
    _listen_for_mistakes(world := World(seed, computers))
    begun = time.monotonic()
    result = world.run()
    outcomes = ", ".join(f"{number} {name or 'open'}" for name, number in result.outcomes.items())
    _say(
        f"seed {seed}: {'; '.join(result.rollouts)}; {outcomes}; {result.starts} starts, {result.commits} commits, "
        f"{result.controllers} controllers, {result.acts} acts, {result.virtual} in {time.monotonic() - begun:.1f} s"
    )
    for text in result.broken[:10]:
        _say(f"  BROKEN {text}")
    if result.broken:
        _say(f"  again: make simulate SEED={seed} SEEDS=1 COMPUTERS={computers}")
    return not result.broken


def _listen_for_mistakes(world: Any) -> None:
    """Count every error that a service caught and logged as a broken promise, but for the injected ones."""
    import structlog

    from tests.simulation.database import DiskRefusedError

    def listen(_: Any, __: str, event: MutableMapping[str, Any]) -> NoReturn:
        if event.get("exc_info"):
            error = sys.exc_info()[1]
            if error is not None and not isinstance(error, DiskRefusedError):
                world.note_broken(f"{event['event']}: {type(error).__name__}: {error}")
        raise structlog.DropEvent

    structlog.configure(processors=[listen])


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
