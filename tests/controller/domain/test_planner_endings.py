"""Every assignment ends: deadline, abort, withdrawal, lost contact."""

from datetime import timedelta

import pytest

from sopwith_controller.domain import rollout as lifecycle
from sopwith_controller.domain.endings import GOES_ON, conclude
from sopwith_controller.domain.entities import Readiness, Reason
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.planner import plan_tick
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.domain.tick import (
    Complete,
    ComputerView,
    EndAssignment,
    FinishAbort,
    MarkLost,
    MarkStalled,
    RolloutView,
    Suspend,
    TickDecision,
    UnmarkLost,
)
from sopwith_controller.domain.time_limits import INSTALL_TIMEOUT
from sopwith_formats.sop_policy import Reboot, Window
from sopwith_formats.vocabulary import AssignmentState, Outcome
from tests.controller.domain.builders import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    World,
    a_plan,
    a_rollout,
    an_assignment,
    not_ready,
)

DAY = 24 * HOUR


def ends(actions: list[object]) -> dict[str, tuple[str, str]]:
    return {a.computer: (a.outcome, a.symptom) for a in actions if isinstance(a, EndAssignment)}


def abort(world: World) -> None:
    world.rollout = lifecycle.abort(world.rollout, person="otto", reason="wrong release")


def test_deadline_ends_everybody_in_the_right_word():
    world = World(a_plan(1, 5, max_concurrency=1))
    world.answers_readiness = False
    world.set(0, connected=False, offline_time=NOW, last_seen_time=None)
    world.set(1, connected=False, asleep=True, last_seen_time=NOW - HOUR)
    world.set(2, readiness=not_ready("DISK_FULL"))
    world.set(3, readiness=Readiness())
    world.tick()
    world.now += DAY

    actions = world.tick()

    assert ends(actions) == {
        "c0": ("UNREACHABLE", "LOST_CONTACT"),
        "c1": ("UNREACHABLE", "LOST_CONTACT"),
        "c2": ("NOT_READY", "DISK_FULL"),
        "c3": ("NOT_READY", ""),
        "c4": ("NOT_STARTED", ""),
        "c5": ("NOT_STARTED", ""),
    }
    assert world.is_in(RolloutState.COMPLETED)


def test_offered_computer_that_fell_silent_is_unreachable_but_no_incident():
    world = World(a_plan(1))
    world.tick()
    world.reports(0, AssignmentState.STAGED)
    world.offline(0)

    action = world.tick(DAY)[0]

    assert isinstance(action, EndAssignment)
    assert (action.outcome, action.severity, action.withdraw) == (Outcome.UNREACHABLE, 0, True)


def test_offered_computer_that_reported_reasons_ends_not_ready_with_them():
    world = World(a_plan(1))
    world.tick()
    world.reports(0, AssignmentState.PREPARING, reasons=[Reason("USER_BUSY", "somebody works")])

    assert ends(world.tick(DAY)) == {"c0": ("NOT_READY", "USER_BUSY")}


def detail(world: World, number: int) -> str:
    return world.assignments[f"a{number}"].detail


def test_ready_computer_that_was_never_offered_says_what_it_waited_for():
    asleep = World(a_plan(1))
    asleep.set(0, connected=False, asleep=True)
    asleep.tick(DAY)
    assert detail(asleep, 0).endswith("it slept")

    offline = World(a_plan(1))
    offline.offline(0)
    offline.tick(DAY)
    assert detail(offline, 0).endswith("it had no connection")

    unopened = World(a_plan(1, 1, soak=7 * 86400))
    unopened.tick()
    unopened.ends(0)
    unopened.tick(DAY)
    assert detail(unopened, 1).endswith("wave w1 was not opened")

    places = World(a_plan(2, max_concurrency=1))
    places.tick()
    places.reports(0, AssignmentState.INSTALLING)
    places.tick(DAY)
    assert detail(places, 1).endswith("no place among the 1 that are updated at once came free")
    assert places.state_of(0) is AssignmentState.INSTALLING

    busy = World(a_plan(1))
    busy.set(0, busy_with="other")
    busy.tick()
    busy.tick(DAY)
    assert detail(busy, 0).endswith("rollout other was updating it")

    closed = World(a_plan(1, window=Window("FREQ=DAILY", "12:00", 60, "UTC")))
    closed.tick(DAY)
    assert "the window is closed" in detail(closed, 0)

    frozen = World(a_plan(1))
    frozen.freezes = (Freeze("f", "year end", "olga", NOW),)
    frozen.tick(DAY)
    assert "year end" in detail(frozen, 0)

    staged = World(a_plan(1))
    staged.tick()
    staged.reports(0, AssignmentState.STAGED)
    staged.tick(DAY)
    assert detail(staged, 0).endswith("it was STAGED")


