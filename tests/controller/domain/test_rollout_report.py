"""What a report counts: failures by symptom, durations by nearest rank, tries, and generations."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from sopwith_controller.domain.rollout_report import attempts, durations, failures, generations
from sopwith_formats.vocabulary import AssignmentState, Outcome
from tests.controller.domain.builders import NOW, an_assignment

ENDED = AssignmentState.ENDED


def ended(position, outcome, symptom="", detail="", **changes):
    return an_assignment(position, state=ENDED, outcome=outcome, symptom=symptom, detail=detail, **changes)


def succeeded(position, *, waited, took):
    began = NOW + timedelta(seconds=waited)
    times = {"offered_time": NOW, "install_started_time": began, "ended_time": began + timedelta(seconds=took)}
    return ended(position, Outcome.SUCCEEDED, **times)


def test_failures_stand_by_outcome_and_symptom_with_the_commonest_sentence_and_most_first():
    found = failures(
        [
            ended(0, Outcome.SUCCEEDED),
            ended(1, Outcome.FAILED, "DISK_FULL", "1 GiB is free"),
            ended(2, Outcome.ROLLED_BACK, "HEALTH_CHECK_FAILED", "port 80 is closed"),
            ended(3, Outcome.ROLLED_BACK, "HEALTH_CHECK_FAILED", "no answer"),
            ended(4, Outcome.SKIPPED),
            ended(5, Outcome.ROLLED_BACK, "HEALTH_CHECK_FAILED", "no answer"),
            ended(6, Outcome.FAILED, "DISK_FULL"),
            ended(7, Outcome.UNREACHABLE),
            an_assignment(8),
        ]
    )

    assert [(one.outcome, one.symptom, one.detail, one.computers) for one in found] == [
        ("ROLLED_BACK", "HEALTH_CHECK_FAILED", "no answer", ("pc2", "pc3", "pc5")),
        ("FAILED", "DISK_FULL", "1 GiB is free", ("pc1", "pc6")),
        ("UNREACHABLE", "", "", ("pc7",)),
    ]


def test_durations_are_those_of_computers_that_succeeded():
    done = [succeeded(number, waited=10, took=number) for number in range(1, 101)]
    slow_failure = ended(101, Outcome.FAILED, offered_time=NOW, ended_time=NOW + timedelta(days=1))

    in_all, before, install = durations([*done, slow_failure])

    assert (in_all.what, in_all.computers) == ("in_all", 100)
    assert (in_all.median_seconds, in_all.p95_seconds, in_all.longest_seconds) == (60, 105, 110)
    assert (before.what, before.median_seconds, before.p95_seconds) == ("before_install", 10, 10)
    assert (install.what, install.median_seconds, install.p95_seconds) == ("install", 50, 95)


def test_parts_whose_beginning_nobody_told_are_left_out():
    told_late = ended(0, Outcome.SUCCEEDED, offered_time=NOW, ended_time=NOW + timedelta(seconds=7))

    assert [(one.what, one.median_seconds) for one in durations([told_late])] == [("in_all", 7)]
    assert durations([an_assignment(0)]) == ()


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=60))
def test_percentiles_are_durations_that_really_were_in_their_order(seconds):
    install = durations([succeeded(number, waited=0, took=took) for number, took in enumerate(seconds)])[-1]

    assert {install.median_seconds, install.p95_seconds} <= set(map(float, seconds))
    assert install.median_seconds <= install.p95_seconds <= install.longest_seconds == max(seconds)
    assert sum(took <= install.p95_seconds for took in seconds) >= 0.95 * len(seconds)


def test_tries_are_counted_from_none_upwards():
    assert attempts([an_assignment(n, attempts=tries) for n, tries in enumerate((2, 1, 0, 1))]) == (
        (0, 1),
        (1, 2),
        (2, 1),
    )


def test_each_generation_counts_its_own_ends():
    first, second = generations(
        [
            ended(1, Outcome.FAILED, generation=1, replaced=True),
            an_assignment(1, generation=2),
            ended(0, Outcome.SUCCEEDED, generation=1),
        ]
    )

    assert (first.number, first.computers, first.counts.succeeded, first.counts.failed) == (1, 2, 1, 1)
    assert (second.number, second.computers, second.counts.pending) == (2, 1, 1)
