"""Fixtures for every test, and the rule about skips.

A test whose program of the system is missing skips with the reason. In CI (`CI` is set) a skip that is not listed in
`EXPECTED_SKIPS` fails the run: a test that quietly stops running is a hole.
"""

import logging
import os
import shutil
from collections.abc import Iterator

import pytest
import structlog

EXPECTED_SKIPS: dict[str, str] = {
    "test_power_cut_leaves_old_or_new": "mounts images on loop devices, which needs root and a kernel that lets it",
    "test_harness_finds_an_agent_that_does_not_flush": "likewise",
    "test_agent_package": "wants two packages, whose making and a Debian root take a minute of processor time; "
    "`make agent-deb-test` builds them and runs it",
    "test_real_hello": "fetches a package from Debian, which not every machine reaches",
}
"""Part of a test's id to the reason why CI may skip it."""
LONGEST = ("tests/system/", "tests/faults/")


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """Take back what a program that ran inside a test set up for its log: its stream ends with the test."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: at the end a worker would wait for the other one's last minutes."""
    items.sort(key=lambda item: next((n for n, folder in enumerate(LONGEST) if folder in item.nodeid), len(LONGEST)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs a program which this system lacks."""
    for marker in item.iter_markers("needs_tool"):
        for name in marker.args:
            if shutil.which(name) is None:
                pytest.skip(f"the program {name} is not installed; `make system-tools` installs it")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail CI for a skip that nobody expected."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("CI"):
        return
    unexpected = [
        report.nodeid
        for report in reporter.stats.get("skipped", [])
        if not any(part in report.nodeid for part in EXPECTED_SKIPS)
    ]
    if unexpected:
        reporter.write_line(f"skipped in CI without being expected: {', '.join(unexpected)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
