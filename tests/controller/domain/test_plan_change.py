"""A change after the approval: retained where the effect is equal, replaced where it moved, cleared where empty."""

from dataclasses import replace

import pytest

from sopwith_controller.domain.plan import PlanMember, PlanWave
from sopwith_controller.domain.plan_change import Change, compare
from tests.controller.domain.builders import a_plan

PLAN = a_plan(4)
FIRST, *OTHERS = PLAN.members


def test_equal_plan_is_retained():
    assert compare(PLAN, PLAN).change is Change.RETAIN


@pytest.mark.parametrize(
    "changes",
    [
        {"members": (replace(FIRST, name="renamed"), *OTHERS)},
        {"sop_revision": PLAN.sop_revision + 1},
        {"ticket": "CHG-2"},
    ],
)
def test_change_without_effect_retains_what_was_approved(changes):
    assert compare(PLAN, replace(PLAN, **changes)).change is Change.RETAIN


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"members": (*PLAN.members, PlanMember("c-9", "pc9"))}, "joined: pc9"),
        ({"members": tuple(OTHERS)}, f"left: {FIRST.name}"),
        ({"members": (*OTHERS, FIRST)}, "the order of the computers"),
        ({"members": (replace(FIRST, group="laptops"), *OTHERS)}, "other parts of the plan"),
        ({"waves": (PlanWave("all", 4, 0),)}, "the waves are all 4"),
        ({"policy_sha256": "0" * 64}, "the policy of the SOP"),
        ({"thresholds": replace(PLAN.thresholds, lost=99)}, "the thresholds"),
        ({"max_concurrency": 99}, "the number that is updated at once"),
        ({"change_class": "normal"}, "the change class"),
        ({"emergency": True}, "other parts of the plan"),
    ],
)
def test_plan_that_moved_is_replaced_and_says_what_moved(changes, words: str):
    found = compare(PLAN, replace(PLAN, **changes))

    assert found.change is Change.REPLACE
    assert words in "; ".join(found.words)


def test_many_names_are_counted():
    more = tuple(PlanMember(f"c-{number}", f"pc{number}") for number in range(20, 27))

    assert compare(PLAN, replace(PLAN, members=(*PLAN.members, *more))).words[0].endswith("pc24 and 2 more")


def test_plan_of_which_nothing_is_left_is_cleared():
    assert compare(PLAN, replace(PLAN, members=(), waves=())).change is Change.CLEAR


def test_dynamic_plan_foresees_who_joins_and_nobody_who_leaves():
    dynamic = replace(PLAN, dynamic=True)
    joined = replace(dynamic, members=(*PLAN.members, PlanMember("c-9", "pc9")), max_concurrency=99)

    assert compare(dynamic, joined).change is Change.RETAIN
    assert compare(dynamic, replace(dynamic, members=tuple(OTHERS))).change is Change.REPLACE
    assert compare(dynamic, replace(joined, policy_sha256="0" * 64)).change is Change.REPLACE
