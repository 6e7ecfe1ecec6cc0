"""The emergency door: reviewed afterwards, by somebody else, and not opened twice before that by just anybody."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain import emergency
from sopwith_controller.domain.errors import InvalidInputError, RefusedError, TransitionNotAllowedError
from sopwith_controller.domain.rollout_entities import RolloutState
from sopwith_formats.sop_policy import ChangeClass
from tests.controller.domain.builders import HOUR, NOW, a_plan, a_policy, a_rollout

POLICY = a_policy()
USED = replace(
    a_rollout(a_plan(1), state=RolloutState.RUNNING, change_class="emergency"),
    emergency=True,
    requester="otto",
    operator="oskar",
    started_time=NOW,
)
NEXT = replace(USED, id="r-2", started_time=None, state=RolloutState.APPROVED)


@pytest.mark.parametrize(("seconds", "within"), [(3600, timedelta(hours=1)), (0, timedelta(hours=24))])
def test_review_is_due_within_what_the_sop_says(seconds: int, within: timedelta):
    policy = a_policy(change_classes={"emergency": ChangeClass("after", review_within_seconds=seconds)})

    assert emergency.review_due(USED, policy) == NOW + within


def test_other_rollouts_wait_for_no_review():
    assert emergency.review_due(NEXT, POLICY) is None
    assert emergency.review_due(replace(USED, emergency=False), POLICY) is None
    assert not emergency.waits_for_review(NEXT)


def test_next_use_needs_the_word_of_owner_or_it_manager_while_one_waits_for_review():
    with pytest.raises(RefusedError, match="waits for its review") as caught:
        emergency.check_next(NEXT, [NEXT, USED], person="otto", roles=["operator"])

    assert "sopwith rollout review" in caught.value.refusal.remedy
    emergency.check_next(NEXT, [USED], person="mia", roles=["it_manager"])


def test_next_use_is_free_once_the_last_one_was_reviewed():
    emergency.check_next(NEXT, [replace(USED, reviewed_time=NOW)], person="otto", roles=["operator"])
    emergency.check_next(replace(NEXT, emergency=False), [USED], person="otto", roles=["operator"])


def test_somebody_else_who_may_approve_reviews():
    after = emergency.review(USED, POLICY, person="mia", roles=["it_manager"], note="closed the leak", now=NOW + HOUR)

    assert (after.reviewed_by, after.review_note, after.reviewed_time) == ("mia", "closed the leak", NOW + HOUR)
    assert not emergency.waits_for_review(after)


@pytest.mark.parametrize(
    ("person", "roles", "words"),
    [
        ("otto", ["owner"], "cannot review it"),
        ("oskar", ["it_manager"], "cannot review it"),
        ("olaf", ["operator"], "is neither"),
    ],
)
def test_review_by_the_wrong_person_is_refused(person: str, roles: list[str], words: str):
    with pytest.raises(RefusedError, match=words):
        emergency.review(USED, POLICY, person=person, roles=roles, note="fine", now=NOW)


def test_review_needs_a_note_and_is_made_once():
    with pytest.raises(InvalidInputError, match="a note is needed"):
        emergency.review(USED, POLICY, person="mia", roles=["it_manager"], note=" ", now=NOW)
    with pytest.raises(TransitionNotAllowedError, match="mia reviewed it"):
        emergency.review(
            replace(USED, reviewed_time=NOW, reviewed_by="mia"),
            POLICY,
            person="olga",
            roles=["owner"],
            note="x",
            now=NOW,
        )
    with pytest.raises(TransitionNotAllowedError, match="waits for no review"):
        emergency.review(NEXT, POLICY, person="olga", roles=["owner"], note="x", now=NOW)
