"""The controller dies at every commit and every send of a whole rollout, once each; nothing is forgotten or done twice.

Each run is compared with one in which nobody died: the same outcomes, waves, counts, log entries and messages to
people. Only a message whose delivery was not on record yet may come twice, as `services/notifying` says.
"""

import itertools
import sys
from collections.abc import Iterator

import pytest
import structlog

from sopwith_controller.services import freezes
from sopwith_formats.vocabulary import Outcome
from tests.faults.one_rollout import Kill, OneRollout, Told

DELIVERIES_MAX = 2
COMMANDS = {"create", "submit", "approve", "start", "pause", "resume", "freeze", "thaw", "retry", "withdraw"}


def _drop(*_):
    raise structlog.DropEvent


@pytest.fixture(autouse=True)
def _quiet():
    structlog.configure(processors=[_drop])
    yield
    structlog.reset_defaults()


def told_by(world: OneRollout) -> Told:
    """Play the story; return what is left of it."""
    result = world.run()
    assert world.told is not None, (result.broken, result.last)
    return world.told


def lives(point: str, when: str) -> Iterator[tuple[Kill, OneRollout]]:
    """Yield a run for every kill point, until there is none any more."""
    for number in itertools.count(1):
        kill = Kill(point, when, number)  # type: ignore[arg-type]
        world = OneRollout(kill)
        yield kill, world
        if not world.mortality.died:
            return


def test_a_whole_run_is_what_the_others_are_compared_with():
    world = OneRollout()

    told = told_by(world)

    assert told.broken == ()
    assert [one[1:] for one in told.outcomes if one[1] > 1] == [(2, Outcome.SUCCEEDED, 1)]
    assert sorted(outcome for _, first, outcome, _ in told.outcomes if first == 1) == sorted(
        [Outcome.SUCCEEDED] * 3 + [Outcome.ROLLED_BACK, Outcome.FAILED]
    )
    assert told.log["ASSIGNMENT_ENDED"] == told.log["ASSIGNMENT_OFFERED"] == 6
    assert told.waves[:2] == ((True, True, True), (True, True, True))
    assert told.messages
    assert set(world.mailbox.taken.values()) == {1}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", ["commit", "send"])
def test_a_controller_that_dies_at_any_moment_forgets_nothing_and_does_nothing_twice(point, when):
    whole = told_by(OneRollout())
    points, repeated = 0, set()

    for kill, world in lives(point, when):
        told = told_by(world)
        points += world.mortality.died
        repeated |= world.repeated
        assert told == whole, kill
        assert max(world.mailbox.taken.values()) <= DELIVERIES_MAX, kill

    sys.stdout.write(f"{points} kill points {when} a {point}; sent again: {', '.join(sorted(repeated))}\n")
    assert points == world.mortality.counted[point]
    assert points > 50
    if point == "commit":
        assert repeated >= COMMANDS


def test_a_command_that_is_carried_out_twice_would_be_noticed(monkeypatch):
    async def never(*_):
        return None

    world = OneRollout()
    whole = told_by(world)
    monkeypatch.setattr(freezes, "done_before", never)

    results = [told_by(OneRollout(Kill("commit", "after", number))) for number in world.asked["freeze"]]

    assert any(told.log["FREEZE_STARTED"] > whole.log["FREEZE_STARTED"] for told in results)
