"""Leases and offers: who may start, until when, and who has to wait."""

from dataclasses import replace

import pytest

from sopwith_controller.domain import rollout as lifecycle
from sopwith_controller.domain.entities import Readiness, Reason
from sopwith_controller.domain.freezing import CLOCK
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.offers import LEASE
from sopwith_controller.domain.tick import (
    HoldLease,
    MeasureReadiness,
    MoveAssignment,
    OfferAssignment,
    OpenWave,
    RenewLease,
)
from sopwith_formats.sop_policy import DisruptionBudget, Window
from sopwith_formats.vocabulary import AssignmentState
from tests.controller.domain.builders import HOUR, MINUTE, NOW, READY, SECOND, World, a_plan, not_ready

FREEZE = Freeze("f-1", "year end", "olga", NOW, NOW + HOUR)
# Monday 10:00 UTC is NOW.
OPEN_NOW = Window("FREQ=DAILY", "09:00", 2 * 3600, "UTC", 30 * 60)
OPENS_LATER = Window("FREQ=DAILY", "12:00", 3600, "UTC")


def of(kind: type, actions: list[object]) -> list[object]:
    return [action for action in actions if isinstance(action, kind)]


def test_offer_carries_a_lease_of_five_minutes():
    world = World(a_plan(1))

    offer = of(OfferAssignment, world.tick())[0]

    assert isinstance(offer, OfferAssignment)
    assert offer.start_until == NOW + LEASE
    assert world.decision.next_time == NOW + LEASE / 2


def test_lease_is_renewed_when_half_of_it_is_gone():
    world = World(a_plan(1))
    world.tick()

    assert world.tick(2 * MINUTE) == []
    renewed = world.tick(MINUTE)

    assert renewed == [RenewLease("a0", "c0", world.now + LEASE)]


def test_a_lease_of_a_clock_that_was_set_back_since_is_given_anew():
    world = World(a_plan(1))
    world.tick()

    renewed = world.tick(-2 * HOUR)

    assert renewed == [RenewLease("a0", "c0", NOW - 2 * HOUR + LEASE)]
    assert world.tick() == []


def test_computer_without_a_stream_gets_no_new_lease():
    world = World(a_plan(1))
    world.tick()
    world.reports(0, AssignmentState.DOWNLOADING)
    world.set(0, connected=False, offline_time=NOW + 2 * HOUR)

    assert world.tick(4 * MINUTE) == []
    assert world.decision.next_time == NOW + LEASE
    assert world.why(0).waits_for == "connection"
    world.set(0, connected=True, offline_time=None)
    assert of(RenewLease, world.tick(4 * MINUTE))


def test_lease_never_reaches_beyond_cutoff_or_deadline():
    cutoff = World(a_plan(1, window=OPEN_NOW), now=NOW + 28 * MINUTE)
    deadline = World(a_plan(1, deadline_seconds=120))
    cutoff.back(0)

    assert of(OfferAssignment, cutoff.tick()) == [OfferAssignment("a0", "c0", 0, NOW + 30 * MINUTE)]
    assert of(OfferAssignment, deadline.tick()) == [OfferAssignment("a0", "c0", 0, NOW + 2 * MINUTE)]


def test_lease_is_taken_back_when_the_window_closes():
    world = World(a_plan(1, window=OPEN_NOW), now=NOW + 28 * MINUTE)
    world.back(0)
    world.tick()
    world.reports(0, AssignmentState.STAGED)
    assert world.decision.next_time == NOW + 30 * MINUTE

    actions = world.tick(2 * MINUTE)

    assert len(of(HoldLease, actions)) == 1
    assert world.why(0).waits_for == "window"
    assert world.tick() == []


@pytest.mark.gate("blocks", "window")
@pytest.mark.clause("V.C Safety", "window")
def test_wave_does_not_open_while_the_window_is_closed():
    world = World(a_plan(1, window=OPENS_LATER))

    assert world.tick() == []
    assert world.decision.next_time == NOW + 2 * HOUR
    assert "waits for the window, which opens 2026-11-23T12:00:00Z" in world.rollout.state_reason
    assert world.why(0).waits_for == "window"
    world.back(0)
    assert of(OpenWave, world.tick(2 * HOUR))


