"""Stalled computers give their place back, and never more than `max_concurrency` may install at once."""

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sopwith_controller.domain.offers import LEASE, WORD_UNDER_WAY
from sopwith_controller.domain.tick import HoldLease, MarkStalled
from sopwith_controller.domain.time_limits import INSTALL_TIMEOUT, LIMITS, stalls_at
from sopwith_formats.sop_policy import DisruptionBudget
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState
from tests.controller.domain.builders import HOUR, MINUTE, NOW, SECOND, World, a_plan, an_assignment

DOWNLOADING, STAGED = AssignmentState.DOWNLOADING, AssignmentState.STAGED
LIMIT = LIMITS[DOWNLOADING].lasts(INSTALL_TIMEOUT)


def downloads_and_says_no_more(count: int = 2, **changes: Any) -> World:
    """Return a world of one place in which pc0 downloads, and is found stalled."""
    world = World(a_plan(count, max_concurrency=1, **changes))
    world.tick()
    world.reports(0, DOWNLOADING)
    for _ in range(LIMIT // MINUTE):
        world.tick(MINUTE)
    return world


def test_a_stalled_download_gives_its_place_back_when_its_leave_to_start_has_run_out():
    world = downloads_and_says_no_more()
    until = world.assignments["a0"].start_until_time
    assert until is not None

    world.tick(until + WORD_UNDER_WAY - SECOND - world.now)
    kept = world.offered()
    world.tick(SECOND)

    assert until <= NOW + LIMIT + LEASE
    assert kept == [0]
    assert world.offered() == [0, 1]
    assert world.assignments["a0"].start_until_time is None
    assert world.why(0).waits_for == "stalled"
    assert "gave its place back" in world.assignments["a0"].waiting


def test_the_tick_names_the_time_at_which_a_stalled_one_gives_its_place_back():
    world = downloads_and_says_no_more()
    until = world.assignments["a0"].start_until_time
    assert until is not None

    first = world.decision.next_time
    world.tick(until - world.now)

    assert first == until
    assert world.decision.next_time == until + WORD_UNDER_WAY


def test_one_that_is_heard_of_again_goes_on_when_a_place_is_free():
    world = downloads_and_says_no_more()
    world.tick(LEASE + WORD_UNDER_WAY)

    world.reports(0, DOWNLOADING, percent=50)
    world.tick()
    waits = world.why(0).waits_for
    world.ends(1)
    world.tick()

    assert waits == "concurrency"
    assert world.assignments["a0"].start_until_time == world.now + LEASE


def test_one_that_is_heard_of_while_its_leave_lasts_keeps_its_place():
    world = downloads_and_says_no_more()

    world.reports(0, DOWNLOADING, percent=50)
    world.tick(LEASE + WORD_UNDER_WAY)

    assert world.offered() == [0]
    assert world.assignments["a0"].start_until_time == world.now + LEASE


def test_a_stalled_one_frees_the_disruption_budget_and_the_bandwidth():
    world = downloads_and_says_no_more(disruption_budget=DisruptionBudget(("site",), 1), bandwidth_max=1)

    world.tick(LEASE + WORD_UNDER_WAY)

    assert world.offered() == [0, 1]


def test_one_that_is_stalled_before_its_files_gives_its_place_back_at_the_end_of_its_leave():
    world = World(a_plan(2, max_concurrency=1))
    world.tick()
    for _ in range(15):
        world.tick(MINUTE)
    until = world.assignments["a0"].start_until_time
    assert until is not None

    world.tick(until - world.now)

    assert [type(action) for action in world.log].count(HoldLease) == 1
    assert world.offered() == [0, 1]


def test_one_that_has_the_files_and_leave_and_does_not_start_is_stalled():
    world = World(a_plan(2, max_concurrency=1))
    world.tick()
    world.reports(0, STAGED)

    for _ in range(30):
        world.tick(MINUTE)
    stalled = world.assignments["a0"].stalled_time
    world.tick(LEASE + WORD_UNDER_WAY)

    assert stalled == NOW
    assert world.offered() == [0, 1]


def test_one_that_has_the_files_and_no_leave_waits_for_the_controller():
    waiting = an_assignment(state=STAGED, offered_time=NOW, reported_time=NOW)
    late = an_assignment(state=STAGED, offered_time=NOW, reported_time=NOW, start_until_time=NOW + 30 * MINUTE)
    able = an_assignment(state=STAGED, offered_time=NOW, reported_time=NOW, start_until_time=NOW + 31 * MINUTE)

    assert stalls_at(waiting, INSTALL_TIMEOUT) is None
    assert stalls_at(late, INSTALL_TIMEOUT) is None
    assert stalls_at(able, INSTALL_TIMEOUT) == NOW + 30 * MINUTE


def test_the_time_to_start_counts_from_the_leave_and_not_from_the_files():
    world = World(a_plan(1))
    world.tick()
    world.reports(0, STAGED)
    world.set(0, connected=False, offline_time=None)
    world.tick(3 * HOUR)
    world.back(0)

    world.tick()

    assert world.assignments["a0"].start_until_time == world.now + LEASE
    assert MarkStalled not in [type(action) for action in world.log]
    assert world.assignments["a0"].offered_time == world.now


moments = st.integers(0, 40 * 60).map(lambda seconds: timedelta(seconds=seconds))
words = st.sampled_from([None, DOWNLOADING, STAGED, AssignmentState.INSTALLING, AssignmentState.CONFIRMING, "ends"])
stories = st.lists(st.tuples(st.integers(0, 4), words, moments), max_size=60)


@settings(max_examples=200, deadline=None)
@given(stories, st.integers(1, 3))
def test_never_more_install_than_there_are_places_whoever_stalls_and_comes_back(
    story: list[tuple[int, object, timedelta]], places: int
):
    """Computers keep to their leave, and the word of a start is never longer under way than `WORD_UNDER_WAY`."""
    world = World(a_plan(5, max_concurrency=places, deadline_seconds=10**7))
    world.tick()
    for number, word, pause in story:
        if number in world.offered():
            speak(world, number, word)
        world.tick()
        later(world, pause)

        installing = [a for a in world.assignments.values() if not a.ended and a.state not in BEFORE_INSTALLING]
        may_start = [
            a
            for a in world.assignments.values()
            if a.state in BEFORE_INSTALLING and holds(a.start_until_time, world.now)
        ]
        assert len(installing) + len(may_start) <= places


def speak(world: World, number: int, word: object) -> None:
    """Let a computer say what it does; it starts only by the leave that it has."""
    assignment = world.assignments[f"a{number}"]
    if word == "ends" and assignment.state not in BEFORE_INSTALLING:
        world.ends(number)
    elif isinstance(word, AssignmentState):
        starts = assignment.state in BEFORE_INSTALLING and word not in BEFORE_INSTALLING
        if not starts or holds(assignment.start_until_time, world.now):
            world.reports(number, word)


def holds(lease: datetime | None, now: datetime) -> bool:
    """Tell whether a lease allows a start."""
    return lease is not None and lease >= now


def later(world: World, pause: timedelta) -> None:
    """Let time pass with a tick whenever the planner asked for one."""
    end = world.now + pause
    while world.decision.next_time is not None and world.decision.next_time < end:
        world.tick(world.decision.next_time - world.now)
    world.tick(end - world.now)
