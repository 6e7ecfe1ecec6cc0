"""Whose window is whose: maintenance groups in plans and ticks, and start times on each computer's own clock."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sopwith_controller.domain.errors import InvalidInputError
from sopwith_controller.domain.openings import earliest_start, opening
from sopwith_controller.domain.plan import PlanGroup, PlanMember, read_plan
from sopwith_controller.domain.plan_inputs import Planning
from sopwith_controller.domain.planner import plan_tick
from sopwith_controller.domain.planning import make_plan
from sopwith_controller.domain.tick import OfferAssignment
from sopwith_formats.sop_policy import MaintenanceGroup, Window
from tests.controller.domain.builders import HOUR, NOW, World, a_computer, a_plan, a_policy, a_spec, plan_inputs

NIGHT = Window("FREQ=DAILY", "22:00", 4 * 3600, "UTC")
MORNING = Window("FREQ=DAILY", "06:00", 4 * 3600, "local")
LAPTOPS = MaintenanceGroup("laptops", "kind=laptop")
SERVERS = MaintenanceGroup("servers", "kind=server", MORNING)
FLEET = [
    a_computer("desk"),
    a_computer("lap", labels={"kind": "laptop"}),
    a_computer("srv", labels={"kind": "server"}),
]


def planned(*groups: MaintenanceGroup, fixed: bool = False, **spec) -> Planning:
    policy = a_policy(window=NIGHT, window_fixed=fixed, maintenance_groups=groups or (LAPTOPS, SERVERS))
    return make_plan(plan_inputs(policy=policy, computers=FLEET, spec=a_spec(**spec)))


def windows(planning: Planning) -> dict[str, Window | None]:
    return {member.name: planning.plan.window_of(member.group) for member in planning.plan.members}


def test_each_computer_has_the_window_of_its_maintenance_group():
    planning = planned()

    assert windows(planning) == {"desk": NIGHT, "lap": None, "srv": MORNING}
    assert planning.plan.groups_of_members == {"c-lap": "laptops", "c-srv": "servers"}
    assert read_plan(planning.plan.to_json()) == planning.plan
    assert planning.refusals == ()
    assert next(m.message for m in planning.materials if m.name == "window") == (
        "FREQ=DAILY at 22:00, UTC; maintenance group laptops: always open; "
        "maintenance group servers: FREQ=DAILY at 06:00, local"
    )


def test_groups_that_nobody_is_in_do_not_stand_in_the_plan():
    planning = planned(MaintenanceGroup("kiosks", "kind=kiosk", MORNING))

    assert planning.plan.groups == ()
    assert planning.plan.groups_of_members == {}


def test_window_of_the_rollout_file_beats_the_groups():
    own = replace(NIGHT, start="12:00")

    assert set(windows(planned(window=own)).values()) == {own}
    assert set(windows(planned(emergency=True)).values()) == {None}


def test_window_that_the_sop_fixes_leaves_the_groups_theirs():
    assert windows(planned(fixed=True, window=NIGHT)) == {"desk": NIGHT, "lap": None, "srv": MORNING}


@pytest.mark.parametrize(("count", "tail"), [(1, ""), (7, " and 2 more")])
def test_two_groups_that_claim_one_computer_refuse_the_plan(count: int, tail: str):
    groups = (LAPTOPS, MaintenanceGroup("mobile", "kind in (laptop, phone)", NIGHT))
    fleet = [a_computer(f"lap{number}", labels={"kind": "laptop"}) for number in range(count)]
    policy = a_policy(maintenance_groups=groups)

    (refusal,) = make_plan(plan_inputs(policy=policy, computers=fleet)).refusals
    emergency = make_plan(plan_inputs(policy=policy, computers=fleet, spec=a_spec(emergency=True)))

    assert (refusal.gate, refusal.clause) == ("window", "V.C")
    assert "(laptops and mobile)" in refusal.reason
    assert f"{tail}, so that nobody can say" in refusal.reason
    assert "labels" in refusal.remedy
    assert emergency.refusals == ()


def test_selector_of_a_group_that_cannot_be_read_is_named():
    with pytest.raises(InvalidInputError, match="maintenance group laptops"):
        planned(MaintenanceGroup("laptops", "kind in laptop"))


def grouped_world(**changes) -> World:
    """Two members: pc0 in no group with the night's window, pc1 a server in the morning of its own zone."""
    members = (PlanMember("c0", "pc0"), PlanMember("c1", "pc1", "servers"))
    plan = a_plan(2, members=members, window=NIGHT, groups=(PlanGroup("servers", MORNING),), **changes)
    world = World(plan)
    world.set(1, time_zone="Europe/Berlin")
    return world


