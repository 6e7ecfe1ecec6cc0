"""The proof that the simulation would notice: each promise has a planted mistake, which is found by its name."""

import logging

import pytest
import structlog

from tests.simulation.__main__ import listen_for_mistakes
from tests.simulation.planted import MISTAKES
from tests.simulation.promises import Promise
from tests.simulation.world import World

SEEDS = 30


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    structlog.reset_defaults()


def test_every_promise_has_its_planted_mistake():
    assert set(MISTAKES) == set(Promise)


@pytest.mark.parametrize("promise", Promise)
def test_planted_mistake_is_found_by_the_name_of_the_promise(promise, monkeypatch):
    mistake = MISTAKES[promise]
    mistake.plant(monkeypatch)
    found: list[str] = []

    for seed in range(mistake.seed, mistake.seed + SEEDS):
        world = World(seed, mistake.computers, mistake.beside)
        listen_for_mistakes(world)
        found = list(world.run().broken)
        if any(f" {promise}: " in text for text in found):
            break

    assert any(f" {promise}: " in text for text in found), found
