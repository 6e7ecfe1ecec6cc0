"""Waves of a running rollout: opening, ending, soaking, thresholds, the tail."""

from datetime import timedelta

import pytest

from sopwith_controller.domain.entities import Readiness
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.domain.tick import (
    Complete,
    MarkWaveEnded,
    MeasureReadiness,
    MoveAssignment,
    OfferAssignment,
    OpenWave,
    PassWave,
    Suspend,
)
from sopwith_controller.domain.waves import wave_views
from sopwith_formats.sop_policy import Window
from sopwith_formats.vocabulary import AssignmentState, Outcome
from tests.controller.domain.builders import HOUR, MINUTE, SECOND, World, a_plan, not_ready, shares


def kinds(actions: list[object]) -> list[str]:
    return [type(action).__name__ for action in actions]


def test_first_wave_opens_and_is_offered_in_one_tick():
    world = World(a_plan(1, 4))

    actions = world.tick()

    assert kinds(actions) == ["OpenWave", "OfferAssignment"]
    assert world.offered() == [0]
    assert world.rollout.state_reason == "wave w0 is open"


def test_next_wave_opens_when_the_one_before_succeeded():
    world = World(a_plan(1, 4))
    world.tick()
    world.ends(0)

    actions = world.tick()

    assert kinds(actions)[:3] == ["MarkWaveEnded", "PassWave", "OpenWave"]
    assert world.offered() == [1, 2, 3, 4]


@pytest.mark.gate("blocks", "canary_soak")
@pytest.mark.clause("V.C Safety", "soak")
def test_wave_is_watched_for_its_soak_before_the_next_one_opens():
    world = World(a_plan(1, 4, soak=1800))
    world.tick()
    world.ends(0)

    world.tick()

    assert world.offered() == []
    assert world.decision.next_time == world.now + timedelta(seconds=1800)
    assert world.why(3).waits_for == "soak"
    assert wave_views(world.rollout, world.plan, shares(world.assignments.values()))[0].state == "SOAKING"
    world.tick(timedelta(seconds=1799))
    assert world.offered() == []
    world.tick(SECOND)
    assert world.offered() == [1, 2, 3, 4]


def test_soak_of_the_last_wave_is_ignored():
    world = World(a_plan(1, 1, soak=1800))
    world.tick()
    world.ends(0)
    world.tick(timedelta(seconds=1800))
    world.ends(1)

    actions = world.tick()

    assert isinstance(actions[-1], Complete)
    assert world.is_in(RolloutState.COMPLETED)


@pytest.mark.clause("V.C Safety", "threshold")
def test_failed_canary_suspends_and_touches_nobody_else():
    world = World(a_plan(1, 4))
    world.tick()
    world.ends(0, Outcome.ROLLED_BACK, symptom="HEALTH_CHECK_FAILED")

    actions = world.tick()

    assert isinstance(actions[0], Suspend)
    assert actions[0].severity == 2
    assert actions[0].computers == ("pc0",)
    assert world.is_in(RolloutState.SUSPENDED)
    assert world.offered() == []
    assert world.why(2).waits_for == "suspended"


def test_rollout_with_nothing_left_to_start_completes_instead_of_suspending():
    world = World(a_plan(5))
    world.tick()
    for number in range(5):
        world.reports(number, AssignmentState.INSTALLING)
    world.ends(2, Outcome.ROLLED_BACK)
    assert world.tick() == []
    for number in (0, 1, 3, 4):
        world.ends(number)

    world.tick()

    assert world.is_in(RolloutState.COMPLETED)
    assert sorted(world.outcomes()) == ["ROLLED_BACK", *["SUCCEEDED"] * 4]
    assert world.rollout.state_reason == "4 succeeded, 1 rolled back"


def test_resume_accepts_what_was_counted_and_goes_on():
    world = World(a_plan(1, 4))
    world.tick()
    world.ends(0, Outcome.FAILED)
    world.tick()

    world.resume()
    world.tick(SECOND)

    assert world.is_in(RolloutState.RUNNING)
    assert world.offered() == [1, 2, 3, 4]


def test_counters_begin_anew_after_resume():
    world = World(a_plan(2, 4))
    world.tick()
    world.ends(0, Outcome.FAILED)
    world.tick()
    world.resume()
    world.tick(SECOND)
    world.ends(1, Outcome.FAILED)

    world.tick(SECOND)

    assert world.is_in(RolloutState.SUSPENDED)


def test_sleeping_member_moves_to_the_tail_and_the_next_ready_one_takes_its_place():
    world = World(a_plan(1, 2, 2))
    world.set(0, connected=False, asleep=True)

    actions = world.tick()

    assert [a for a in actions if isinstance(a, MoveAssignment)][:1][0].wave == 3
    assert world.wave_of(0) == 3
    assert world.wave_of(1) == 0
    assert world.offered() == [1]
    assert [v.name for v in wave_views(world.rollout, world.plan, shares(world.assignments.values()))][-1] == "tail"