def test_a_wave_opens_with_its_first_member_and_the_others_wait_for_their_own_window():
    world = grouped_world()

    world.tick()
    before = (world.why(0), world.why(1), world.rollout.state_reason)
    world.tick(13 * HOUR)

    assert before[0].message == "the window is closed; it opens 2026-11-23T22:00:00Z"
    assert before[1].message == "the window of maintenance group servers is closed; it opens 2026-11-24T05:00:00Z"
    assert before[2] == "wave w0 waits for the window, which opens 2026-11-23T22:00:00Z"
    assert world.offered() == [0]
    assert world.why(1).waits_for == "window"


def test_the_tick_looks_again_when_the_first_window_opens():
    world = grouped_world()

    decision = plan_tick(world.view(), NOW)

    assert decision.next_time == datetime(2026, 11, 23, 22, tzinfo=UTC)


def test_no_computer_starts_before_the_start_time_on_its_own_clock():
    world = World(a_plan(3, start_time="2026-11-23T13:00"))
    world.set(0, time_zone="Europe/Berlin")
    world.set(1, time_zone="America/New_York")

    world.tick()
    waits = [world.why(number) for number in range(3)]
    world.tick(2 * HOUR)
    first = world.offered()
    world.tick(HOUR)
    second = world.offered()
    world.tick(5 * HOUR)

    assert [wait.waits_for for wait in waits] == ["start"] * 3
    assert waits[0].message == "its start time is 2026-11-23T12:00:00Z"
    assert first == [0]
    assert second == [0, 2]
    assert world.offered() == [0, 1, 2]


def test_a_wave_says_that_it_waits_to_start_and_goes_on_by_itself():
    world = World(a_plan(1, start_time="2026-11-23T12:00:00Z"))

    world.tick()

    assert world.rollout.state_reason == "wave w0 waits to start: its start time is 2026-11-23T12:00:00Z"
    assert world.decision.next_time == NOW + 2 * HOUR
    assert any(isinstance(action, OfferAssignment) for action in world.tick(2 * HOUR))


def test_after_the_start_time_the_window_still_has_to_open():
    plan = a_plan(1, start_time="2026-11-23T12:00:00Z", window=NIGHT)

    waiting = opening(plan, "", "", NOW)
    world = World(plan)
    world.tick()

    assert (waiting.open, waiting.next_open) == (False, datetime(2026, 11, 23, 22, tzinfo=UTC))
    assert "its window then opens 2026-11-23T22:00:00Z" in world.why(0).message
    assert opening(plan, "", "", NOW + 3 * HOUR).start_time is None


def test_windows_are_judged_by_the_time_given_alone_however_the_clock_was_set_before():
    plan = a_plan(1, window=NIGHT, start_time="2026-11-23T12:00:00Z")
    times = [NOW, NOW + 13 * HOUR, NOW - 900 * 24 * HOUR, NOW + 13 * HOUR, NOW]

    answers = [opening(plan, "", "UTC", time).open for time in times]

    assert answers == [False, True, False, True, False]


def test_the_earliest_start_is_that_of_the_first_computer_and_never_past():
    local = a_plan(1, start_time="2026-11-23T13:00")

    assert earliest_start(local, ["Europe/Berlin", "America/New_York"], NOW) == NOW + 2 * HOUR
    assert earliest_start(local, [], NOW) == NOW
    assert earliest_start(local, ["Asia/Tokyo"], NOW) == NOW
    assert earliest_start(a_plan(1), ["UTC"], NOW) == NOW
