"""`python -m bench [NAME ...]`: measure, and print every figure beside its limit and its peer of the same run."""

import argparse
import importlib
import logging
import os
import platform
import sys
import time

from bench.measure import Line, print_table

MEASUREMENTS = (
    "start_times",
    "planner_tick",
    "service_tick",
    "event_store",
    "update_log",
    "agent_install",
    "agent_rest",
    "twenty_computers",
    "download",
)


def main() -> int:
    """Run the named measurements, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(MEASUREMENTS)}")
    names = parser.parse_args().names or MEASUREMENTS
    unknown = sorted(set(names) - set(MEASUREMENTS))
    if unknown:
        parser.error(f"no measurement is called {', '.join(unknown)}")
    logging.disable(logging.CRITICAL)
    found: list[Line] = []
    begun = time.perf_counter()
    for name in names:
        print(f"measuring {name} ...", file=sys.stderr)
        found += importlib.import_module(f"bench.{name}").lines()
    load = os.getloadavg()[0]
    cores = os.cpu_count()
    print(f"Python {platform.python_version()}, {cores} cores, load {load:.1f}, {time.perf_counter() - begun:.0f} s\n")
    print_table(found)
    print("\nRead the ratios: above 1 (!) the limit is missed. A load above the number of cores spoils absolute times.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
