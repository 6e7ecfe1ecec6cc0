"""Staging ahead of windows, no install that would not finish in time, and downloads paced by bandwidth."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from sopwith_controller.domain import rollout as lifecycle
from sopwith_controller.domain.durations import Estimate, Estimates
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.plan_bounds import check_bounds, check_fits_window, warnings_of_windows
from sopwith_controller.domain.planning import make_plan
from sopwith_controller.domain.tick import (
    EndAssignment,
    HoldLease,
    MoveAssignment,
    OfferAssignment,
    OpenWave,
    RenewLease,
)
from sopwith_controller.domain.windows import state_at
from sopwith_formats.sop_policy import Range, Window
from sopwith_formats.vocabulary import AssignmentState, Outcome
from tests.controller.domain.builders import (
    HOUR,
    MINUTE,
    NOW,
    World,
    a_computer,
    a_manifest,
    a_plan,
    a_policy,
    a_spec,
    not_ready,
    plan_inputs,
)

Kind = TypeVar("Kind")
S = AssignmentState
# Monday 10:00 UTC is NOW.
AT_NOON = Window("FREQ=DAILY", "12:00", 2 * 3600, "UTC", 30 * 60)
OPEN_NOW = Window("FREQ=DAILY", "09:00", 2 * 3600, "UTC")
LOCAL = replace(AT_NOON, time_zone="local")
TWO_HOURS, SIX_HOURS = 2 * 3600, 6 * 3600


def of(kind: type[Kind], actions: list[object]) -> list[Kind]:
    return [action for action in actions if isinstance(action, kind)]


def measured(seconds: int, rate: int = 1000) -> Estimates:
    return Estimates(Estimate(seconds, rate, rate, 12))


def staged(*sizes: int, ready: int | None = None, **changes: Any) -> World:
    """Return a world two hours before its window whose first wave has the files."""
    world = World(a_plan(*sizes, window=AT_NOON, staging_seconds=SIX_HOURS, **changes))
    world.tick()
    for number in range(sizes[0] if ready is None else ready):
        world.reports(number, S.DOWNLOADING)
        world.reports(number, S.STAGED)
        world.tick()
    return world


def to_noon(world: World) -> list[object]:
    world.now = NOW + 2 * HOUR
    for number in range(len(world.computers)):
        if world.computers[f"c{number}"].connected:
            world.back(number)
    return world.tick()


def test_the_wave_that_opens_next_downloads_ahead_of_its_window():
    world = World(a_plan(1, 2, window=AT_NOON, staging_seconds=SIX_HOURS))

    done = world.tick()

    assert done == [OfferAssignment("a0", "c0", 0, None)]
    assert world.why(0).message == "pc0 was asked to fetch the files ahead of the window, opens 2026-11-23T12:00:00Z"
    assert world.why(1).waits_for == "window"
    world.reports(0, AssignmentState.STAGED)
    world.tick()
    assert world.decision.next_time == NOW + 2 * HOUR


def test_nothing_is_fetched_earlier_than_the_plan_says():
    world = World(a_plan(1, window=AT_NOON, staging_seconds=3600))

    assert world.tick() == []
    assert world.decision.next_time == NOW + HOUR
    assert world.tick(HOUR) == [OfferAssignment("a0", "c0", 0, None)]


@pytest.mark.parametrize("changes", [{"window": AT_NOON}, {"staging_seconds": 3600, "max_concurrency": 1}])
def test_without_staging_or_without_a_window_nothing_is_staged(changes: dict[str, Any]):
    world = World(a_plan(2, **changes))

    assert [action for action in world.tick() if getattr(action, "start_until", 0) is None] == []


def test_staged_computers_get_their_leases_at_once_when_the_window_opens():
    world = staged(3, max_concurrency=2)
    assert world.why(2).message == "pc2 has the files, waits for the window, opens 2026-11-23T12:00:00Z"

    done = to_noon(world)

    until = NOW + 2 * HOUR + 5 * MINUTE
    assert of(OpenWave, done) == [OpenWave(0, "w0")]
    assert of(RenewLease, done) == [RenewLease("a0", "c0", until), RenewLease("a1", "c1", until)]
    assert world.why(2).waits_for == "concurrency"


def test_whoever_has_all_files_goes_first():
    world = World(a_plan(2, window=AT_NOON, staging_seconds=SIX_HOURS, max_concurrency=1))
    world.tick()
    world.carry_out(OfferAssignment("a1", "c1", 0, None))
    world.reports(0, S.DOWNLOADING)
    world.reports(1, S.STAGED)

    leases = of(RenewLease, to_noon(world))

    assert [lease.assignment for lease in leases] == ["a1"]


def test_as_many_download_ahead_as_may_install_at_once():
    world = World(a_plan(4, window=AT_NOON, staging_seconds=SIX_HOURS, max_concurrency=2))

    first = of(OfferAssignment, world.tick())
    world.reports(0, S.DOWNLOADING)
    world.reports(0, S.STAGED)

    assert [offer.assignment for offer in first] == ["a0", "a1"]
    assert [offer.assignment for offer in of(OfferAssignment, world.tick())] == ["a2"]


def test_a_wave_behind_a_gate_fetches_nothing():
    world = World(a_plan(1, 1, soak=1800, window=OPEN_NOW, staging_seconds=SIX_HOURS, max_concurrency=5))
    world.tick()
    world.reports(0, S.INSTALLING)
    world.ends(0)
    world.now = NOW + 2 * HOUR - 95 * MINUTE

    soaking = world.tick()
    world.now = NOW + 2 * HOUR
    after = world.tick()

    assert of(OfferAssignment, soaking) == []
    assert of(OfferAssignment, after) == []
    assert world.why(1).waits_for == "window"
    world.now = NOW + 20 * HOUR
    world.back(1)
    assert of(OfferAssignment, world.tick()) == [OfferAssignment("a1", "c1", 1, None)]
    assert of(OpenWave, world.log) == [OpenWave(0, "w0")]


def test_who_sleeps_is_not_ready_or_is_busy_is_passed_over():
    world = World(a_plan(4, window=AT_NOON, staging_seconds=SIX_HOURS))
    world.offline(0)
    world.set(1, readiness=not_ready())
    world.set(2, busy_with="other")

    done = world.tick()

    assert [offer.assignment for offer in of(OfferAssignment, done)] == ["a3"]


def test_members_of_an_open_wave_whose_own_window_opens_later_are_staged():
    world = World(a_plan(2, window=LOCAL, staging_seconds=SIX_HOURS))
    world.set(0, time_zone="Europe/Helsinki")
    world.now = NOW

    done = world.tick()

    assert of(OpenWave, done) == [OpenWave(0, "w0")]
    assert [(offer.assignment, offer.start_until is None) for offer in of(OfferAssignment, done)] == [
        ("a0", False),
        ("a1", True),
    ]


def test_who_has_the_files_and_leaves_before_the_window_moves_to_the_tail():
    world = staged(2, 1)
    world.offline(0)

    done = to_noon(world)

    assert [action.assignment for action in of(MoveAssignment, done)] == ["a0", "a2"]
    assert of(MoveAssignment, done)[0].wave == world.plan.tail


def test_two_rollouts_never_start_on_one_computer():
    world = staged(1)
    world.set(0, busy_with="other")

    done = to_noon(world)

    assert of(RenewLease, done) == []
    assert world.why(0).waits_for == "concurrency"


def test_a_freeze_keeps_staged_computers_from_their_lease():
    world = staged(2, max_concurrency=1)
    world.freezes = (Freeze("f-1", "year end", "olga", NOW, NOW + 3 * HOUR),)

    done = to_noon(world)
    world.freezes = ()
    world.now += 15 * MINUTE
    world.back(0, 1)

    assert of(RenewLease, done) == []
    assert [lease.assignment for lease in of(RenewLease, world.tick())] == ["a0"]


def test_no_lease_reaches_into_a_freeze_that_is_known_ahead():
    world = World(a_plan(1))
    world.freeze_begins = NOW + 3 * MINUTE

    done = world.tick()

    assert of(OfferAssignment, done) == [OfferAssignment("a0", "c0", 0, NOW + 3 * MINUTE)]


def test_nothing_more_is_fetched_in_a_freeze():
    world = World(a_plan(2, window=AT_NOON, staging_seconds=SIX_HOURS))
    world.freezes = (Freeze("f-1", "year end", "olga", NOW, NOW + HOUR),)

    assert of(OfferAssignment, world.tick()) == []
    assert world.why(0).waits_for == "freeze"


def test_files_are_fetched_ahead_of_a_start_time_too():
    world = World(a_plan(1, start_time="2026-11-23T12:00:00Z", staging_seconds=SIX_HOURS))

    done = world.tick()

    assert done == [OfferAssignment("a0", "c0", 0, None)]
    assert world.why(0).waits_for == "start"
    assert world.why(0).message.startswith("pc0 was asked to fetch the files ahead of the start; its start time is")


def test_pause_holds_and_abort_takes_staged_ones_back():
    world = staged(1)
    world.rollout = lifecycle.pause(world.rollout, person="otto", reason="x")
    assert of(RenewLease, to_noon(world)) == []
    assert world.why(0).waits_for == "paused"

    world.rollout = lifecycle.abort(world.rollout, person="otto", reason="x")
    ends = of(EndAssignment, world.tick())

    assert [(end.outcome, end.withdraw) for end in ends] == [(Outcome.CANCELLED, True)]


def test_withdrawn_release_takes_staged_ones_back():
    world = staged(1)
    world.withdrawn = True

    ends = of(EndAssignment, world.tick())

    assert [(end.outcome, end.withdraw) for end in ends] == [(Outcome.CANCELLED, True)]


def test_no_install_starts_that_would_not_finish_before_the_window_closes():
    world = World(a_plan(1, window=OPEN_NOW))
    world.estimates = measured(58 * 60)

    offer = of(OfferAssignment, world.tick())[0]
    world.reports(0, S.STAGED)
    held = world.tick(2 * MINUTE)

    assert offer.start_until == NOW + 2 * MINUTE
    assert of(HoldLease, held)
    assert world.why(0).message == "pc0 has the files, waits for the window, opens 2026-11-24T09:00:00Z"


def test_a_wave_does_not_open_for_an_install_that_would_not_finish():
    world = World(a_plan(1, window=OPEN_NOW))
    world.estimates = measured(90 * 60)

    assert world.tick() == []
    assert world.why(0).message == (
        "it takes 1h30m and would not finish before the window closes at 2026-11-23T11:00:00Z; "
        "the window opens again 2026-11-24T09:00:00Z"
    )
    assert world.rollout.state_reason.startswith("wave w0 waits for the window: it takes 1h30m")


def test_an_install_that_takes_longer_than_the_window_never_starts_and_says_so():
    world = World(a_plan(1, window=OPEN_NOW, staging_seconds=SIX_HOURS))
    world.estimates = measured(3 * 3600)

    assert world.tick() == []
    assert world.why(0).message == "it will not finish in time: it takes 3h, and the window is 2h"
    assert world.why(0).remedy
    world.tick(timedelta(days=1))
    assert world.assignments["a0"].outcome == Outcome.NOT_STARTED
    assert "it takes 3h" in world.assignments["a0"].detail


def test_a_staged_one_that_can_never_finish_says_so():
    world = staged(1)
    world.estimates = measured(3 * 3600)

    to_noon(world)

    assert world.why(0).message.startswith("pc0 has the files, waits for the window; it will not finish in time")


def test_what_was_only_guessed_holds_nothing_back():
    window = replace(OPEN_NOW, start="09:55", duration_seconds=360)
    world = World(a_plan(1, window=window))

    assert of(OfferAssignment, world.tick()) == [OfferAssignment("a0", "c0", 0, NOW + MINUTE)]


def test_a_plan_whose_release_takes_longer_than_the_window_is_refused():
    plan = a_plan(1, window=OPEN_NOW)

    refusal = check_fits_window(plan, measured(3 * 3600))[0]

    assert refusal.gate == "window"
    assert refusal.reason == (
        "hello@2: it will not finish in time: it takes 3h, and the window is 2h (measured on 12 computers)"
    )
    once = Estimates(Estimate(7200, 1, 1, 1))
    assert "measured once" in check_fits_window(plan, once)[0].reason
    assert check_fits_window(plan, measured(7199)) == []
    assert check_fits_window(a_plan(1), measured(10**6)) == []


def test_windows_say_what_an_install_of_some_length_may_do():
    start = NOW.replace(hour=9)

    assert state_at(OPEN_NOW, start, takes=HOUR).last_start == start + HOUR
    late = state_at(OPEN_NOW, start + HOUR, takes=HOUR)
    assert (late.open, late.next_open) == (False, start + timedelta(days=1))
    assert state_at(OPEN_NOW, start + 2 * HOUR, takes=HOUR).too_late == ""


def test_downloads_are_paced_by_bandwidth():
    world = World(a_plan(4, bandwidth_max=2500))
    world.estimates = measured(60, rate=1000)

    first = of(OfferAssignment, world.tick())

    assert [offer.assignment for offer in first] == ["a0", "a1"]
    assert world.why(2).waits_for == "bandwidth"
    world.reports(0, S.DOWNLOADING)
    world.reports(0, S.STAGED)
    assert [offer.assignment for offer in of(OfferAssignment, world.tick())] == ["a2"]


def test_a_bandwidth_below_one_download_still_lets_one_at_a_time():
    world = World(a_plan(2, window=AT_NOON, staging_seconds=SIX_HOURS, bandwidth_max=1))

    assert [offer.assignment for offer in of(OfferAssignment, world.tick())] == ["a0"]


def test_a_parked_computer_downloads_again_only_within_the_bandwidth():
    world = World(a_plan(2, window=AT_NOON, staging_seconds=SIX_HOURS, bandwidth_max=1))
    world.tick()
    world.reports(0, S.PREPARING, reasons=not_ready().reasons)
    world.tick()
    world.now += HOUR + 50 * MINUTE
    world.reports(1, S.DOWNLOADING)

    leases = of(RenewLease, to_noon(world))

    assert [lease.assignment for lease in leases] == ["a1"]
    assert world.why(0).waits_for == "bandwidth"


def test_plan_takes_staging_and_bandwidth_from_the_file_and_else_from_the_sop():
    policy = a_policy(window=AT_NOON)
    limited = replace(policy, limits=replace(policy.limits, bandwidth_max=Range(1000, 10, 5000)))
    spec = a_spec(staging_seconds=60, bandwidth_max=2000)

    by_sop = make_plan(plan_inputs(policy=limited)).plan
    by_file = make_plan(plan_inputs(policy=limited, spec=spec)).plan
    plain = make_plan(plan_inputs()).plan

    assert (by_sop.staging_seconds, by_sop.bandwidth_max) == (86400, 1000)
    assert (by_file.staging_seconds, by_file.bandwidth_max) == (60, 2000)
    assert (plain.staging_seconds, plain.bandwidth_max) == (86400, None)


def test_staging_and_bandwidth_outside_the_sop_s_bounds_are_refused():
    policy = a_policy()
    limited = replace(policy, limits=replace(policy.limits, bandwidth_max=Range(125_000, None, 250_000)))
    spec = a_spec(staging_seconds=8 * 86400, bandwidth_max=25_000_000)

    reasons = [refusal.reason for refusal in check_bounds(spec, limited, ())]

    assert reasons == [
        "staging 8d lies outside the bounds of SU-SOP-001 (at least 0s, at most 7d)",
        "bandwidth_max 200 Mbit/s lies outside the bounds of SU-SOP-001 (at most 2 Mbit/s)",
    ]
    assert a_manifest().artifacts


def test_a_plan_warns_of_a_platform_that_takes_longer_than_its_window_while_the_others_fit():
    chosen = [a_computer(str(number), id=f"c{number}", facts={"os": "linux", "arch": "arm64"}) for number in range(2)]
    plan = a_plan(3, window=OPEN_NOW)
    slow = Estimate(3 * 3600, 1, 1, measurements=4)
    mixed = Estimates(Estimate(600, 1, 1, measurements=12), {"linux/aarch64/": slow})

    [warning] = warnings_of_windows(plan, mixed, [*chosen, a_computer("2", id="c2")])

    assert warning == (
        "2 of 3 computers, of platform linux/aarch64/, will never start: it will not finish in time: it takes 3h, and "
        "the window is 2h (measured on 4 computers)"
    )
    assert warnings_of_windows(plan, replace(mixed, by_platform={"linux/aarch64/": mixed.overall}), chosen) == []
    assert warnings_of_windows(plan, Estimates(slow, mixed.by_platform), chosen) == []
    assert warnings_of_windows(a_plan(2), mixed, chosen) == []
