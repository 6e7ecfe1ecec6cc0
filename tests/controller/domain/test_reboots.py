"""Leave to reboot: windows, places, the disruption budget, and computers that fall silent with leave in their hands."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sopwith_controller.domain import rollout as lifecycle
from sopwith_controller.domain.assignment import RebootWish, takes_place
from sopwith_controller.domain.deviation import Deviation, DeviationState
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.offers import LEASE
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.domain.tick import HoldReboot, LeaseReboot, MarkLost, Suspend
from sopwith_formats.sop_policy import DisruptionBudget, Reboot, Window
from sopwith_formats.vocabulary import AssignmentState, Outcome
from tests.controller.domain.builders import HOUR, MINUTE, NOW, SECOND, World, a_plan, an_assignment

S = AssignmentState
AT_NIGHT = Window("FREQ=DAILY", "22:00", 4 * 3600, "UTC", 0)
ONE_AWAY = DisruptionBudget(("site",), 1)


def a_world(plan: Plan, *waiting: int, **reboot: Any) -> World:
    """A world whose computers of these numbers installed and wait for their reboot."""
    world = World(plan, reboot=Reboot(**reboot))
    world.tick()
    for number in waiting:
        asks(world, number)
    return world


def asks(world: World, number: int, *, wanted: bool = True, forced: bool = False, **report: Any) -> None:
    wish = RebootWish(world.now, wanted=wanted, forced=forced)
    world.reports(number, S.AWAITING_REBOOT, reboot=wish, **report)


def leases(actions: list[object]) -> list[str]:
    return [action.assignment for action in actions if isinstance(action, LeaseReboot)]


def holds(actions: list[object]) -> list[str]:
    return [action.assignment for action in actions if isinstance(action, HoldReboot)]


def test_computer_that_would_reboot_gets_leave_that_is_renewed_while_it_waits():
    world = a_world(a_plan(2), 0)

    first = world.tick()
    nothing = world.tick(2 * MINUTE)
    renewed = world.tick(MINUTE)

    assert first == [LeaseReboot("a0", "c0", NOW + LEASE)]
    assert nothing == []
    assert LeaseReboot("a0", "c0", NOW + 3 * MINUTE + LEASE) in renewed
    assert "waits for its reboot" in world.why(0).message


def test_computer_whose_reboot_is_put_off_gets_none_and_gives_back_what_it_had():
    world = a_world(a_plan(1), 0)
    world.tick()
    asks(world, 0, wanted=False, detail="Ada put it off.")

    actions = world.tick()

    assert holds(actions) == ["a0"]
    assert (world.why(0).waits_for, "Ada put it off." in world.why(0).message) == ("deferral", True)


def test_computer_that_only_waits_for_its_reboot_takes_no_place():
    world = a_world(a_plan(3, max_concurrency=1), 0)
    world.set(0, connected=False, offline_time=None, asleep=True)

    world.tick()

    assert world.offered() == [0, 1]


def test_reboot_takes_a_place_before_any_new_install_does():
    world = a_world(a_plan(3, max_concurrency=1), 0)

    world.tick()

    assert world.offered() == [0]
    assert takes_place(world.assignments["a0"], world.now)


def test_never_more_of_a_group_reboot_than_the_budget_allows():
    world = World(a_plan(4, disruption_budget=ONE_AWAY))
    for number in range(4):
        world.set(number, labels={"site": "berlin" if number < 3 else "paris"})
    for number in range(4):
        world.put(replace(world.assignments[f"a{number}"], state=S.INSTALLING, offered_time=NOW))
        asks(world, number)

    first = world.tick()
    waiting = world.why(1)
    world.reports(0, S.REBOOTING, reboot=RebootWish(world.now))
    while_away = world.tick()
    world.reports(0, S.CONFIRMING)
    while_confirming = world.tick()
    world.ends(0)
    following = world.tick()

    assert leases(first) == ["a0", "a3"]
    assert waiting.waits_for == "budget"
    assert (leases(while_away), leases(while_confirming)) == ([], [])
    assert leases(following) == ["a1"]


def test_silent_computer_with_leave_keeps_its_place_until_it_could_be_back():
    world = a_world(a_plan(2, disruption_budget=ONE_AWAY), 0, confirm_seconds=600)
    world.put(replace(world.assignments["a1"], state=S.INSTALLING, offered_time=NOW))
    asks(world, 1)
    world.tick()
    world.set(0, connected=False, offline_time=NOW + 2 * MINUTE)

    early = world.tick(14 * MINUTE)
    next_time = world.decision.next_time
    late = world.tick(MINUTE)

    assert leases(early) == []
    assert next_time == NOW + 15 * MINUTE
    assert (holds(late), leases(world.log)[-1]) == (["a0"], "a1")
    assert not any(isinstance(action, MarkLost) for action in world.log)
    assert world.why(0).waits_for == "connection"


def test_silent_computer_without_leave_gets_none():
    world = a_world(a_plan(1), 0)
    world.offline(0)

    assert world.tick(HOUR) == []


@pytest.mark.parametrize("state", [RolloutState.PAUSED, RolloutState.SUSPENDED])
def test_pause_and_suspension_take_leave_back(state: RolloutState):
    world = a_world(a_plan(2), 0)
    world.tick()
    world.rollout = replace(world.rollout, state=state, state_reason="Otto looks at it")

    assert holds(world.tick()) == ["a0"]
    assert "Otto looks at it" in world.why(0).message


def test_crossed_threshold_stops_reboots_although_nothing_is_left_to_install():
    world = a_world(a_plan(4), 0, 1, 2, 3, when="any_time")
    world.plan = replace(world.plan, max_concurrency=1)
    world.ends(0, Outcome.ROLLED_BACK)

    actions = world.tick()

    (suspended,) = [action for action in actions if isinstance(action, Suspend)]
    assert "3 installed it and are not rebooted" in suspended.reason
    assert leases(actions) == []


def test_freeze_takes_leave_back_and_a_deviation_gives_it():
    world = a_world(a_plan(1), 0)
    world.tick()
    world.freezes = (Freeze("f-1", "month end", "olga", NOW),)
    frozen = world.tick()
    reason = world.why(0)
    world.deviations = {"freeze": deviation("freeze")}

    assert holds(frozen) == ["a0"]
    assert (reason.waits_for, "month end" in reason.message) == ("freeze", True)
    assert leases(world.tick()) == ["a0"]


def deviation(gate: str) -> Deviation:
    return Deviation(
        f"d-{gate}",
        gate,
        DeviationState.APPROVED,
        reason="r",
        measure="m",
        requester="otto",
        sop_id="SU-SOP-001",
        created_time=NOW,
        expires_time=NOW + 3 * MINUTE,
    )


def test_abort_and_withdrawal_follow_what_was_installed_to_its_reboot():
    world = a_world(a_plan(1), 0)
    world.rollout = lifecycle.abort(world.rollout, person="otto", reason="x")
    aborted = leases(world.tick())
    other = a_world(a_plan(1), 0)
    other.withdrawn = True

    assert (aborted, leases(other.tick())) == (["a0"], ["a0"])


def test_reboot_waits_for_its_own_window_and_leave_ends_with_it():
    world = a_world(a_plan(1), 0, window=AT_NIGHT)

    closed = world.tick()
    opens = world.why(0)
    at_night = world.tick(12 * HOUR)
    late = world.tick(4 * HOUR - 2 * MINUTE)

    assert (closed, opens.waits_for, opens.until) == ([], "window", NOW + 12 * HOUR)
    assert leases(at_night) == ["a0"]
    assert LeaseReboot("a0", "c0", NOW + 16 * HOUR) in late
    assert holds(world.tick(3 * MINUTE)) == ["a0"]


def test_reboot_without_a_window_of_its_own_waits_for_that_of_its_install():
    world = a_world(a_plan(1, window=replace(AT_NIGHT, start="10:00", duration_seconds=600)), 0)
    inside = world.tick()

    assert leases(inside) == ["a0"]
    assert holds(world.tick(11 * MINUTE)) == ["a0"]


@pytest.mark.parametrize(
    ("forced", "when", "emergency"),
    [(True, "in_window", False), (False, "any_time", False), (False, "in_window", True)],
)
def test_forced_reboots_and_emergencies_wait_for_no_window(forced: bool, when: str, emergency: bool):
    world = a_world(a_plan(1, emergency=emergency), when=when, window=AT_NIGHT)
    asks(world, 0, forced=forced)

    assert leases(world.tick()) == ["a0"]


def test_deviation_from_the_window_opens_that_of_reboots_until_it_expires():
    world = a_world(a_plan(1), 0, window=AT_NIGHT)
    world.deviations = {"window": deviation("window")}

    assert LeaseReboot("a0", "c0", NOW + 3 * MINUTE) in world.tick()


def test_rebooting_computer_is_lost_after_the_confirm_timeout():
    world = a_world(a_plan(1), 0, confirm_seconds=600)
    world.tick()
    world.reports(0, S.REBOOTING, reboot=RebootWish(NOW))
    world.offline(0)

    early = world.tick(10 * MINUTE - SECOND)
    late = world.tick(SECOND)

    assert [type(action) for action in early] == []
    assert [type(action) for action in late] == [MarkLost]


def test_computer_that_goes_back_by_a_reboot_has_the_same_patience():
    world = a_world(a_plan(1), 0, confirm_seconds=600)
    world.tick()
    world.reports(0, S.ROLLING_BACK, reboot=RebootWish(NOW, wanted=True))
    world.offline(0)

    assert world.tick(10 * MINUTE - SECOND) == []
    assert [type(action) for action in world.tick(SECOND)] == [MarkLost]


def test_report_keeps_since_when_a_reboot_is_awaited():
    world = a_world(a_plan(1), 0)
    world.now += HOUR
    asks(world, 0, wanted=False)
    waiting = world.assignments["a0"]
    world.reports(0, S.CONFIRMING)

    assert (waiting.reboot_asked_time, waiting.reboot_wanted) == (NOW, False)
    assert world.assignments["a0"].reboot_asked_time == NOW


def test_takes_place_is_what_occupies_but_for_those_that_wait_without_leave():
    waits = an_assignment(state=S.AWAITING_REBOOT)

    assert not takes_place(waits, NOW)
    assert takes_place(replace(waits, reboot_until_time=NOW - HOUR), NOW)
    assert takes_place(an_assignment(state=S.REBOOTING), NOW)
    assert not takes_place(an_assignment(), NOW + timedelta(hours=1))


def test_there_is_no_leave_after_the_deadline_and_what_was_given_ends_with_it():
    world = a_world(a_plan(2), 0)
    world.rollout = replace(world.rollout, deadline_time=NOW + 3 * MINUTE)
    world.reports(1, S.INSTALLING)

    first, late = world.tick(), world.tick(3 * MINUTE)
    asks(world, 1)
    later = world.tick(SECOND)

    assert first == [LeaseReboot("a0", "c0", NOW + 3 * MINUTE)]
    assert (holds(late), leases(late)) == (["a0"], [])
    assert leases(later) == []
    assert "the deadline passed" in world.why(1).message
