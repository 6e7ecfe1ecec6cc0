"""Whatever happens to a rollout, the planner's promises hold."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from sopwith_controller.domain import rollout as lifecycle
from sopwith_controller.domain.assignment import takes_place
from sopwith_controller.domain.incident_entities import Freeze
from sopwith_controller.domain.plan import Plan, PlanThresholds
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.domain.tick import OfferAssignment, OpenWave, RenewLease
from sopwith_formats.vocabulary import AssignmentState, Outcome
from tests.controller.domain.builders import World, a_plan, not_ready

WORKING = [
    AssignmentState.DOWNLOADING,
    AssignmentState.STAGED,
    AssignmentState.INSTALLING,
    AssignmentState.CONFIRMING,
]
FREEZE = Freeze("f-1", "year end", "olga", World(a_plan(1)).now)

numbers = st.integers(0, 7)
steps = st.one_of(
    st.tuples(st.just("reports"), numbers, st.sampled_from(WORKING)),
    st.tuples(st.just("ends"), numbers, st.sampled_from([Outcome.SUCCEEDED, Outcome.SUCCEEDED, Outcome.ROLLED_BACK])),
    st.tuples(st.just("sleeps"), numbers),
    st.tuples(st.just("offline"), numbers),
    st.tuples(st.just("back"), numbers),
    st.tuples(st.just("not_ready"), numbers),
    st.tuples(st.just("retires"), numbers),
    st.tuples(st.sampled_from(["pause", "resume", "abort", "freeze", "thaw", "time"])),
)
plans = st.builds(
    lambda sizes, soak, concurrency: a_plan(
        *sizes, soak=soak, max_concurrency=concurrency, thresholds=PlanThresholds("60%", "50%", 3, 2)
    ),
    st.sampled_from([(1, 2, 5), (8,), (1, 7), (3, 3, 2)]),
    st.sampled_from([0, 600]),
    st.integers(1, 8),
)


def apply(world: World, step: tuple[object, ...]) -> None:
    match step:
        case ("reports", int(number), AssignmentState() as state) if number in world.offered():
            world.reports(number, state)
        case ("ends", int(number), Outcome() as outcome) if number in world.offered():
            world.ends(number, outcome)
        case (str(word), int(number)):
            computer(world, word, number)
        case (str(word),):
            people(world, word)


def computer(world: World, word: str, number: int) -> None:
    match word:
        case "sleeps":
            world.set(number, connected=False, asleep=True, offline_time=None)
        case "offline":
            world.offline(number)
        case "back":
            world.back(number)
        case "not_ready":
            world.set(number, readiness=not_ready(at=world.now))
        case _:
            world.set(number, in_service=False)


def people(world: World, word: str) -> None:
    state = world.rollout.state
    if word == "pause" and state is RolloutState.RUNNING:
        world.rollout = lifecycle.pause(world.rollout, person="otto", reason="x")
    elif word == "resume" and state in {RolloutState.PAUSED, RolloutState.SUSPENDED}:
        world.resume()
    elif word == "abort" and state in {RolloutState.RUNNING, RolloutState.PAUSED}:
        world.rollout = lifecycle.abort(world.rollout, person="otto", reason="x")
    elif word == "freeze":
        world.freezes = (FREEZE,)
    elif word == "thaw":
        world.freezes = ()
    elif word == "time":
        world.now += timedelta(minutes=7)


def check(world: World, actions: list[object], before: RolloutState) -> None:
    starts = [action for action in actions if isinstance(action, OfferAssignment | RenewLease)]
    opened = [action for action in actions if isinstance(action, OpenWave)]
    offers = [action for action in actions if isinstance(action, OfferAssignment)]
    if world.freezes or before is not RolloutState.RUNNING:
        assert starts == []
        assert [action for action in opened if action.wave != world.plan.tail] == []
    for offered in offers:
        found = world.computers[offered.computer]
        assert found.connected
        assert found.in_service
        assert found.readiness.verdict == "READY"
    if offers:
        occupied = [a for a in world.assignments.values() if takes_place(a, world.now)]
        assert len(occupied) <= world.plan.max_concurrency


@settings(max_examples=150, deadline=None)
@given(plans, st.lists(steps, max_size=30))
def test_promises_hold_whatever_happens_and_everything_ends(plan: Plan, story: list[tuple[object, ...]]):
    world = World(plan)
    for step in story:
        apply(world, step)
        before = world.rollout.state
        check(world, world.tick(), before)

    world.freezes = ()
    world.offline(*range(8))
    world.tick(timedelta(days=2))
    world.tick(timedelta(hours=1))

    assert all(a.state is AssignmentState.ENDED and a.outcome for a in world.assignments.values())
    assert world.rollout.state in {RolloutState.COMPLETED, RolloutState.ABORTED}


@settings(max_examples=60, deadline=None)
@given(plans, st.lists(steps.filter(lambda step: step[0] not in {"resume", "ends"}), max_size=20))
def test_bad_release_touches_one_wave_only(plan: Plan, story: list[tuple[object, ...]]):
    world = World(plan)
    for step in story:
        apply(world, step)
        world.tick()
        for number in world.offered():
            if world.state_of(number) is AssignmentState.CONFIRMING:
                world.ends(number, Outcome.ROLLED_BACK)
        world.tick()

    touched = {a.wave for a in world.assignments.values() if a.outcome == Outcome.ROLLED_BACK}
    assert len(touched - {plan.tail}) <= 1
