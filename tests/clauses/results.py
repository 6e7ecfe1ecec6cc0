"""Runs the tests that show a clause and records what they said, for the page; run as `make clauses`.

A function with several cases passed when each case did. What was skipped shows nothing, and is recorded as skipped. A
run of some files replaces what is recorded of their tests; what is recorded of a test that is gone goes too.
"""

import json
import sys
from pathlib import Path

import pytest

from sopwith_formats.durable import durable_write
from tests.clauses.collected import ROOT, collect

FILE = ROOT / "tests" / "clauses" / "results.json"
_GRAVER = ("passed", "skipped", "failed")


def recorded(file: Path = FILE) -> dict[str, str]:
    """Return test to result of the recorded run."""
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return found


class Recorder:
    """Listens to a run of pytest."""

    def __init__(self) -> None:
        self.results: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the gravest word on each function."""
        if report.when == "call" or not report.passed:
            test = report.nodeid.partition("[")[0]
            now, before = report.outcome, self.results.get(test, "passed")
            self.results[test] = max(now, before, key=_GRAVER.index)


def main(arguments: list[str]) -> int:
    """Run the tests with a clause; options go to pytest. Write the record unless one could not be run at all."""
    recorder = Recorder()
    code = pytest.main(["-m", "clause", "-q", *arguments], plugins=[recorder])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return int(code)
    known = {one.test for one in collect()}
    results = {test: result for test, result in {**recorded(), **recorder.results}.items() if test in known}
    text = json.dumps(dict(sorted(results.items())), indent=1) + "\n"
    durable_write(FILE, text.encode(), 0o644)
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
