"""The rules of notices and deferrals: what people are owed, and when it goes on without their word."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sopwith_agent.domain import limits
from sopwith_agent.domain.errors import NotDeferrableError
from sopwith_agent.domain.notice import (
    TABLE,
    Notice,
    NoticeEvent,
    NoticeRules,
    NoticeState,
    agree,
    deadline,
    deferrals_left,
    describe,
    look,
    put_off,
    tell,
)
from sopwith_formats.errors import FormatError

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LAPTOPS = NoticeRules(900, 3, 5 * 86400, 300)
HOUR = 3600


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def asked(rules: NoticeRules = LAPTOPS, now: datetime = NOON, notice: Notice | None = None) -> Notice:
    """Look with somebody there, and tell them where they have to be told: what the desk does."""
    seen = look(notice or Notice(), rules, now, in_use=True)
    return tell(seen, rules, now) if seen.state is NoticeState.UNNOTICED else seen


def test_nobody_there_means_go_at_once():
    notice = look(Notice(), LAPTOPS, NOON, in_use=False)

    assert (notice.state, notice.why) == (NoticeState.GO, "nobody was at the computer")
    assert describe(notice, LAPTOPS) == "nobody was at the computer"


def test_procedure_without_notice_asks_nobody():
    notice = look(Notice(), NoticeRules(), NOON, in_use=True)

    assert (notice.state, notice.why) == (NoticeState.GO, "the SOP owes no notice")


def test_silence_for_the_whole_notice_is_consent():
    told = asked()

    assert (told.state, told.until_time, told.notices) == (NoticeState.NOTICED, at(900), 1)
    assert look(told, LAPTOPS, at(899), in_use=True) is told
    assert look(told, LAPTOPS, at(900), in_use=True).state is NoticeState.GO


def test_last_person_leaving_lets_it_go_at_once():
    for begun in (asked(), put_off(asked(), LAPTOPS, at(10), None)):
        assert look(begun, LAPTOPS, at(20), in_use=False).state is NoticeState.GO


def test_install_now_shortens_notice_grace_and_deferral():
    for begun in (asked(), put_off(asked(), LAPTOPS, at(10), None), replace(asked(), state=NoticeState.GRACE)):
        agreed = agree(begun, at(20))

        assert (agreed.state, agreed.why) == (NoticeState.GO, "a person at the computer said: now")


def test_three_deferrals_then_the_last_notice_and_then_it_goes():
    notice, now = Notice(), 0.0
    for number in (1, 2, 3):
        notice = asked(notice=notice, now=at(now))
        assert notice.state is NoticeState.NOTICED
        notice = put_off(notice, LAPTOPS, at(now + 10), HOUR)
        assert (notice.state, notice.deferrals, notice.until_time) == (
            NoticeState.DEFERRED,
            number,
            at(now + 10 + HOUR),
        )
        assert look(notice, LAPTOPS, at(now + HOUR), in_use=True) is notice
        now += 10 + HOUR

    last = asked(notice=notice, now=at(now))
    assert (last.state, last.until_time) == (NoticeState.GRACE, at(now + 300))
    with pytest.raises(NotDeferrableError, match="put off 3 times already") as refused:
        put_off(last, LAPTOPS, at(now), HOUR)
    assert refused.value.refused
    gone = look(last, LAPTOPS, at(now + 300), in_use=True)
    assert gone.state is NoticeState.GO
    assert describe(gone, LAPTOPS) == (
        "told 4 times; put off 3 of 3 times by people at the computer; nobody objected to the notice"
    )


def test_later_without_a_time_is_four_hours():
    assert put_off(asked(), LAPTOPS, NOON, None).until_time == at(4 * HOUR)


def test_deferral_ends_at_the_deadline_counted_from_the_first_notice():
    notice = put_off(asked(), LAPTOPS, at(60), 30 * 86400)

    assert notice.until_time == at(5 * 86400)
    last = asked(notice=notice, now=at(5 * 86400))
    assert last.state is NoticeState.GRACE
    with pytest.raises(NotDeferrableError, match="time within which it could be put off is over"):
        put_off(last, LAPTOPS, at(5 * 86400 + 1), HOUR)


def test_rollout_deadline_leaves_room_for_the_last_notice():
    rules = replace(LAPTOPS, defer_at_most_seconds=0, rollout_deadline=at(10 * HOUR))

    assert deadline(Notice(), rules, NOON) == at(10 * HOUR - 300 - limits.defer_margin_seconds)
    assert put_off(asked(rules), rules, NOON, 30 * HOUR).until_time == at(10 * HOUR - 300 - limits.defer_margin_seconds)
    assert deferrals_left(Notice(), rules, at(10 * HOUR)) == 0


def test_deferral_without_any_deadline_lasts_as_long_as_asked():
    rules = replace(LAPTOPS, defer_at_most_seconds=0)

    assert put_off(asked(rules), rules, NOON, 99 * HOUR).until_time == at(99 * HOUR)
    assert deferrals_left(Notice(), rules, NOON) == 3


def test_deferring_again_while_put_off_costs_another_deferral():
    once = put_off(asked(), LAPTOPS, at(10), HOUR)
    twice = put_off(once, LAPTOPS, at(20), 2 * HOUR)

    assert (twice.deferrals, twice.until_time) == (2, at(20 + 2 * HOUR))


def test_notice_without_deferrals_is_told_and_then_goes():
    rules = NoticeRules(900, 0, 0, 300)
    told = asked(rules)

    assert (told.state, told.until_time) == (NoticeState.NOTICED, at(900))
    with pytest.raises(NotDeferrableError, match="does not let"):
        put_off(told, rules, at(1), HOUR)


def test_one_deferral_is_called_once():
    rules = replace(LAPTOPS, deferrals_max=1)
    spent = put_off(asked(rules), rules, NOON, HOUR)

    with pytest.raises(NotDeferrableError, match="put off once already"):
        put_off(spent, rules, NOON, HOUR)


def test_emergency_skips_deferrals_and_says_so():
    rules = replace(LAPTOPS, emergency=True)
    told = asked(rules)

    assert (told.state, told.until_time) == (NoticeState.GRACE, at(limits.emergency_grace_max_seconds))
    with pytest.raises(NotDeferrableError, match="emergency") as refused:
        put_off(told, rules, at(1), HOUR)
    assert refused.value.refused
    gone = look(told, rules, at(60), in_use=True)
    assert describe(gone, rules) == "told 1 time; emergency: deferrals skipped; nobody objected to the notice"


def test_emergency_tells_people_although_the_sop_gives_no_notice():
    assert NoticeRules(emergency=True, grace_seconds=300).owed
    assert not NoticeRules(emergency=True).owed


def test_notice_that_passed_during_sleep_or_freeze_is_given_anew_and_costs_nothing():
    late = at(900 + limits.notice_outdated_seconds + 1)
    for begun in (asked(), replace(asked(), state=NoticeState.GRACE)):
        again = asked(notice=begun, now=late)

        assert (again.deferrals, again.notices, again.until_time) == (0, 2, late + timedelta(seconds=900))


def test_leave_that_nobody_used_runs_out():
    gone = agree(asked(), at(10))

    assert look(gone, LAPTOPS, at(20), in_use=True) is gone
    later = at(10 + limits.notice_outdated_seconds + 1)
    assert look(gone, LAPTOPS, later, in_use=True).state is NoticeState.UNNOTICED
    assert look(gone, LAPTOPS, later, in_use=False).state is NoticeState.GO


def test_deferral_is_taken_back_when_nothing_may_be_put_off_any_more():
    notice = put_off(asked(), LAPTOPS, at(10), HOUR)
    rules = replace(LAPTOPS, deferrals_max=0)

    assert asked(rules, at(20), notice).state is NoticeState.NOTICED


@pytest.mark.parametrize("state", [NoticeState.UNNOTICED, NoticeState.GO])
def test_what_does_not_wait_for_a_word_takes_none(state: NoticeState):
    notice = replace(Notice(), state=state)

    with pytest.raises(NotDeferrableError) as refused:
        put_off(notice, LAPTOPS, NOON, HOUR)
    assert not refused.value.refused
    with pytest.raises(NotDeferrableError):
        agree(notice, NOON)


def test_every_state_and_event_of_the_table_is_used():
    assert {state for state, _ in TABLE} == set(NoticeState)
    assert {event for _, event in TABLE} == set(NoticeEvent)


def test_notice_survives_a_restart():
    for notice in (Notice(), put_off(asked(), LAPTOPS, at(10), HOUR)):
        assert Notice.from_document(notice.to_document()) == notice


@pytest.mark.parametrize("broken", [{}, {**Notice().to_document(), "state": "ASKED"}])
def test_what_is_no_notice_is_refused(broken):
    with pytest.raises(FormatError):
        Notice.from_document(broken)
