"""The controller dies at every commit and every send of a whole rollout, once each; nothing is forgotten or done twice.

Each run is compared with one in which nobody died: the same outcomes, waves, counts, log entries and messages to
people. Only a message whose delivery was not on record yet may come twice, as `services/notifying` says.

Over the fake database at every point; over real SQLite, where each life opens what the dead one left on the disk, at a
few points spread over the run, or at every one by `make kills`.
"""

import itertools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from sopwith_controller.services import freezes
from sopwith_formats.vocabulary import Outcome
from tests.builders import FixedClock
from tests.faults.lives_on_disk import FILE, DiskOfLives, new_file
from tests.faults.one_rollout import Kill, OneRollout, Told

EVERY_POINT = bool(os.environ.get("SOPWITH_EVERY_KILL"))
POINTS_ON_DISK = 4
"""So many of each kind of point are tried in a run of all tests: each is a whole rollout on SQLite, in seconds."""
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


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a database file without a row."""
    return new_file(tmp_path_factory.mktemp("empty"), FixedClock())


def spread(points: int, when: str) -> list[int]:
    """Return which points are tried on the disk: all of them, or a few with the first and the last."""
    if EVERY_POINT:
        return list(range(1, points + 1))
    last = POINTS_ON_DISK - 1
    shift = points // (2 * last) if when == "after" else 0
    return sorted({min(points, 1 + shift + number * (points - 1) // last) for number in range(POINTS_ON_DISK)})


def test_a_whole_run_on_sqlite_ends_as_in_memory(empty: Path, tmp_path: Path):
    world = OneRollout(on_disk=(tmp_path / "lives", empty))

    assert told_by(world) == told_by(OneRollout())
    assert world.controllers == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", ["commit", "send"])
def test_nothing_is_forgotten_or_done_twice_on_sqlite_either(point, when, empty: Path, tmp_path: Path):
    first = OneRollout()
    whole = told_by(first)
    numbers = spread(first.mortality.counted[point], when)

    for number in numbers:
        kill = Kill(point, when, number)
        world = OneRollout(kill, on_disk=(tmp_path / "lives", empty))
        assert told_by(world) == whole, kill
        assert world.mortality.died, kill
        assert world.controllers == 2, kill
        assert max(world.mailbox.taken.values()) <= DELIVERIES_MAX, kill

    sys.stdout.write(f"{len(numbers)} of {first.mortality.counted[point]} kill points {when} a {point}, on SQLite\n")


def test_a_disk_that_forgets_what_was_committed_would_be_noticed(empty: Path, tmp_path: Path, monkeypatch):
    whole = told_by(OneRollout())
    leave = DiskOfLives.leave

    def forget(disk: DiskOfLives) -> None:
        leave(disk)
        journal = disk.found().with_name(f"{FILE}-wal")
        if disk.found().parent.name == "life-2":
            os.truncate(journal, journal.stat().st_size * 3 // 4)

    monkeypatch.setattr(DiskOfLives, "leave", forget)
    world = OneRollout(Kill("send", "after", 50), on_disk=(tmp_path / "lives", empty))

    world.run()

    assert world.told is None or world.told != whole
    assert world.mortality.died
