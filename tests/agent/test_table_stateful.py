"""The agent's table of one assignment under every event in every state, in any order, as hypothesis finds them."""

from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sopwith_agent.domain.assignment import TABLE, Event, TransitionNotAllowedError
from sopwith_agent.domain.record import Record
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState, Outcome

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
_FROM_OUTSIDE = {Event.WITHDRAWN, Event.DEADLINE_PASSED, Event.DEADLINE_PASSED_UNREADY}


class AgentTable(RuleBasedStateMachine):
    """One record, and every event that a step could raise."""

    @initialize()
    def begin(self) -> None:
        self.record = Record("{}", "", AssignmentState.PENDING, NOON, NOON)
        self.now = NOON
        self.states = [AssignmentState.PENDING]
        self.outcomes: list[str] = []

    @rule(event=st.sampled_from(Event))
    def happen(self, event: Event) -> None:
        self.now += timedelta(seconds=1)
        before = self.record
        expected = None if before.ended else TABLE.get((before.state, event))

        try:
            after = before.after(event, self.now)
        except TransitionNotAllowedError:
            assert expected is None
            return

        assert expected is not None
        if event in _FROM_OUTSIDE:
            assert before.state in BEFORE_INSTALLING
        if isinstance(expected, Outcome):
            assert (after.ended, after.outcome) == (True, expected)
            self.outcomes.append(after.outcome)
        else:
            assert (after.ended, after.state) == (False, expected)
        self.record = after
        self.states.append(after.state)

    @invariant()
    def ends_at_most_once(self) -> None:
        assert len(self.outcomes) <= 1
        assert self.record.ended == bool(self.outcomes)

    @invariant()
    def succeeds_only_after_its_health_checks(self) -> None:
        if self.outcomes == [Outcome.SUCCEEDED]:
            assert AssignmentState.CONFIRMING in self.states
            assert AssignmentState.INSTALLING in self.states

    @invariant()
    def nothing_is_taken_back_or_called_not_started_once_it_was_rolled_back(self) -> None:
        if AssignmentState.ROLLING_BACK in self.states and self.outcomes:
            assert self.outcomes[0] in {Outcome.ROLLED_BACK, Outcome.FAILED}


TestAgentTable = AgentTable.TestCase
TestAgentTable.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
