"""A rollout in time: waves, windows, soaks, freezes, budgets, and the refusal of a plan that cannot end in time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopwith_controller.domain.durations import Estimate, Estimates
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.plan import Plan, PlanGroup, PlanMember, PlanWave
from sopwith_controller.domain.plan_inputs import Planning
from sopwith_controller.domain.planning import make_plan
from sopwith_controller.domain.projection import Projection, project
from sopwith_controller.domain.tick import OfferAssignment
from sopwith_formats.sop_policy import DisruptionBudget, WaveRule, Window
from sopwith_formats.vocabulary import AssignmentState
from tests.controller.domain.builders import (
    HOUR,
    MINUTE,
    NOW,
    World,
    a_computer,
    a_manifest,
    a_plan,
    a_spec,
    plan_inputs,
)

DAY = 24 * HOUR
NIGHT = Window("FREQ=DAILY", "22:00", 4 * 3600, "UTC", 1800)
TEN_MINUTES = Estimates(Estimate(install_seconds=600, bytes_per_second=10**9, measurements=5))
"""Measured; the thousand bytes of the builders' release take one more second."""
STEP = timedelta(seconds=601)


def projected(plan: Plan, estimates: Estimates = TEN_MINUTES, freezes=(), *, known_only=False, **facts) -> Projection:
    computers = {
        member.id: a_computer(member.name, id=member.id, facts=facts, labels={"site": f"s{number % 2}"})
        for number, member in enumerate(plan.members)
    }
    return project(plan, computers, a_manifest(), estimates, freezes=freezes, now=NOW, known_only=known_only)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def frozen(start: datetime, end: datetime | None) -> Freeze:
    return Freeze("f1", "year's end", "olga", start, end)


def test_a_rollout_takes_its_installs_its_concurrency_and_its_soaks():
    found = projected(a_plan(1, 5, soak=3600, max_concurrency=2))

    canary, rest = found.waves
    assert (canary.opens, canary.ends) == (NOW, NOW + STEP)
    assert (rest.opens, rest.ends) == (NOW + STEP + HOUR, NOW + STEP + HOUR + 3 * STEP)
    assert found.finish == rest.ends
    assert (found.measured, found.longest, found.deadline) == (True, 10 * MINUTE, NOW + DAY)
    assert not found.late


def test_soak_runs_on_between_windows():
    found = projected(a_plan(1, 1, soak=24 * 3600, window=NIGHT, deadline_seconds=9 * 86400))

    assert found.waves[0].opens == utc("2026-11-23T22:00")
    assert found.waves[1].opens == utc("2026-11-24T22:10:01")


def test_nobody_starts_after_the_cutoff_or_where_the_install_would_pass_the_end():
    last_one_at_the_cutoff = projected(a_plan(30, window=NIGHT, max_concurrency=1))
    hour_long = Estimates(replace(TEN_MINUTES.overall, install_seconds=3600))
    three_a_night = projected(a_plan(4, window=NIGHT, max_concurrency=1), hour_long)

    assert last_one_at_the_cutoff.finish == utc("2026-11-24T22:00") + 9 * STEP
    assert three_a_night.finish == utc("2026-11-24T22:00") + HOUR + timedelta(seconds=1)


def test_install_that_fits_into_no_window_never_ends():
    found = projected(a_plan(1, 1, window=NIGHT), Estimates(replace(TEN_MINUTES.overall, install_seconds=5 * 3600)))

    assert found.finish is None
    assert found.late
    assert [(wave.opens, wave.ends) for wave in found.waves] == [(None, None), (None, None)]


def test_window_that_does_not_open_any_more_never_ends():
    never = replace(NIGHT, rrule="FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")

    assert projected(a_plan(1, window=never)).finish is None


def test_wave_that_opens_may_still_find_no_end():
    always_and_never = a_plan(
        2,
        members=(PlanMember("c0", "pc0"), PlanMember("c1", "pc1", "kiosks")),
        groups=(PlanGroup("kiosks", replace(NIGHT, rrule="FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")),),
    )

    (wave,) = projected(always_and_never).waves

    assert (wave.opens, wave.ends) == (NOW, None)


@pytest.mark.parametrize(
    ("freeze", "opens"),
    [
        (frozen(NOW - HOUR, NOW + 2 * DAY), NOW + 2 * DAY),
        (frozen(NOW + HOUR, NOW + 2 * DAY), NOW),
        (frozen(NOW - HOUR, None), NOW),
        (frozen(NOW - 2 * HOUR, NOW - HOUR), NOW),
    ],
)
def test_freezes_that_are_known_to_end_are_waited_for(freeze: Freeze, opens: datetime):
    assert projected(a_plan(1), freezes=[freeze]).waves[0].opens == opens


def test_freeze_that_outlasts_everything_leaves_no_time():
    found = projected(a_plan(1), freezes=[frozen(NOW - HOUR, NOW + 3 * 366 * DAY)])

    assert (found.waves[0].opens, found.finish) == (None, None)


def test_freeze_over_a_window_leaves_the_next_one():
    freeze = frozen(utc("2026-11-23T21:00"), utc("2026-11-24T12:00"))

    assert projected(a_plan(1, window=NIGHT), freezes=[freeze]).waves[0].opens == utc("2026-11-24T22:00")


def test_files_that_are_fetched_ahead_of_the_window_take_no_time_in_it():
    found = projected(a_plan(1, window=NIGHT, staging_seconds=3600))

    assert found.finish == utc("2026-11-23T22:10")