def test_wave_that_everybody_left_waits_for_one():
    world = World(a_plan(1, 1))
    world.offline(0, 1)

    world.tick()
    assert world.offered() == []
    assert "waits for a computer" in world.rollout.state_reason

    world.back(1)
    world.tick(MINUTE)
    assert world.offered() == [1]
    assert world.wave_of(1) == 0


def test_member_of_the_tail_may_take_the_place_in_a_wave_that_everybody_left():
    world = World(a_plan(1))
    world.offline(0)
    world.tick()
    assert world.wave_of(0) == 1

    world.back(0)
    world.tick(MINUTE)

    assert world.wave_of(0) == 0
    assert world.offered() == [0]


def test_tail_opens_after_the_last_wave_and_takes_each_when_it_is_ready():
    world = World(a_plan(1, 3))
    world.set(2, connected=False, asleep=True)
    world.set(3, readiness=not_ready())
    world.tick()
    world.ends(0)
    world.tick()
    assert world.offered() == [1]
    world.ends(1)

    actions = world.tick()

    assert any(isinstance(a, OpenWave) and a.name == "tail" for a in actions)
    assert world.is_in(RolloutState.RUNNING)
    assert "tail" in world.rollout.state_reason
    assert world.why(2).waits_for == "asleep"
    assert world.why(3).waits_for == "readiness"
    world.back(2)
    assert kinds(world.tick(MINUTE)) == ["OfferAssignment"]
    world.ends(2)
    world.back(3)
    world.tick(MINUTE)
    world.ends(3)
    world.tick()
    assert world.is_in(RolloutState.COMPLETED)


def test_moved_members_are_not_counted_in_the_wave():
    world = World(a_plan(4, 1))
    world.offline(0, 1)
    world.set(4, readiness=not_ready())
    world.tick()
    world.ends(2)
    world.ends(3)

    actions = world.tick()

    assert [type(a) for a in actions if isinstance(a, (MarkWaveEnded, PassWave, Suspend))] == [MarkWaveEnded, PassWave]


def test_member_that_downloads_does_not_move():
    world = World(a_plan(2))
    world.tick()
    world.reports(0, AssignmentState.DOWNLOADING)
    world.offline(0, 1)

    world.tick(HOUR)

    assert world.wave_of(0) == 0
    assert world.wave_of(1) == 1


@pytest.mark.gate("blocks", "wave_success")
def test_wave_below_its_success_threshold_suspends():
    world = World(a_plan(20, 5, thresholds=a_plan(1).thresholds.__class__("95%", "100%", 100, 100)))
    world.tick()
    for number in range(20):
        world.ends(number, Outcome.FAILED if number < 2 else Outcome.SUCCEEDED)

    actions = world.tick()

    suspend = next(a for a in actions if isinstance(a, Suspend))
    assert suspend.gate == "wave_success"
    assert "18 of 20" in suspend.reason
    world.resume()
    assert any(isinstance(a, OfferAssignment) for a in world.tick(SECOND))


@pytest.mark.parametrize("errors", [1, 2])
def test_error_percent_is_above_not_at(errors: int):
    world = World(a_plan(100, 5, thresholds=a_plan(1).thresholds.__class__("50%", "1%", 100, 100)))
    world.tick()
    for number in range(errors):
        world.ends(number, Outcome.FAILED)

    world.tick()

    assert (world.is_in(RolloutState.SUSPENDED)) is (errors == 2)


def test_rollout_whose_waves_are_done_runs_out_while_a_reboot_is_awaited():
    world = World(a_plan(2))
    world.tick()
    world.reports(0, AssignmentState.AWAITING_REBOOT)
    world.ends(1)

    world.tick()

    assert "nothing is left to start" in world.rollout.state_reason
    assert world.is_in(RolloutState.RUNNING)


def test_computer_whose_own_window_is_closed_does_not_move():
    world = World(a_plan(2, window=Window("FREQ=DAILY", "11:00", 3600)))
    world.set(0, time_zone="Europe/Berlin")
    world.set(1, connected=False, asleep=True)

    world.tick()

    assert world.offered() == [0]
    assert world.wave_of(1) == 0


def test_only_a_few_are_asked_to_measure_for_a_place():
    world = World(a_plan(1, 9))
    world.answers_readiness = False
    world.offline(0)
    for number in range(1, 10):
        world.set(number, readiness=Readiness())

    actions = world.tick()

    assert [a.computers for a in actions if isinstance(a, MeasureReadiness)] == [tuple(f"c{n}" for n in range(1, 7))]


def test_wave_that_gave_its_members_away_is_passed_over():
    world = World(a_plan(1, 1, 1))
    world.set(0, connected=False, asleep=True)
    world.tick()
    assert world.wave_of(1) == 0
    world.ends(1)
    world.set(2, readiness=not_ready())

    actions = world.tick()

    assert [a.wave for a in actions if isinstance(a, PassWave)] == [0, 1]
    assert world.rollout.state_reason.startswith("wave w2 waits for a computer")


def test_last_waves_that_gave_their_members_away_are_not_opened():
    world = World(a_plan(1, 1))
    world.set(0, connected=False, asleep=True)
    world.tick()
    world.ends(1)

    actions = world.tick()

    assert [a.wave for a in actions if isinstance(a, OpenWave)] == [2]
