"""The two tables of the controller under every command in every state, in any order, as hypothesis finds them.

A machine keeps a rollout and one of its assignments; each rule asks for one command or report, allowed or not. What is
refused changes nothing; what is done obeys the invariants.
"""

from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sopwith_controller.domain import assignment as mirror
from sopwith_controller.domain import rollout as lifecycle
from sopwith_controller.domain.assignment import EndKind
from sopwith_controller.domain.errors import TransitionNotAllowedError
from sopwith_controller.domain.rollout import ENDED_STATES, TRANSITIONS, RolloutCommand
from sopwith_controller.domain.rollout_entities import Approval, Assignment, Rollout, RolloutState
from sopwith_formats.vocabulary import BEFORE_INSTALLING, AssignmentState, Outcome
from tests import builders as make
from tests.builders import NOON, SHA

RUNS = settings(max_examples=60, stateful_step_count=40, deadline=None)
_WAVES = 3


class RolloutTable(RuleBasedStateMachine):
    """One rollout, and everything that can be asked of it."""

    @initialize()
    def begin(self) -> None:
        self.rollout = make.rollout()
        self.now = NOON
        self.generations = [1]

    @rule(command=st.sampled_from(RolloutCommand), flag=st.booleans(), wave=st.integers(0, _WAVES - 1))
    def ask(self, command: RolloutCommand, flag: bool, wave: int) -> None:
        self.now += timedelta(seconds=1)
        before = self.rollout
        expected = TRANSITIONS.get((before.state, command))
        unacknowledged = command is RolloutCommand.RESUME and before.state is RolloutState.SUSPENDED and not flag

        try:
            after = self._carry_out(command, flag=flag, wave=wave)
        except TransitionNotAllowedError:
            assert expected is None or unacknowledged
            return

        assert expected is not None
        waits_for_more = command is RolloutCommand.APPROVE and not flag
        assert after.state is (before.state if waits_for_more else expected)
        assert after.generation == before.generation + (command is RolloutCommand.RETRY)
        self.rollout = after
        self.generations.append(after.generation)

    def _carry_out(self, command: RolloutCommand, *, flag: bool, wave: int) -> Rollout:
        rollout, now = self.rollout, self.now
        who = {"person": "otto", "reason": "because"}
        commands = {
            RolloutCommand.SUBMIT: lambda: self._submit(needs_approval=True),
            RolloutCommand.SUBMIT_PREAPPROVED: lambda: self._submit(needs_approval=False),
            RolloutCommand.APPROVE: lambda: lifecycle.approve(rollout, Approval("mia", SHA, now), enough=flag),
            RolloutCommand.REJECT: lambda: lifecycle.reject(rollout, **who),
            RolloutCommand.REPLAN: lambda: lifecycle.replan(rollout, reason="the fleet changed"),
            RolloutCommand.CLEAR: lambda: lifecycle.clear(rollout, why="nobody is left", now=now),
            RolloutCommand.START: lambda: lifecycle.start(
                rollout, operator="otto", reason="now", now=now, deadline_seconds=3600, waves=_WAVES - 1
            ),
            RolloutCommand.OPEN_WAVE: lambda: lifecycle.open_wave(rollout, wave, now=now),
            RolloutCommand.PAUSE: lambda: lifecycle.pause(rollout, **who),
            RolloutCommand.RESUME: lambda: lifecycle.resume(rollout, now=now, incident_acknowledged=flag, **who),
            RolloutCommand.SUSPEND: lambda: lifecycle.suspend(rollout, reason="a threshold"),
            RolloutCommand.RETRY: lambda: lifecycle.retry(
                rollout, now=now, deadline_seconds=3600, waves=frozenset({wave}), **who
            ),
            RolloutCommand.COMPLETE: lambda: lifecycle.complete(rollout, now=now, reason="all ended"),
            RolloutCommand.ABORT: lambda: lifecycle.abort(rollout, **who),
            RolloutCommand.FINISH_ABORT: lambda: lifecycle.finish_abort(rollout, now=now),
        }
        return commands[command]()

    def _submit(self, *, needs_approval: bool) -> Rollout:
        return lifecycle.submit(self.rollout, plan_json="{}", plan_sha256=SHA, needs_approval=needs_approval)

    @invariant()
    def ended_exactly_when_it_has_an_end(self) -> None:
        assert (self.rollout.state in ENDED_STATES) == (self.rollout.ended_time is not None)

    @invariant()
    def runs_only_with_a_deadline_and_waves(self) -> None:
        rollout = self.rollout
        running = {RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.SUSPENDED, RolloutState.COMPLETED}
        if rollout.state in running:
            assert rollout.deadline_time is not None
            assert rollout.started_time is not None
            assert len(rollout.waves) == _WAVES

    @invariant()
    def a_draft_holds_no_approval(self) -> None:
        assert self.rollout.state is not RolloutState.DRAFT or not self.rollout.approvals

    @invariant()
    def generations_only_grow(self) -> None:
        assert self.generations == sorted(self.generations)


