"""Who may be missing: guests whose time ends, people who leave, people who are away."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain import roster
from sopwith_controller.domain.entities import Person
from sopwith_controller.domain.errors import InvalidInputError, RefusedError
from tests.builders import NOON

DAY = timedelta(days=1)
LADDER = ("it_manager", "owner", "operator")


def person(name, *roles, **changes):
    return replace(Person(f"p-{name}", name, roles, email=f"{name}@example.org", state="ACTIVE"), **changes)


OWNER = person("owner", "owner")
MANAGER = person("manager", "it_manager")
CHIEF = person("chief", "authority")
OPERATOR = person("operator", "operator")
SECOND = person("second", "operator")
ALL = (OWNER, MANAGER, CHIEF, OPERATOR, SECOND)


def test_mere_reviewer_is_a_guest_of_ninety_days():
    assert roster.end_of(("reviewer",), None, None, NOON) == NOON + 90 * DAY


def test_guest_who_is_invited_again_keeps_the_day():
    assert roster.end_of(("reviewer",), None, NOON + DAY, NOON) == NOON + DAY
    assert roster.end_of(("reviewer",), None, NOON - DAY, NOON) == NOON + 90 * DAY


def test_colleague_who_also_reviews_does_not_end():
    assert roster.end_of(("operator", "reviewer"), None, None, NOON) is None


def test_any_guest_may_be_given_a_day():
    assert roster.end_of(("auditor",), NOON + 30 * DAY, None, NOON) == NOON + 30 * DAY


@pytest.mark.parametrize("until", [NOON, NOON - DAY, NOON + 367 * DAY])
def test_day_in_the_past_or_beyond_a_year_is_refused(until):
    with pytest.raises(InvalidInputError, match="within 366 days"):
        roster.end_of(("auditor",), until, None, NOON)


def test_signatory_does_not_end_by_itself():
    with pytest.raises(InvalidInputError, match="do not end by themselves"):
        roster.end_of(("it_manager",), NOON + DAY, None, NOON)


def test_guest_ends_at_the_moment():
    guest = person("guest", "reviewer", expires_time=NOON)

    assert roster.has_ended(guest, NOON)
    assert not roster.has_ended(guest, NOON - DAY)
    assert not roster.has_ended(OWNER, NOON)


def test_leaving_without_successor_empties_nothing_where_somebody_else_is_there():
    gone, heir = roster.leave(OPERATOR, None, ALL, LADDER, NOON)

    assert (gone.state, gone.roles, gone.successor_id) == ("REVOKED", (), "")
    assert heir is None


@pytest.mark.parametrize("one", [OWNER, MANAGER, CHIEF], ids=lambda one: one.name)
def test_mandatory_role_is_never_left_empty(one):
    with pytest.raises(RefusedError) as caught:
        roster.leave(one, None, ALL, LADDER, NOON)

    refusal = caught.value.refusal
    assert (refusal.gate, refusal.clause) == ("operator_role", "III")
    assert f"nobody would be {one.roles[0]} without {one.name}" in refusal.reason
    assert refusal.remedy == f"sopwith person leave {one.name} --successor NAME"


def test_level_of_the_ladder_is_never_left_empty():
    with pytest.raises(RefusedError, match="nobody would be operator"):
        roster.leave(OPERATOR, None, (OWNER, MANAGER, CHIEF, OPERATOR), LADDER, NOON)


def test_successor_takes_over_only_what_would_be_empty():
    manager = replace(MANAGER, roles=("it_manager", "operator"))

    gone, heir = roster.leave(manager, SECOND, ALL, LADDER, NOON)

    assert gone.successor_id == SECOND.id
    assert heir is not None
    assert heir.roles == ("operator", "it_manager")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (MANAGER, "their own"),
        (person("new", "viewer", state="INVITED"), "not here now"),
        (person("holiday", "viewer", away_until_time=NOON + DAY), "not here now"),
        (person("guest", "reviewer", expires_time=NOON + DAY), "a guest until"),
        (person("auditor", "auditor"), "changes nothing"),
        (person("silent", "operator", email=""), "no mail address"),
    ],
)
def test_who_cannot_stand_in_is_refused_with_the_reason(other, words):
    with pytest.raises(InvalidInputError, match=words):
        roster.leave(MANAGER, other, (*ALL, other), LADDER, NOON)
    with pytest.raises(InvalidInputError, match=words):
        roster.go_away(MANAGER, NOON + DAY, other, people=(*ALL, other), ladder=LADDER, now=NOON)


def test_stand_in_without_address_is_good_enough_for_somebody_without_one():
    manager, silent = replace(MANAGER, email=""), replace(SECOND, email="")

    assert roster.leave(manager, silent, (OWNER, manager, CHIEF, silent), LADDER, NOON)[1] is not None


def test_deputy_acts_in_the_roles_until_the_day():
    away = roster.go_away(MANAGER, NOON + DAY, SECOND, people=ALL, ladder=LADDER, now=NOON)
    everybody = (OWNER, away, CHIEF, SECOND)

    assert roster.acting_roles(SECOND, everybody, NOON) == {"operator", "it_manager"}
    assert roster.acting_roles(SECOND, everybody, NOON + DAY) == {"operator"}
    assert roster.is_away(away, NOON)
    assert not roster.is_away(away, NOON + DAY)
    assert roster.come_back(away) == MANAGER


def test_nobody_mandatory_is_away_without_a_deputy():
    with pytest.raises(RefusedError, match="nobody would be it_manager") as caught:
        roster.go_away(MANAGER, NOON + DAY, None, people=ALL, ladder=LADDER, now=NOON)

    assert caught.value.refusal.remedy == "sopwith person away manager --until DAY --deputy NAME"


def test_who_is_missed_by_nobody_may_be_away_without_a_deputy():
    away = roster.go_away(OPERATOR, NOON + DAY, None, people=ALL, ladder=LADDER, now=NOON)

    assert (away.away_until_time, away.deputy_id) == (NOON + DAY, "")


@pytest.mark.parametrize("until", [NOON, NOON + 367 * DAY])
def test_absence_has_an_end_within_a_year(until):
    with pytest.raises(InvalidInputError, match="nobody is away until"):
        roster.go_away(OPERATOR, until, None, people=ALL, ladder=LADDER, now=NOON)


def test_two_people_of_one_role_are_not_away_at_once():
    away = roster.go_away(OPERATOR, NOON + DAY, None, people=ALL, ladder=LADDER, now=NOON)

    with pytest.raises(RefusedError, match="nobody would be operator"):
        roster.go_away(SECOND, NOON + DAY, None, people=(OWNER, MANAGER, CHIEF, away, SECOND), ladder=LADDER, now=NOON)


def test_deputy_cannot_go_away_or_leave():
    away = roster.go_away(MANAGER, NOON + DAY, SECOND, people=ALL, ladder=LADDER, now=NOON)
    everybody = (OWNER, away, CHIEF, OPERATOR, SECOND)

    with pytest.raises(InvalidInputError, match="second stands in for manager"):
        roster.go_away(SECOND, NOON + DAY, OPERATOR, people=everybody, ladder=LADDER, now=NOON)
    with pytest.raises(InvalidInputError, match="second stands in for manager"):
        roster.leave(SECOND, OPERATOR, everybody, LADDER, NOON)


def test_deputy_or_successor_is_told_instead():
    away = roster.go_away(MANAGER, NOON + DAY, SECOND, people=ALL, ladder=LADDER, now=NOON)
    gone, _ = roster.leave(CHIEF, OPERATOR, ALL, LADDER, NOON)
    everybody = (OWNER, away, gone, OPERATOR, SECOND)

    assert roster.reached_instead("manager", everybody, NOON) == SECOND
    assert roster.reached_instead("manager", everybody, NOON + DAY) is None
    assert roster.reached_instead("chief", everybody, NOON) == OPERATOR
    assert roster.reached_instead("owner", everybody, NOON) is None
    assert roster.reached_instead("nobody", everybody, NOON) is None


def test_who_follows_a_successor_is_told_and_a_revoked_one_never():
    first = person("first", state="REVOKED", successor_id="p-later")
    later = person("later", "it_manager", state="REVOKED", successor_id="p-second")
    circle = person("circle", state="REVOKED", successor_id="p-circle")
    lost = person("lost", state="REVOKED", successor_id="p-unknown")
    ended = replace(MANAGER, away_until_time=NOON + DAY, deputy_id="p-ended")

    assert roster.reached_instead("first", (first, later, SECOND), NOON) == SECOND
    assert roster.reached_instead("circle", (circle,), NOON) is None
    assert roster.reached_instead("lost", (lost,), NOON) is None
    assert roster.reached_instead("manager", (ended, person("ended", state="REVOKED")), NOON) is None