def test_last_reason_that_was_kept_with_the_assignment_is_told():
    world = World(a_plan(1))
    world.tick()
    world.reports(0, AssignmentState.STAGED)
    world.freezes = (Freeze("f", "year end", "olga", NOW),)
    world.tick()
    world.freezes = ()

    world.tick(DAY)

    assert "year end" in detail(world, 0)


def test_paused_rollout_ends_at_its_deadline_too():
    world = World(a_plan(1))
    world.rollout = lifecycle.pause(world.rollout, person="otto", reason="lunch")

    actions = world.tick(DAY)

    assert isinstance(actions[-1], Complete)
    assert "paused by otto: lunch" in detail(world, 0)


def test_install_that_fell_silent_is_unreachable_of_severity_1_at_the_deadline():
    world = World(a_plan(1))
    world.tick()
    world.reports(0, AssignmentState.INSTALLING)
    world.offline(0)

    end = next(a for a in world.tick(DAY) if isinstance(a, EndAssignment))

    assert (end.outcome, end.symptom, end.severity) == (Outcome.UNREACHABLE, "LOST_CONTACT", 1)


def test_install_of_a_sleeping_computer_is_unreachable_at_the_deadline():
    world = World(a_plan(1))
    world.tick()
    world.reports(0, AssignmentState.INSTALLING)
    world.set(0, connected=False, asleep=True)

    assert ends(world.tick(DAY)) == {"c0": ("UNREACHABLE", "LOST_CONTACT")}


def test_install_in_contact_goes_on_beyond_the_deadline():
    world = World(a_plan(1))
    world.tick()
    world.reports(0, AssignmentState.CONFIRMING)

    world.now += DAY - HOUR
    world.reports(0, AssignmentState.CONFIRMING, percent=50)

    assert world.tick(HOUR) == []
    world.set(0, connected=False, offline_time=NOW + DAY + MINUTE)
    assert world.tick() == []
    assert world.decision.next_time == NOW + DAY + MINUTE
    assert ends(world.tick(MINUTE))


@pytest.mark.clause("V.B.2 Monitor", "lost")
def test_computer_that_falls_silent_mid_install_is_lost_and_found_again():
    world = World(a_plan(1))
    world.tick()
    world.reports(0, AssignmentState.INSTALLING)
    world.set(0, connected=False, offline_time=NOW + MINUTE)
    assert world.tick() == []
    assert world.decision.next_time == NOW + MINUTE

    assert world.tick(MINUTE) == [MarkLost("a0", "c0", NOW + MINUTE)]
    assert "fell silent" in world.why(0).message
    world.back(0)
    assert world.tick() == [UnmarkLost("a0", "c0")]


REBOOT_PATIENCE = timedelta(seconds=Reboot().confirm_seconds)


def test_computer_that_waits_for_its_reboot_is_never_lost_and_holds_no_wave():
    world = World(a_plan(2, 1))
    world.tick()
    world.reports(0, AssignmentState.AWAITING_REBOOT)
    world.offline(0)
    world.ends(1)

    world.tick(HOUR)

    assert not any(isinstance(action, MarkLost) for action in world.log)
    assert world.offered() == [0, 2]


def test_wave_of_reboots_alone_does_not_pass():
    world = World(a_plan(1, 1))
    world.tick()
    world.reports(0, AssignmentState.AWAITING_REBOOT)

    world.tick(MINUTE)

    assert world.offered() == [0]


def test_rebooting_computer_has_a_longer_patience():
    world = World(a_plan(1))
    world.tick()
    world.reports(0, AssignmentState.REBOOTING)
    world.offline(0)

    assert world.tick(MINUTE) == []
    assert world.decision.next_time == NOW + REBOOT_PATIENCE
    assert [type(a) for a in world.tick(REBOOT_PATIENCE)] == [MarkLost]


def test_rebooting_computer_with_a_stream_is_not_lost():
    world = World(a_plan(1))
    world.tick()
    world.reports(0, AssignmentState.REBOOTING)

    assert world.tick(HOUR) == [MarkStalled("a0", "c0", NOW)]


def test_lost_computers_suspend_at_their_limit_with_severity_1():
    world = World(a_plan(4, 4))
    world.tick()
    for number in (0, 1):
        world.reports(number, AssignmentState.INSTALLING)
    world.offline(0)
    world.tick(SECOND)
    assert world.is_in(RolloutState.RUNNING)
    world.offline(1)

    actions = world.tick(SECOND)

    suspend = next(a for a in actions if isinstance(a, Suspend))
    assert suspend.severity == 1
    assert suspend.computers == ("pc0", "pc1")
    world.resume()
    world.tick(SECOND)
    assert world.is_in(RolloutState.RUNNING)


