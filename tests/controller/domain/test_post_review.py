"""A clean rollout's review is drafted and closes itself after a day; any other waits for a person."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain import post_review
from sopwith_controller.domain.errors import TransitionNotAllowedError
from sopwith_controller.domain.post_review import Ended
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_controller.domain.rollout_report import Duration, Failure
from sopwith_controller.domain.waves import Counts
from tests.builders import NOON, incident, rollout

DAY = timedelta(hours=24)
CLEAN = Ended(
    rollout=rollout(state=RolloutState.COMPLETED, started_time=NOON, ended_time=NOON),
    counts=Counts(succeeded=4, skipped=1),
    failures=(),
    durations=(Duration("in_all", 4, 61.4, 80, 90),),
    deviations=(),
    incidents=(),
    planned_end=NOON,
)
FAILED = Failure("FAILED", "DISK_FULL", "no room", ("pc1",))


def test_it_closes_itself_a_day_after_a_clean_end_and_not_before():
    assert post_review.closes_itself(CLEAN, NOON + DAY)
    assert not post_review.closes_itself(CLEAN, NOON + DAY - timedelta(seconds=1))
    closed = post_review.close(CLEAN, NOON + DAY)
    assert (closed.reviewed_by, closed.review_note) == ("Sopwith", "clean: 4 succeeded, 1 had it already")
    assert not post_review.waits(closed)


@pytest.mark.parametrize(
    "changes",
    [
        {"failures": (FAILED,)},
        {"incidents": (incident(),)},
        {"rollout": replace(CLEAN.rollout, state=RolloutState.ABORTED)},
        {"rollout": replace(CLEAN.rollout, emergency=True)},
        {"rollout": replace(CLEAN.rollout, ended_time=None)},
        {"rollout": replace(CLEAN.rollout, started_time=None)},
        {"deviations": ("d-1",)},
    ],
)
def test_what_did_not_go_well_waits_for_a_person(changes):
    assert not post_review.closes_itself(replace(CLEAN, **changes), NOON + 9 * DAY)


def test_a_person_writes_what_was_found_once():
    reviewed = post_review.review(CLEAN.rollout, person="mia", note=" all  well ", now=NOON)

    assert (reviewed.reviewed_by, reviewed.review_note) == ("mia", "all well")
    with pytest.raises(TransitionNotAllowedError, match="mia reviewed it"):
        post_review.review(reviewed, person="olga", note="again", now=NOON)
    with pytest.raises(TransitionNotAllowedError, match=r"no review$"):
        post_review.review(rollout(state=RolloutState.DRAFT), person="olga", note="x", now=NOON)


def test_the_draft_says_planned_against_actual_failures_times_and_deviations():
    found = post_review.draft(replace(CLEAN, failures=(FAILED,), incidents=(incident(id="i-1", symptom="DISK_FULL"),)))

    assert found == {
        "planned_end": "2026-11-22T12:00:00Z",
        "ended": "2026-11-22T12:00:00Z",
        "failures": [{"outcome": "FAILED", "symptom": "DISK_FULL", "computers": 1}],
        "median_seconds": {"in_all": 61},
        "deviations": [],
        "incidents": ["i-1 DISK_FULL"],
    }
    assert post_review.draft(replace(CLEAN, planned_end=None))["planned_end"] == ""
