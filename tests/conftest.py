"""Fixtures for every test: a program of the system that is missing skips a test with the reason."""

import shutil

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs_tool"):
        for name in marker.args:
            if shutil.which(name) is None:
                pytest.skip(f"the program {name} is not installed; `make system-tools` installs it")