def test_error_count_is_over_the_whole_rollout():
    thresholds = a_plan(1).thresholds.__class__("0%", "100%", 2, 9)
    world = World(a_plan(1, 1, 2, thresholds=thresholds))
    world.tick()
    world.ends(0, Outcome.FAILED)
    world.tick()
    world.ends(1, Outcome.ROLLED_BACK)

    actions = world.tick()

    suspend = next(a for a in actions if isinstance(a, Suspend))
    assert "2 computers went wrong, and 2 are the limit" in suspend.reason


def test_abort_cancels_what_has_not_begun_and_lets_installs_finish():
    world = World(a_plan(3, 1, max_concurrency=3))
    world.tick()
    world.reports(0, AssignmentState.INSTALLING)
    world.reports(1, AssignmentState.STAGED)
    abort(world)

    actions = world.tick()

    assert ends(actions) == {"c1": ("CANCELLED", ""), "c2": ("CANCELLED", ""), "c3": ("CANCELLED", "")}
    assert [a.withdraw for a in actions if isinstance(a, EndAssignment)] == [True, True, False]
    assert world.is_in(RolloutState.ABORTING)
    world.ends(0)
    assert world.tick() == [FinishAbort()]
    assert world.is_in(RolloutState.ABORTED)


def test_abort_waits_for_the_lease_of_a_computer_that_cannot_be_told():
    world = World(a_plan(1))
    world.tick()
    world.offline(0)
    abort(world)

    assert world.tick(MINUTE) == []
    assert world.decision.next_time == NOW + 5 * MINUTE
    assert world.why(0).waits_for == "none"
    assert ends(world.tick(4 * MINUTE)) == {"c0": ("CANCELLED", "")}


def test_aborted_draft_ends_at_once():
    plan = a_plan(1)
    aborting = lifecycle.abort(a_rollout(plan), person="otto", reason="typo")

    decision = plan_tick(RolloutView(aborting, plan, (), {}), NOW)

    assert decision.actions == (FinishAbort(),)


def test_withdrawn_release_is_taken_back_everywhere():
    world = World(a_plan(2, 2))
    world.tick()
    world.reports(0, AssignmentState.INSTALLING)
    world.withdrawn = True

    actions = world.tick()

    assert set(ends(actions)) == {"c1", "c2", "c3"}
    assert "hello@2 was withdrawn" in world.rollout.state_reason
    world.ends(0)
    world.tick()
    assert world.is_in(RolloutState.COMPLETED)


def test_offline_computer_keeps_a_withdrawn_release_until_its_lease_ends():
    world = World(a_plan(1, 1))
    world.tick()
    world.reports(0, AssignmentState.DOWNLOADING)
    world.offline(0)
    world.withdrawn = True

    world.tick(SECOND)

    assert "was withdrawn" in world.why(0).message
    world.tick(5 * MINUTE)
    assert world.outcomes() == ["CANCELLED", "CANCELLED"]


@pytest.mark.parametrize(("reason", "told"), [("cloned identity", "cloned identity"), ("", "it left the fleet")])
def test_quarantined_computer_is_taken_back_and_the_wave_does_not_pass_on_nothing(reason: str, told: str):
    world = World(a_plan(1, 1))
    world.set(0, in_service=False, out_of_service_reason=reason, connected=False, offline_time=NOW)
    world.offline(1)

    world.tick()

    assert (world.assignments["a0"].outcome, detail(world, 0)) == ("CANCELLED", told)
    assert "waits for a computer" in world.rollout.state_reason
    world.back(1)
    world.tick()
    assert world.wave_of(1) == 0
    assert world.offered() == [1]


def test_install_of_a_retired_computer_is_followed_to_the_deadline():
    world = World(a_plan(1))
    world.tick()
    world.reports(0, AssignmentState.INSTALLING)
    world.set(0, in_service=False)

    assert world.tick() == []


@pytest.mark.parametrize("state", [RolloutState.DRAFT, RolloutState.APPROVED, RolloutState.COMPLETED])
def test_rollout_that_does_not_run_needs_no_tick(state: RolloutState):
    plan = a_plan(2)

    assert plan_tick(RolloutView(a_rollout(plan, state=state), plan, (), {}), NOW) == TickDecision()


def test_receipt_after_the_deadline_is_counted_as_it_is():
    world = World(a_plan(1))
    world.tick()
    world.reports(0, AssignmentState.INSTALLING)
    world.offline(0)
    world.tick(DAY)
    assert world.outcomes() == ["UNREACHABLE"]

    world.ends(0)

    assert world.outcomes() == ["SUCCEEDED"]


def test_assignment_that_nothing_ends_goes_on():
    conclusion = conclude(
        an_assignment(),
        ComputerView("c0", "pc0"),
        now=NOW,
        started_time=NOW,
        taken_back="",
        deadline=None,
        install_timeout=INSTALL_TIMEOUT,
        stood_in_the_way="",
    )

    assert conclusion is GOES_ON
