"""Fifty seeds of small fleets, in classes, so that the workers of a test run share them; a seed is everything."""

import logging
import subprocess
import sys

import pytest
import structlog

from tests.simulation.__main__ import listen_for_mistakes
from tests.simulation.promises import PAGE, page
from tests.simulation.world import RunResult, World

SEEDS = 10
COMPUTERS = 7


def every_promise_holds(first: int) -> None:
    """Run ten seeds as a person would, in a process whose hashes are pinned."""
    command = [sys.executable, "-m", "tests.simulation", "--seed", str(first), "--seeds", str(SEEDS)]

    result = subprocess.run([*command, "--computers", str(COMPUTERS)], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broke a promise" in result.stdout


class TestFirstTen:
    def test_every_promise_holds_whatever_goes_wrong(self):
        every_promise_holds(1)


class TestSecondTen:
    def test_every_promise_holds_whatever_goes_wrong(self):
        every_promise_holds(11)


class TestThirdTen:
    def test_every_promise_holds_whatever_goes_wrong(self):
        every_promise_holds(21)


class TestFourthTen:
    def test_every_promise_holds_whatever_goes_wrong(self):
        every_promise_holds(31)


class TestFifthTen:
    def test_every_promise_holds_whatever_goes_wrong(self):
        every_promise_holds(41)


@pytest.fixture
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    structlog.reset_defaults()


def run(seed: int) -> RunResult:
    world = World(seed, 4)
    listen_for_mistakes(world)
    return world.run()


@pytest.mark.usefixtures("_quiet")
def test_same_seed_is_the_same_run_to_the_last_event():
    first, second = run(8), run(8)

    assert first == second
    assert first.starts > 0


@pytest.mark.usefixtures("_quiet")
def test_another_seed_is_another_run():
    first, second = run(8), run(9)

    assert first.digest != second.digest


def test_page_of_the_promises_is_fresh():
    text = PAGE.read_text(encoding="utf-8")

    assert text == page(), "run `make docs`"
