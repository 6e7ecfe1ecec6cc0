"""A few seeds of the simulation, and the proof that it would notice: known mistakes are planted and must be found."""

import subprocess
import sys

import pytest
import structlog

from sopwith_controller.domain import assignment, offers, tick_state
from sopwith_controller.services import progress
from sopwith_formats.vocabulary import Outcome
from tests.simulation.world import World


@pytest.mark.parametrize("first", [1, 4, 7])
def test_every_promise_holds_whatever_goes_wrong(first):
    command = [sys.executable, "-m", "tests.simulation", "--seed", str(first), "--seeds", "3", "--computers", "12"]

    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broke a promise" in result.stdout


def _drop(*_):
    raise structlog.DropEvent


@pytest.fixture
def _quiet():
    structlog.configure(processors=[_drop])
    yield
    structlog.reset_defaults()


def broken(*seeds: int, computers: int = 10) -> str:
    """Return the first promise that one of these seeds breaks."""
    for seed in seeds:
        result = World(seed, computers).run()
        if result.broken:
            return "; ".join(result.broken)
    return ""


@pytest.mark.usefixtures("_quiet")
def test_same_seed_is_the_same_run():
    first, second = (World(7, 5).run() for _ in range(2))

    assert first == second
    assert first.starts > 0


@pytest.mark.usefixtures("_quiet")
def test_offers_beyond_the_concurrency_are_noticed(monkeypatch):
    monkeypatch.setattr(offers, "_take_place", lambda *_, **__: None)

    assert "are the limit" in broken(*range(1, 9))


@pytest.mark.usefixtures("_quiet")
def test_leases_in_a_pause_or_a_freeze_are_noticed(monkeypatch):
    monkeypatch.setattr(tick_state, "of_rollout", lambda *_: None)

    assert "got a lease" in broken(*range(1, 20))


@pytest.mark.usefixtures("_quiet")
def test_messages_recorded_twice_are_noticed(monkeypatch):
    async def always_new(*_):
        return True

    monkeypatch.setattr(progress._Batch, "_is_new", always_new)

    assert broken(*range(1, 6))


@pytest.mark.usefixtures("_quiet")
def test_success_that_nobody_told_is_noticed(monkeypatch):
    def lies(before, outcome, **told):
        return end(before, Outcome.SUCCEEDED if outcome is Outcome.ROLLED_BACK else outcome, **told)

    end = assignment.end
    monkeypatch.setattr(assignment, "end", lies)

    assert "is SUCCEEDED, and the truth is ROLLED_BACK" in broken(3, 4, 5)
