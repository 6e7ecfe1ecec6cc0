"""The assignment's machine: what the table promises for every state and event."""

import pytest

from sopwith_agent.domain.assignment import TABLE, Event, TransitionNotAllowedError, transition
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState, Outcome

ACTIVE = [state for state in AssignmentState if state is not AssignmentState.ENDED]


@pytest.mark.parametrize("state", AssignmentState)
@pytest.mark.parametrize("event", Event)
def test_what_the_table_does_not_list_is_not_allowed(state: AssignmentState, event: Event) -> None:
    if (state, event) in TABLE:
        assert transition(state, event) == TABLE[state, event]
        return

    with pytest.raises(TransitionNotAllowedError) as caught:
        transition(state, event)

    assert (caught.value.state, caught.value.event) == (state, event)
    assert state.value in str(caught.value)


@pytest.mark.parametrize("state", ACTIVE)
def test_every_state_can_reach_an_outcome(state: AssignmentState) -> None:
    reached, grown = {state}, True
    outcomes: set[Outcome] = set()
    while grown:
        following = {TABLE[key] for key in TABLE if key[0] in reached}
        outcomes |= {end for end in following if isinstance(end, Outcome)}
        states = {end for end in following if isinstance(end, AssignmentState)}
        grown = not states <= reached
        reached |= states

    assert outcomes


def test_nothing_leaves_an_ended_assignment() -> None:
    assert not [key for key in TABLE if key[0] is AssignmentState.ENDED]


def test_nothing_takes_an_assignment_back_from_installing_on() -> None:
    taken_back = {Event.WITHDRAWN, Event.DEADLINE_PASSED, Event.DEADLINE_PASSED_UNREADY}

    assert all(state in BEFORE_INSTALLING for state, event in TABLE if event in taken_back)


def test_only_a_healthy_confirmation_succeeds() -> None:
    assert [key for key, end in TABLE.items() if end is Outcome.SUCCEEDED] == [
        (AssignmentState.CONFIRMING, Event.HEALTHY)
    ]


def test_only_the_start_leads_to_installing() -> None:
    assert [key for key, end in TABLE.items() if end is AssignmentState.INSTALLING] == [
        (AssignmentState.STAGED, Event.START_ALLOWED),
        (AssignmentState.INSTALLING, Event.RETRIED),
    ]
