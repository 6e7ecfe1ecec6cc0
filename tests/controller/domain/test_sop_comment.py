"""Reviewers' comments: what may be said when, what prevents approval, who may close one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain import sop, sop_comment
from sopwith_controller.domain.entities import SopState
from sopwith_controller.domain.errors import InvalidInputError, RefusedError, TransitionNotAllowedError
from sopwith_controller.domain.sop_life_entities import SopComment
from tests.builders import NOON, sop_revision

IN_REVIEW = sop_revision(state=SopState.IN_REVIEW)
COMMENT = SopComment(
    "sc-1", "SU-SOP-001", 1, "ab" * 32, "accuracy", "V.C", "Two computers are too few.", True, "legal", NOON
)


@pytest.mark.parametrize("state", [SopState.DRAFT, SopState.IN_REVIEW])
def test_draft_and_revision_in_review_are_commented(state):
    sop_comment.check_comment(replace(IN_REVIEW, state=state), "completeness", "", "The laptops are missing.")


@pytest.mark.parametrize("state", [SopState.APPROVED, SopState.EFFECTIVE, SopState.SUPERSEDED, SopState.RETIRED])
def test_what_is_signed_is_commented_no_more(state):
    with pytest.raises(TransitionNotAllowedError, match="only a draft or a revision in review"):
        sop_comment.check_comment(replace(IN_REVIEW, state=state), "accuracy", "V", "Too late.")


@pytest.mark.parametrize(
    ("question", "clause", "text", "words"),
    [
        ("style", "", "Odd.", "no question"),
        ("clarity", "IX", "Odd.", "no clause"),
        ("clarity", "V", "  ", "needs words"),
        ("clarity", "V", "x" * 4001, "at most 4000"),
    ],
)
def test_comment_that_cannot_be_is_refused(question, clause, text, words):
    with pytest.raises(InvalidInputError, match=words):
        sop_comment.check_comment(IN_REVIEW, question, clause, text)


def test_open_blocking_comment_prevents_approval():
    with pytest.raises(RefusedError, match="legal's comment sc-1 on accuracy is open and blocks") as caught:
        sop_comment.check_unblocked(IN_REVIEW, [COMMENT, replace(COMMENT, id="sc-2"), replace(COMMENT, blocking=False)])

    assert caught.value.refusal.clause == "VII"
    assert "and 1 more" in caught.value.message
    assert "sopwith sop resolve sc-1" in caught.value.remedy


def test_resolved_comment_and_mere_remark_prevent_nothing():
    later = NOON + timedelta(hours=1)
    done = sop_comment.resolve(COMMENT, person="legal", roles=frozenset(), resolution=" It is three. ", now=later)

    assert (done.resolution, done.resolved_by, done.resolved_time) == ("It is three.", "legal", later)
    sop_comment.check_unblocked(IN_REVIEW, [done, replace(COMMENT, blocking=False)])


@pytest.mark.parametrize("role", ["owner", "it_manager"])
def test_owner_and_it_manager_may_resolve(role):
    done = sop_comment.resolve(COMMENT, person="x", roles=frozenset({role}), resolution="Three now.", now=NOON)

    assert done.resolved_by == "x"


def test_other_reviewer_may_not_resolve():
    with pytest.raises(RefusedError, match="may not resolve legal's comment"):
        sop_comment.resolve(COMMENT, person="x", roles=frozenset({"reviewer"}), resolution="Fine.", now=NOON)


def test_comment_is_resolved_once_and_with_words():
    with pytest.raises(InvalidInputError, match="needs words"):
        sop_comment.resolve(COMMENT, person="legal", roles=frozenset(), resolution="", now=NOON)
    done = sop_comment.resolve(COMMENT, person="legal", roles=frozenset(), resolution="Three now.", now=NOON)
    with pytest.raises(TransitionNotAllowedError, match=r"was resolved by legal: Three now\."):
        sop_comment.resolve(done, person="legal", roles=frozenset(), resolution="Four.", now=NOON)


def test_effective_revision_is_retired_and_nothing_else():
    retired = sop.retire(replace(IN_REVIEW, state=SopState.EFFECTIVE), NOON)

    assert (retired.state, retired.ended_time) == (SopState.RETIRED, NOON)
    with pytest.raises(TransitionNotAllowedError):
        sop.retire(IN_REVIEW, NOON)


def test_revision_that_took_effect_unsigned_is_recalled_into_review():
    recalled = sop.recall(replace(IN_REVIEW, state=SopState.EFFECTIVE, effective_time=NOON), NOON)

    assert (recalled.state, recalled.submitted_time, recalled.effective_time) == (SopState.IN_REVIEW, NOON, None)
