"""Nothing stays active for ever: limits of each state, stalled computers, and what the deadline makes of everybody."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.rollout import pause, suspend
from sopwith_controller.domain.tick import EndAssignment, MarkStalled
from sopwith_controller.domain.time_limits import INSTALL_TIMEOUT, LIMITS, given_up_at, stalls_at
from sopwith_formats.sop_policy import DisruptionBudget, Window
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState, Outcome
from tests.controller.domain.builders import HOUR, MINUTE, NOW, READY, World, a_plan, an_assignment

DAY = 24 * HOUR
ACTIVE = [state for state in AssignmentState if state is not AssignmentState.ENDED]
INSTALLING_ON = [state for state in ACTIVE if state not in BEFORE_INSTALLING]


def in_state(state: AssignmentState) -> World:
    world = World(a_plan(1))
    world.tick()
    if state is not AssignmentState.PENDING:
        world.reports(0, state)
    return world


def details(world: World) -> dict[str, str]:
    return {one.computer: one.detail for one in world.assignments.values() if one.outcome == Outcome.NOT_STARTED}


def test_every_state_has_its_limit_and_says_what_the_deadline_does():
    assert list(LIMITS) == ACTIVE
    assert all(limit.at_deadline for limit in LIMITS.values())


@pytest.mark.clause("V.B.2 Monitor", "stall")
@pytest.mark.parametrize("state", [s for s in ACTIVE if LIMITS[s].stalls and s is not AssignmentState.STAGED])
def test_a_computer_in_contact_that_tells_nothing_is_stalled_until_its_next_word(state: AssignmentState):
    world = in_state(state)
    limit = LIMITS[state].lasts(INSTALL_TIMEOUT)
    world.tick(limit - MINUTE)
    before = world.assignments["a0"].stalled_time

    world.tick(MINUTE)
    stalled, why = world.assignments["a0"].stalled_time, world.why(0)
    world.reports(0, state, percent=50)

    assert (before, stalled, world.assignments["a0"].stalled_time) == (None, NOW, None)
    assert why.waits_for == "stalled"
    assert "stalled: in contact, but no word since 2026-11-23T10:00:00Z" in why.message
    assert "sopwith computer quarantine pc0" in why.remedy


def test_a_computer_that_is_stalled_is_told_of_once():
    world = in_state(AssignmentState.INSTALLING)

    world.tick(2 * HOUR)
    world.tick(HOUR)

    assert [type(action) for action in world.log].count(MarkStalled) == 1


@pytest.mark.parametrize("state", [state for state in ACTIVE if not LIMITS[state].stalls])
def test_states_that_wait_for_others_never_stall(state: AssignmentState):
    assert stalls_at(an_assignment(state=state, offered_time=NOW, reported_time=NOW), INSTALL_TIMEOUT) is None


def test_who_said_why_it_waits_is_no_riddle():
    preparing = an_assignment(state=AssignmentState.PREPARING, offered_time=NOW, next_try_time=NOW + HOUR)

    assert stalls_at(preparing, INSTALL_TIMEOUT) == NOW + HOUR + 15 * MINUTE
    assert stalls_at(an_assignment(state=AssignmentState.PREPARING), INSTALL_TIMEOUT) is None


def test_an_install_never_heard_of_is_given_up_one_limit_after_the_deadline():
    assert given_up_at(an_assignment(state=AssignmentState.INSTALLING), NOW, INSTALL_TIMEOUT) == NOW + 75 * MINUTE


def test_the_number_of_an_install_is_the_sop_s():
    assert LIMITS[AssignmentState.INSTALLING].lasts(HOUR) == timedelta(hours=2, minutes=15)


@pytest.mark.parametrize("state", INSTALLING_ON)
def test_an_install_in_contact_ends_one_limit_after_the_deadline_without_a_word(state: AssignmentState):
    world = in_state(state)
    limit = LIMITS[state].lasts(INSTALL_TIMEOUT)

    world.tick(DAY + limit - MINUTE)
    before = world.outcomes()
    world.tick(MINUTE)

    [end] = [action for action in world.log if isinstance(action, EndAssignment)]
    awaits = state is AssignmentState.AWAITING_REBOOT
    assert (before, world.outcomes()) == ([""], ["FAILED"])
    assert (end.symptom, end.severity) == ("PENDING_REBOOT" if awaits else "TIMEOUT", 1)


def test_the_try_and_the_next_one_are_explained():
    world = in_state(AssignmentState.DOWNLOADING)

    world.reports(0, AssignmentState.DOWNLOADING, attempts=2, percent=40, next_try_time=NOW + MINUTE)

    assert world.why(0).message == "pc0 downloads (40 %); attempt 2 of 3, next try at 2026-11-23T10:01:00Z"


@st.composite
def sequences(draw: st.DrawFn) -> list[tuple[str, AssignmentState, timedelta]]:
    """Return what a computer does, and how long it is silent after it."""
    words = st.sampled_from(["tells", "leaves", "sleeps", "comes back", "is not ready"])
    pauses = st.integers(min_value=0, max_value=20 * 3600).map(lambda seconds: timedelta(seconds=seconds))
    return draw(st.lists(st.tuples(words, st.sampled_from(ACTIVE[1:]), pauses), max_size=12))


@settings(deadline=None)
@given(sequences(), st.sampled_from(ACTIVE))
def test_whatever_a_computer_does_it_ends_by_the_deadline_or_one_limit_after_its_last_word(
    sequence: list[tuple[str, AssignmentState, timedelta]], first: AssignmentState
):
    world = in_state(first)
    for what, state, pause_after in sequence:
        if world.assignments["a0"].ended:
            break
        if what == "tells":
            world.reports(0, state)
        elif what == "leaves":
            world.offline(0)
        elif what == "sleeps":
            world.set(0, connected=False, asleep=True, offline_time=None)
        elif what == "comes back":
            world.back(0)
        world.tick(pause_after)

    longest = max(limit.lasts(INSTALL_TIMEOUT) for limit in LIMITS.values())
    world.tick(max(timedelta(0), NOW + DAY - world.now))
    world.tick(longest)

    assert world.assignments["a0"].ended


OPEN_AT_NIGHT = Window("FREQ=DAILY", "03:00", 3600, "UTC")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("window", "the window is closed"),
        ("wave", "wave w1 was not opened"),
        ("concurrency", "no place among the 1 that are updated at once came free"),
        ("budget", "as many computers of its group as the disruption budget allows (1) were updated"),
        ("suspended", "too many errors"),
        ("paused", "paused by otto: lunch"),
        ("freeze", "otto froze all installs: quarter"),
        ("bench", "it is benched: its last 3 updates failed"),
        ("permission", "it rolled the release back before, and nobody permitted it again"),
    ],
)
def test_who_was_ready_and_never_offered_ends_not_started_with_the_reason(reason: str, words: str):
    chosen: dict[str, dict[str, Any]] = {
        "window": {"window": OPEN_AT_NIGHT, "deadline_seconds": 3600},
        "concurrency": {"max_concurrency": 1},
        "budget": {"disruption_budget": DisruptionBudget(("site",), 1)},
    }
    world = World(a_plan(*((1, 1) if reason == "wave" else (2,)), **chosen.get(reason, {})))
    if reason == "suspended":
        world.rollout = suspend(world.rollout, reason="too many errors")
    if reason == "paused":
        world.rollout = pause(world.rollout, person="otto", reason="lunch")
    if reason == "freeze":
        world.freezes = (Freeze("f-1", "quarter", "otto", NOW, None),)
    if reason == "bench":
        world.set(1, benched="is benched: its last 3 updates failed")
    if reason == "permission":
        world.set(1, rolled_back_before=True)
    world.tick()
    for number in world.offered():
        world.reports(number, AssignmentState.INSTALLING)
    deadline: datetime | None = world.rollout.deadline_time
    assert deadline is not None
    world.now = deadline
    for number in range(2):
        world.set(number, readiness=READY)

    world.tick()

    assert (
        details(world)["pc1"] == f"ready, but not started until the deadline: {details(world)['pc1'].split(': ', 1)[1]}"
    )
    assert words in details(world)["pc1"]
