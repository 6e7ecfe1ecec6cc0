"""Records are kept for the retention from the end of their effect; what goes leaves its number, digests and times."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain import retention
from sopwith_controller.domain.entities import SopState
from sopwith_controller.domain.practice_entities import (
    Disposition,
    Feedback,
    FeedbackOrigin,
    ReviewTrigger,
    SopReview,
    TrainingKind,
    TrainingRecord,
)
from sopwith_controller.domain.retention import Practice
from tests.builders import NOON, rollout, sop_revision

YEARS = timedelta(days=6 * 365)
OLD = sop_revision(revision=1, state=SopState.SUPERSEDED, ended_time=NOON, document=b"text", acknowledged_by=("olga",))
TRAINED = TrainingRecord("t-1", TrainingKind.DRILL, "olga", "SU-SOP-001", 1, NOON, details={"a": "b"})
REVIEWED = SopReview(
    "v-1", "SU-SOP-001", 1, ReviewTrigger.CLOCK, "", NOON, NOON, closed_by="mia", closed_time=NOON, note="fits"
)
SAID = Feedback(
    "f-1", "SU-SOP-001", 1, "V.C", "short", FeedbackOrigin.PERSON, "olga", "", NOON, Disposition.DONE
)  # fmt: skip
ALL = Practice(
    [OLD, sop_revision(revision=2, state=SopState.EFFECTIVE)],
    [TRAINED, replace(TRAINED, id="t-2", revision=2)],
    [REVIEWED, replace(REVIEWED, id="v-2", closed_time=None)],
    [SAID, replace(SAID, id="f-2", disposition=Disposition.ACCEPTED)],
)


@pytest.mark.clause("8 Records", "retention")
def test_nothing_goes_before_the_retention_has_passed_since_the_end_of_effect():
    before = retention.over(ALL, [], YEARS, NOON + YEARS - timedelta(seconds=1))
    after = retention.over(ALL, [], YEARS, NOON + YEARS)

    assert retention.named(before) == []
    assert [name for name, _ in retention.named(after)] == [
        "revision SU-SOP-001 1",
        "training t-1",
        "review v-1",
        "feedback f-1",
    ]


def test_a_rollout_that_cites_a_revision_keeps_it():
    running = rollout(sop_revision=1, ended_time=None)
    ended = rollout(sop_revision=1, ended_time=NOON + YEARS)
    other = rollout(sop_revision=2, ended_time=None)

    assert retention.effect_ended(OLD, [running]) is None
    assert retention.effect_ended(OLD, [ended, other]) == NOON + YEARS
    assert retention.effect_ended(sop_revision(state=SopState.EFFECTIVE), []) is None
    assert retention.effect_ended(replace(OLD, ended_time=None), []) is None


def test_what_stays_says_nothing_of_anybody_and_goes_once():
    left = retention.emptied(retention.over(ALL, [], YEARS, NOON + YEARS))

    assert (left.revisions[0].document, left.revisions[0].acknowledged_by) == (b"", ())
    assert left.revisions[0].document_sha256 == OLD.document_sha256
    assert left.revisions[0].policy_json == OLD.policy_json
    assert "olga" not in repr(left)
    again = Practice([*left.revisions, ALL.revisions[1]], left.training, left.reviews, left.feedback)
    assert retention.named(retention.over(again, [], YEARS, NOON + YEARS * 2)) == []