def test_disruption_budget_slows_each_of_its_groups():
    free = projected(a_plan(8))
    held = projected(a_plan(8, disruption_budget=DisruptionBudget(("site",), 1)))

    one_place = projected(a_plan(8, disruption_budget=DisruptionBudget(("site",), 1), max_concurrency=1))

    assert free.finish == NOW + STEP
    assert held.finish == NOW + 4 * STEP
    assert one_place.finish == NOW + 8 * STEP


def test_start_time_moves_everything_and_the_deadline_with_it():
    found = projected(a_plan(1, start_time="2026-11-25T08:00"), time_zone="Europe/Berlin")

    assert found.waves[0].opens == utc("2026-11-25T07:00")
    assert found.deadline == utc("2026-11-25T07:00") + DAY


def test_guess_counts_for_what_is_shown_and_not_for_what_is_known():
    plan = a_plan(10, max_concurrency=1)

    shown, known = projected(plan, Estimates()), projected(plan, Estimates(), known_only=True)
    measured = projected(plan, known_only=True)

    assert shown.finish == NOW + 10 * STEP
    assert (known.finish, known.longest) == (NOW, timedelta(0))
    assert measured.finish == NOW + 10 * STEP


def test_plan_without_anybody_ends_at_once():
    assert projected(a_plan()).finish == NOW


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=4),
    st.integers(1, 12),
    st.integers(0, 7200),
    st.booleans(),
)
@settings(deadline=None)
def test_waves_follow_each_other_and_nobody_is_faster_than_its_places_allow(sizes, places, soak, windowed):
    plan = a_plan(*sizes, soak=soak, max_concurrency=places, window=NIGHT if windowed else None)

    found = projected(plan)

    earliest = NOW
    for size, wave in zip(sizes, found.waves, strict=True):
        assert wave.opens is not None
        assert wave.ends is not None
        assert wave.opens >= earliest
        assert wave.ends >= wave.opens + ceil(size / places) * STEP
        assert windowed or wave.ends == earliest + ceil(size / places) * STEP
        earliest = wave.ends + timedelta(seconds=soak)


def test_projection_says_when_the_planner_itself_is_done():
    plan = a_plan(1, 3, 5, soak=1800, max_concurrency=2, window=NIGHT, deadline_seconds=9 * 86400)
    seconds = Estimates(Estimate(install_seconds=1200, bytes_per_second=10**12, measurements=1))
    world = World(plan)
    running: dict[int, datetime] = {}
    ended = NOW

    while not world.is_in(world.rollout.state.COMPLETED):
        for number in [n for n, started in running.items() if world.now >= started + 20 * MINUTE]:
            del running[number]
            world.ends(number)
            ended = world.now
        for number in range(9):
            world.back(number)
        for action in world.tick():
            if isinstance(action, OfferAssignment):
                number = int(action.assignment[1:])
                world.reports(number, AssignmentState.INSTALLING)
                running[number] = world.now
        world.now += MINUTE

    finish = projected(plan, seconds).finish
    assert finish is not None
    # Each of six rounds of downloads counts as one second, the least there is.
    assert finish - timedelta(seconds=6) <= ended <= finish + 9 * MINUTE


def planning(count: int = 10, *, estimates: Estimates = TEN_MINUTES, **spec) -> Planning:
    return make_plan(plan_inputs(count, spec=a_spec(**spec), estimates=estimates))


def test_plan_that_cannot_end_by_its_deadline_is_refused_with_the_projection():
    found = planning(deadline_seconds=3600)

    (refusal,) = found.refusals
    assert (refusal.gate, refusal.clause) == ("sop_bounds", "V.B")
    assert refusal.reason.startswith(
        "started now, it would end about 2026-11-23T15:10:04Z, and its deadline of 1h is over at 2026-11-23T11:00:00Z: "
        "wave canary opens 2026-11-23T10:00:00Z and ends 2026-11-23T10:10:01Z, wave early opens"
    )
    assert refusal.reason.endswith("the waves soak for 4h30m together; an install takes 10m by measurement")
    assert "lengthen the deadline" in refusal.remedy
    assert found.projection.late


def test_plan_that_never_ends_says_where_it_stops():
    waves = tuple(WaveRule(f"w{number}", 1) for number in range(6))
    slow = Estimates(replace(TEN_MINUTES.overall, install_seconds=5 * 3600))

    too_long, refusal = planning(6, estimates=slow, window=NIGHT, waves=waves).refusals

    assert too_long.gate == "window"
    assert "would not end within 366 days after its deadline" in refusal.reason
    assert "wave w2 finds no time to end in, ..., wave w5 finds no time to end in" in refusal.reason
    assert "soak" not in refusal.reason


def test_plan_that_only_a_guess_makes_late_is_warned_of():
    found = planning(waves=(WaveRule("all", "100%"),), max_concurrency=1, deadline_seconds=3600, estimates=Estimates())

    assert found.refusals == ()
    assert any("it may end about 2026-11-23T11:40:10Z" in warning for warning in found.warnings)
    assert any("if an install takes 10m (a guess)" in warning for warning in found.warnings)


def test_soaks_alone_refuse_a_plan_also_where_nothing_was_measured():
    (refusal,) = planning(deadline_seconds=3600, estimates=Estimates()).refusals

    assert "soak for 4h30m together" in refusal.reason
    assert "by measurement" not in refusal.reason


def test_large_fleet_is_projected_in_no_time():
    members = tuple(PlanMember(f"c{number}", f"pc{number}") for number in range(20_000))
    plan = a_plan(members=members, waves=(PlanWave("all", 20_000),), max_concurrency=1, deadline_seconds=365 * 86400)

    assert projected(plan).finish == NOW + 20_000 * STEP