def test_window_that_never_opens_is_named():
    world = World(a_plan(1, window=Window("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "00:00", 60, "UTC")))

    assert world.tick() == []
    assert "does not open within five years" in world.why(0).message


def test_local_window_is_looked_at_for_each_computer():
    world = World(a_plan(2, window=Window("FREQ=DAILY", "11:00", 3600)))
    world.set(0, time_zone="Europe/Berlin")

    world.tick()

    assert world.offered() == [0]
    assert world.why(1).waits_for == "window"
    assert world.why(1).until == NOW + HOUR


@pytest.mark.gate("blocks", "freeze")
def test_freeze_takes_leases_back_and_opens_nothing():
    world = World(a_plan(1, 2))
    world.tick()
    world.freezes = (FREEZE,)

    held = world.tick(SECOND)

    assert [type(a) for a in held] == [HoldLease]
    assert world.rollout.state_reason == "olga froze all installs: year end"
    assert world.why(0).waits_for == "freeze"
    assert world.why(2).until == NOW + HOUR
    world.freezes = ()
    assert of(RenewLease, world.tick(SECOND))


def test_an_emergency_waits_in_a_freeze_like_everybody():
    world = World(a_plan(1, 2, emergency=True, change_class="emergency"))
    world.freezes = (FREEZE,)

    held = world.tick()

    assert not of(OpenWave, held)
    assert not of(OfferAssignment, held)
    assert world.why(0).waits_for == "freeze"


def test_the_clock_s_own_freeze_is_ended_only_by_confirming_its_time():
    world = World(a_plan(1))
    world.freezes = (replace(FREEZE, started_by=CLOCK),)
    world.tick()

    assert world.why(0).remedy == f"sopwith freeze end {FREEZE.id} --confirm-time"


def test_freeze_keeps_the_next_wave_shut_and_moves_nobody():
    world = World(a_plan(1, 2))
    world.tick()
    world.ends(0)
    world.freezes = (FREEZE,)
    world.offline(1)

    actions = world.tick()

    assert not of(OpenWave, actions)
    assert not of(MoveAssignment, actions)


def test_paused_rollout_holds_and_offers_nothing():
    world = World(a_plan(1, 2))
    world.tick()
    world.rollout = lifecycle.pause(world.rollout, person="otto", reason="lunch")

    actions = world.tick()

    assert [type(a) for a in actions] == [HoldLease]
    assert world.why(1).waits_for == "paused"
    assert "sopwith rollout resume r-1" in world.why(1).remedy
    assert world.tick() == []


@pytest.mark.gate("blocks", "wave_caps")
@pytest.mark.clause("V.C Safety", "caps")
def test_no_more_computers_than_the_plan_allows_are_updated_at_once():
    world = World(a_plan(5, max_concurrency=2))

    world.tick()
    assert world.offered() == [0, 1]
    assert world.why(4).waits_for == "concurrency"
    world.ends(0)
    world.tick()
    assert world.offered() == [1, 2]


def test_disruption_budget_counts_by_group():
    budget = DisruptionBudget(("site",), 1)
    world = World(a_plan(4, disruption_budget=budget))
    for number, site in enumerate(("berlin", "berlin", "paris", "paris")):
        world.set(number, labels={"site": site})

    world.tick()

    assert world.offered() == [0, 2]
    assert world.why(1).waits_for == "budget"
    world.reports(0, AssignmentState.DOWNLOADING)
    assert world.tick() == []


def test_nobody_is_asked_to_measure_for_a_group_in_which_nobody_may_follow():
    world = World(a_plan(3, disruption_budget=DisruptionBudget(("site",), 1)))
    for number, site in enumerate(("berlin", "berlin", "paris")):
        world.set(number, labels={"site": site})
    world.set(1, readiness=Readiness())
    world.set(2, readiness=Readiness())

    assert of(MeasureReadiness, world.tick()) == [MeasureReadiness(("c2",))]
    assert world.why(1).waits_for == "readiness"
    world.ends(0)
    assert of(MeasureReadiness, world.tick()) == [MeasureReadiness(("c1",))]


def test_computer_at_work_for_another_rollout_waits():
    world = World(a_plan(1))
    world.set(0, busy_with="other")

    assert [type(a) for a in world.tick()] == [OpenWave]
    assert "rollout other is updating pc0" in world.why(0).message
    world.set(0, busy_with="")
    assert of(OfferAssignment, world.tick())


def test_computer_that_rolled_the_release_back_is_not_offered_it_again():
    world = World(a_plan(1, 1))
    world.set(0, rolled_back_before=True)

    world.tick()

    assert world.wave_of(0) == 2
    assert world.offered() == [1]
    assert world.why(0).waits_for == "approval"
    assert "sopwith release permit hello@2 --computer pc0" in world.why(0).remedy


def test_old_measurement_is_renewed_before_an_offer():
    world = World(a_plan(1))

    actions = world.tick(HOUR)

    assert [type(a) for a in actions] == [OpenWave, MeasureReadiness, OfferAssignment]


def test_unmeasured_computer_is_asked_once_and_moves_when_it_does_not_answer():
    world = World(a_plan(1, 1))
    world.answers_readiness = False
    world.set(0, readiness=Readiness())

    asked = world.tick()
    assert asked[-1] == MeasureReadiness(("c0",))
    assert world.why(0).message == "is being asked to measure its readiness"
    assert world.tick(10 * SECOND) == []
    assert world.decision.next_time == NOW + 30 * SECOND
    moved = world.tick(20 * SECOND)

    assert of(MoveAssignment, moved)[0] == MoveAssignment(
        "a0", "c0", 2, "pc0 did not answer when it was asked to measure its readiness"
    )
    assert world.offered() == [1]


def test_unready_member_of_the_tail_is_measured_again_when_its_verdict_is_old():
    world = World(a_plan(1, 1))
    world.set(1, readiness=not_ready())
    world.tick()
    world.ends(0)
    world.tick()
    assert world.decision.next_time == NOW + 15 * MINUTE

    assert of(MeasureReadiness, world.tick(16 * MINUTE)) == [MeasureReadiness(("c1",))]
    assert world.why(1).waits_for == "readiness"


def test_excused_computer_waits_and_is_not_measured():
    world = World(a_plan(1, 1))
    world.set(0, readiness=Readiness("EXCUSED", (Reason("", "excused: by olga"), Reason("X", "y"))))

    world.tick()

    assert world.why(0).message.startswith("excused: by olga (and 1 more)")


def test_unready_computer_without_reasons_is_explained_too():
    world = World(a_plan(1, 1))
    world.set(0, readiness=Readiness("NOT_READY", measured_time=NOW))

    world.tick()

    assert world.why(0).message.startswith("pc0 is not ready")


def test_no_more_are_asked_to_measure_than_there_are_places():
    world = World(a_plan(10, max_concurrency=3))
    world.answers_readiness = False
    for number in range(10):
        world.set(number, readiness=Readiness())

    actions = world.tick()

    assert of(MeasureReadiness, actions) == [MeasureReadiness(("c0", "c1", "c2"))]


def test_computer_without_a_stream_is_waited_for_until_it_counts_as_offline():
    world = World(a_plan(1, 1))
    world.set(0, connected=False, offline_time=NOW + MINUTE)

    world.tick()
    assert world.offered() == []
    assert world.wave_of(0) == 0
    assert world.why(0).waits_for == "connection"
    assert world.decision.next_time == NOW + MINUTE
    world.tick(MINUTE)
    assert world.wave_of(0) == 2


def test_offered_computer_that_is_not_ready_is_parked_and_gives_its_place_away():
    world = World(a_plan(1, 1, max_concurrency=1))
    world.tick()
    reason = Reason("USER_BUSY", "somebody works", "wait")
    world.reports(0, AssignmentState.PREPARING, reasons=[reason], next_try_time=NOW + MINUTE)

    actions = world.tick()

    assert {type(a) for a in actions} == {MoveAssignment, HoldLease, OfferAssignment}
    assert world.offered() == [0, 1]
    assert world.wave_of(1) == 0
    assert world.why(0).waits_for == "wave"


def test_parked_computer_goes_on_in_the_tail_when_it_measured_that_it_is_ready():
    world = World(a_plan(1, 1))
    world.tick()
    world.reports(0, AssignmentState.PREPARING, reasons=[Reason("USER_BUSY", "somebody works")])
    world.tick()
    world.ends(1)
    world.tick()
    assert world.why(0).waits_for == "readiness"

    world.now += MINUTE
    world.back(0)
    actions = world.tick()

    assert actions == [RenewLease("a0", "c0", world.now + LEASE)]


def test_parked_computer_that_another_rollout_took_meanwhile_waits_for_it():
    world = World(a_plan(1, 1))
    world.tick()
    world.reports(0, AssignmentState.PREPARING, reasons=[Reason("USER_BUSY", "somebody works")])
    world.tick()
    world.ends(1)
    world.tick()
    world.now += MINUTE
    world.back(0)
    world.set(0, busy_with="other")

    assert not world.tick()
    assert world.why(0).message == "rollout other is updating pc0"

    world.set(0, busy_with="")
    assert world.tick() == [RenewLease("a0", "c0", world.now + LEASE)]


def test_parked_computer_waits_for_a_place_like_everybody():
    world = World(a_plan(1, 2, max_concurrency=1))
    world.tick()
    world.reports(0, AssignmentState.PREPARING, reasons=[Reason("USER_BUSY", "somebody works")])
    world.tick()
    world.ends(1)
    world.tick()
    world.put(replace(world.assignments["a2"], state=AssignmentState.DOWNLOADING, wave=2))
    world.put(replace(world.assignments["a0"], reasons=()))
    world.rollout = lifecycle.pass_wave(world.rollout, 1, now=world.now)

    world.tick()

    assert world.why(0).waits_for == "concurrency"


def test_replacement_is_measured_before_it_takes_a_place():
    world = World(a_plan(1, 2))
    world.answers_readiness = False
    world.offline(0)
    world.set(1, readiness=replace(READY, measured_time=NOW - HOUR))
    world.set(2, connected=False, offline_time=NOW + HOUR)

    actions = world.tick()

    assert of(MeasureReadiness, actions) == [MeasureReadiness(("c1",))]
    assert world.offered() == []
    world.set(1, readiness=READY, measure_asked_time=None)
    world.tick()
    assert world.offered() == [1]


def test_busy_computer_takes_nobodys_place():
    world = World(a_plan(1, 2))
    world.offline(0)
    world.set(1, busy_with="other")

    world.tick()

    assert world.offered() == [2]


def test_lease_of_a_computer_that_is_lost_to_the_controller_expires_by_itself():
    world = World(a_plan(1, 1))
    world.tick()
    world.offline(0)

    actions = world.tick()

    assert of(HoldLease, actions) == []
    assert world.wave_of(0) == 2


@pytest.mark.parametrize("state", [AssignmentState.PREPARING, AssignmentState.STAGED])
def test_lease_that_ran_out_while_the_controller_was_away_is_given_again(state: AssignmentState):
    world = World(a_plan(1))
    world.tick()
    world.reports(0, state)

    actions = world.tick(10 * MINUTE)

    assert actions == [RenewLease("a0", "c0", world.now + LEASE)]


def test_one_that_goes_on_after_its_place_was_given_away_waits_for_another():
    world = World(a_plan(2, max_concurrency=1))
    world.tick()
    world.put(replace(world.assignments["a0"], state=AssignmentState.DOWNLOADING))
    world.put(replace(world.assignments["a1"], state=AssignmentState.STAGED, start_until_time=NOW - MINUTE))

    assert of(RenewLease, world.tick()) == []
    assert world.why(1).waits_for == "concurrency"

    world.ends(0)
    assert of(RenewLease, world.tick()) == [RenewLease("a1", "c1", world.now + LEASE)]


def test_of_several_whose_leases_ran_out_as_many_start_as_there_are_places():
    world = World(a_plan(3, max_concurrency=1))
    world.tick()
    for name in ("a0", "a1", "a2"):
        world.put(replace(world.assignments[name], state=AssignmentState.STAGED, start_until_time=NOW - MINUTE))

    assert of(RenewLease, world.tick()) == [RenewLease("a2", "c2", world.now + LEASE)]
    assert of(RenewLease, world.tick()) == []


def test_one_whose_lease_ran_out_waits_while_its_group_is_more_than_full():
    world = World(a_plan(3, disruption_budget=DisruptionBudget(("site",), 2)))
    for number in range(3):
        world.set(number, labels={"site": "berlin"})
    world.tick()
    for name in ("a0", "a1"):
        world.put(replace(world.assignments[name], state=AssignmentState.STAGED))
    world.put(replace(world.assignments["a2"], state=AssignmentState.STAGED, start_until_time=NOW - MINUTE))

    assert of(RenewLease, world.tick()) == []
    assert world.why(2).waits_for == "budget"