class AssignmentTable(RuleBasedStateMachine):
    """One assignment as the controller mirrors it: reports and ends in any order."""

    @initialize()
    def begin(self) -> None:
        self.assignment = make.assignment()
        self.now = NOON
        self.receipts: list[str] = []
        self.ends = 0

    def _keep(self, after: Assignment) -> None:
        before, self.assignment = self.assignment, after
        assert not (before.ended and not after.ended)
        assert after.attempts >= before.attempts
        assert before.install_started_time in {None, after.install_started_time}
        went_back = after.state is AssignmentState.PREPARING and before.state is not AssignmentState.PENDING
        order = list(AssignmentState)
        assert went_back or order.index(after.state) >= order.index(before.state) or after.ended

    @rule()
    def offer(self) -> None:
        self.now += timedelta(seconds=1)
        before = self.assignment
        try:
            after = mirror.offer(before, now=self.now, start_until=self.now + timedelta(minutes=5))
        except TransitionNotAllowedError:
            assert before.state is not AssignmentState.PENDING
            return
        assert before.state is AssignmentState.PENDING
        self._keep(after)

    @rule(
        state=st.sampled_from([one for one in AssignmentState if one is not AssignmentState.ENDED]),
        percent=st.integers(0, 100),
        attempts=st.integers(0, 3),
    )
    def report(self, state: AssignmentState, percent: int, attempts: int) -> None:
        self.now += timedelta(seconds=1)
        before = self.assignment
        after = mirror.apply_progress(before, state, now=self.now, percent=percent, attempts=attempts)
        again = mirror.apply_progress(after, state, now=self.now, percent=percent, attempts=attempts)
        assert replace(again, reported_time=after.reported_time) == after
        assert after is before or after.state is state
        self._keep(after)

    @rule(outcome=st.sampled_from(Outcome), receipt=st.sampled_from(["", "1" * 64, "2" * 64]))
    def end(self, outcome: Outcome, receipt: str) -> None:
        self.now += timedelta(seconds=1)
        before = self.assignment
        ending = mirror.end(before, outcome, now=self.now, receipt_sha256=receipt)
        self.ends += ending.kind is EndKind.ENDED
        if ending.kind in {EndKind.REPEATED, EndKind.CONTRADICTED}:
            assert ending.assignment == before
        if before.ended and not receipt:
            assert ending.kind is EndKind.REPEATED
        if ending.kind is EndKind.CORRECTED:
            assert (before.receipt_sha256, ending.outcome_before) == ("", before.outcome)
        if ending.assignment.receipt_sha256 != before.receipt_sha256:
            self.receipts.append(receipt)
        self._keep(ending.assignment)

    @invariant()
    def ended_exactly_when_it_has_an_outcome(self) -> None:
        assert self.assignment.ended == bool(self.assignment.outcome)
        assert self.assignment.ended == (self.assignment.ended_time is not None)

    @invariant()
    def ends_once_and_believes_one_receipt(self) -> None:
        assert self.ends <= 1
        assert len(self.receipts) <= 1

    @invariant()
    def takes_a_place_only_while_it_may_start_or_changes_its_computer(self) -> None:
        one = self.assignment
        if mirror.occupies(one, self.now):
            assert not one.ended
            assert one.state not in BEFORE_INSTALLING or one.start_until_time is not None


TestRolloutTable = RolloutTable.TestCase
TestRolloutTable.settings = RUNS
TestAssignmentTable = AssignmentTable.TestCase
TestAssignmentTable.settings = RUNS
