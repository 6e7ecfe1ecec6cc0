"""The controller's mirror: reports that come twice, late or not at all, and the one outcome."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopwith_agent.domain.assignment import TABLE
from sopwith_controller.domain import assignment as mirror
from sopwith_controller.domain.assignment import TRANSITIONS, AssignmentEvent, EndKind, takes_place, without_leave
from sopwith_controller.domain.entities import Reason
from sopwith_controller.domain.errors import TransitionNotAllowedError
from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_formats.vocabulary import AssignmentState, Outcome
from tests.controller.domain.builders import HOUR, MINUTE, NOW, an_assignment

S = AssignmentState
REPORTED = [state for state in S if state not in {S.PENDING, S.ENDED}]


def report(assignment: Assignment, state: AssignmentState, **values) -> Assignment:
    return mirror.apply_progress(assignment, state, now=NOW, **values)


@pytest.mark.parametrize(("state", "event"), list(itertools.product(S, AssignmentEvent)))
def test_whatever_the_table_does_not_list_is_refused(state: AssignmentState, event: AssignmentEvent):
    if (state, event) in TRANSITIONS:
        assert mirror.next_state(state, event) is TRANSITIONS[state, event]
        return
    with pytest.raises(TransitionNotAllowedError, match=f"that is {state}"):
        mirror.next_state(state, event)


@pytest.mark.parametrize(("state", "target"), sorted({(key[0], to) for key, to in TABLE.items() if isinstance(to, S)}))
def test_every_step_of_the_computer_is_mirrored(state: AssignmentState, target: AssignmentState):
    assert report(an_assignment(state=state), target, attempts=1).state is target


def test_offer_is_written_down_with_its_first_lease():
    offered = mirror.offer(an_assignment(waiting="concurrency"), now=NOW, start_until=NOW + MINUTE)

    assert (offered.state, offered.offered_time, offered.start_until_time) == (S.PREPARING, NOW, NOW + MINUTE)
    assert offered.waiting == ""


def test_nothing_is_offered_twice():
    with pytest.raises(TransitionNotAllowedError):
        mirror.offer(an_assignment(state=S.PREPARING), now=NOW, start_until=NOW)


def test_skipped_states_are_caught_up():
    after = report(an_assignment(state=S.PREPARING), S.CONFIRMING, percent=10, version_before="1")

    assert after.state is S.CONFIRMING
    assert after.install_started_time == NOW
    assert after.version_before == "1"


@pytest.mark.parametrize(
    ("state", "late"),
    [
        (S.CONFIRMING, S.INSTALLING),
        (S.STAGED, S.DOWNLOADING),
        (S.ROLLING_BACK, S.CONFIRMING),
        (S.CONFIRMING, S.PREPARING),
    ],
)
def test_late_report_changes_nothing(state: AssignmentState, late: AssignmentState):
    assignment = an_assignment(state=state)

    assert report(assignment, late) is assignment


def test_report_of_an_earlier_attempt_changes_nothing():
    assignment = an_assignment(state=S.PREPARING, attempts=2)

    assert report(assignment, S.DOWNLOADING, attempts=1) is assignment


@pytest.mark.parametrize("state", [S.PREPARING, S.DOWNLOADING, S.STAGED, S.INSTALLING])
def test_wait_that_gives_its_try_back_is_a_deferral(state):
    reason = Reason("DISK_FULL", "no space is left")

    after = report(an_assignment(state=state, attempts=2), S.PREPARING, attempts=1, reasons=[reason])

    assert (after.state, after.attempts, after.reasons) == (S.PREPARING, 2, (reason,))


@pytest.mark.parametrize("state", [S.DOWNLOADING, S.STAGED, S.INSTALLING])
def test_deferral_goes_back_to_preparing_with_its_reasons(state: AssignmentState):
    reason = Reason("DISK_FULL", "2 GiB are missing")

    after = report(an_assignment(state=state), S.PREPARING, attempts=1, reasons=[reason], next_try_time=NOW + HOUR)

    assert (after.state, after.reasons, after.next_try_time) == (S.PREPARING, (reason,), NOW + HOUR)


def test_percent_of_one_state_never_goes_back():
    assignment = an_assignment(state=S.DOWNLOADING, percent=80)

    assert report(assignment, S.DOWNLOADING, percent=40).percent == 80
    assert report(assignment, S.DOWNLOADING, percent=5, attempts=1).percent == 5


def test_word_of_a_lost_computer_finds_it_again():
    assert not report(an_assignment(state=S.INSTALLING, lost_time=NOW), S.CONFIRMING).lost


def test_report_after_the_end_changes_nothing():
    ended = mirror.end(an_assignment(), Outcome.CANCELLED, now=NOW).assignment

    assert report(ended, S.INSTALLING) is ended


def test_receipt_ends_an_assignment_once():
    first = mirror.end(
        an_assignment(state=S.CONFIRMING),
        Outcome.SUCCEEDED,
        now=NOW,
        receipt_sha256="r1",
        version_after="2",
        attempts=1,
    )
    again = mirror.end(first.assignment, Outcome.SUCCEEDED, now=NOW + HOUR, receipt_sha256="r1")

    assert (first.kind, again.kind) == (EndKind.ENDED, EndKind.REPEATED)
    assert again.assignment is first.assignment
    assert first.assignment.ended
    assert first.assignment.version_after == "2"


def test_late_receipt_corrects_what_the_controller_had_concluded():
    concluded = mirror.end(an_assignment(state=S.INSTALLING), Outcome.UNREACHABLE, now=NOW).assignment

    late = mirror.end(concluded, Outcome.SUCCEEDED, now=NOW + HOUR, receipt_sha256="r1")

    assert late.kind is EndKind.CORRECTED
    assert (late.outcome_before, late.assignment.outcome) == ("UNREACHABLE", "SUCCEEDED")
    assert late.assignment.ended_time == NOW


def test_receipt_may_confirm_what_the_controller_had_concluded():
    concluded = mirror.end(an_assignment(state=S.STAGED), Outcome.CANCELLED, now=NOW).assignment

    late = mirror.end(concluded, Outcome.CANCELLED, now=NOW + HOUR, receipt_sha256="r1")

    assert late.kind is EndKind.CONFIRMED
    assert late.assignment.receipt_sha256 == "r1"


def test_second_receipt_with_other_content_is_an_alarm_and_changes_nothing():
    first = mirror.end(an_assignment(), Outcome.SUCCEEDED, now=NOW, receipt_sha256="r1").assignment

    other = mirror.end(first, Outcome.FAILED, now=NOW, receipt_sha256="r2")

    assert other.kind is EndKind.CONTRADICTED
    assert other.assignment is first


def test_controller_does_not_conclude_twice():
    ended = mirror.end(an_assignment(), Outcome.CANCELLED, now=NOW).assignment

    assert mirror.end(ended, Outcome.UNREACHABLE, now=NOW).kind is EndKind.REPEATED


@pytest.mark.parametrize(
    ("assignment", "occupied"),
    [
        (an_assignment(), False),
        (an_assignment(state=S.PREPARING), False),
        (an_assignment(state=S.PREPARING, start_until_time=NOW), False),
        (an_assignment(state=S.PREPARING, start_until_time=NOW + MINUTE), True),
        (an_assignment(state=S.DOWNLOADING), False),
        (an_assignment(state=S.DOWNLOADING, start_until_time=NOW), True),
        (an_assignment(state=S.STAGED), False),
        (an_assignment(state=S.STAGED, start_until_time=NOW - MINUTE), True),
        (an_assignment(state=S.INSTALLING), True),
        (an_assignment(state=S.AWAITING_REBOOT), True),
        (an_assignment(state=S.ENDED, outcome="FAILED"), False),
    ],
)
def test_offer_without_leave_to_install_takes_no_place(assignment: Assignment, occupied: bool):
    assert mirror.occupies(assignment, NOW) is occupied


@given(st.lists(st.tuples(st.sampled_from(REPORTED), st.integers(0, 3), st.integers(0, 100)), max_size=30))
def test_no_row_of_reports_ends_an_assignment_or_loses_attempts(reports):
    assignment = an_assignment(state=S.PREPARING)

    for state, attempts, percent in reports:
        after = report(assignment, state, attempts=attempts, percent=percent)
        assert after.attempts >= assignment.attempts
        assert not after.ended
        assert (after.install_started_time is not None) or assignment.install_started_time is None
        assignment = after


@given(st.lists(st.tuples(st.sampled_from(Outcome), st.sampled_from(["", "r1", "r2"])), min_size=1, max_size=8))
def test_any_row_of_ends_leaves_one_outcome_and_the_first_receipt_stands(ends):
    assignment = an_assignment(state=S.INSTALLING)

    for outcome, receipt in ends:
        assignment = mirror.end(assignment, outcome, now=NOW, receipt_sha256=receipt).assignment

    first_receipt = next(((outcome, receipt) for outcome, receipt in ends if receipt), None)
    expected = first_receipt or (ends[0][0], "")
    assert (assignment.outcome, assignment.receipt_sha256) == expected


@pytest.mark.parametrize("ahead", [5 * MINUTE, 10 * HOUR])
def test_leave_is_ended_and_its_place_is_not(ahead):
    staged = an_assignment(state=AssignmentState.STAGED, start_until_time=NOW + ahead)
    waits = an_assignment(state=AssignmentState.AWAITING_REBOOT, reboot_until_time=NOW + ahead)

    start, reboot = without_leave(staged, NOW), without_leave(waits, NOW)

    assert (start.start_until_time, start.reboot_until_time) == (NOW, None)
    assert (reboot.start_until_time, reboot.reboot_until_time) == (None, NOW)
    assert takes_place(start, NOW)
    assert takes_place(reboot, NOW)


def test_leave_that_ran_out_before_is_left_as_it_is():
    over = an_assignment(
        state=AssignmentState.STAGED, start_until_time=NOW - MINUTE, reboot_until_time=NOW - 2 * MINUTE
    )
    assert without_leave(over, NOW) == over
