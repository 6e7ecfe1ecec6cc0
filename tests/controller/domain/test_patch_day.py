"""Patch days: when the next rollout is drafted, and what it asks for."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sopwith_controller.domain.entities import ReleaseState
from sopwith_controller.domain.lasting_entities import Repetition
from sopwith_controller.domain.patch_day import (
    after_days,
    chain_of,
    draft_spec,
    due_days,
    end,
    local_date,
    newest_release,
    next_day,
    repetition_of,
    zone_of_plan,
)
from sopwith_controller.domain.rollout_entities import PATCH_DAY
from sopwith_formats.sop_policy import Window
from tests.controller.domain.builders import HOUR, NOW, a_plan, a_release, a_rollout, a_spec

SECOND_TUESDAY = "FREQ=MONTHLY;BYDAY=2TU"
BERLIN = "Europe/Berlin"
MONTHLY = Repetition("r-1", "monthly", "r-1", SECOND_TUESDAY, BERLIN, datetime(2026, 12, 7, 23, tzinfo=UTC))
PLAN = a_plan(1, repeat=SECOND_TUESDAY, window=Window("FREQ=DAILY", "22:00", 3600, BERLIN))


def test_the_second_tuesday_begins_at_midnight_of_its_zone():
    assert next_day(SECOND_TUESDAY, BERLIN, NOW) == datetime(2026, 12, 7, 23, tzinfo=UTC)
    assert next_day(SECOND_TUESDAY, "UTC", NOW) == datetime(2026, 12, 8, tzinfo=UTC)


@pytest.mark.parametrize("zone", [BERLIN, "America/Santiago", "Africa/Cairo", "America/New_York", "Asia/Beirut"])
def test_every_day_of_a_year_comes_once_whatever_the_clocks_do(zone):
    day = next_day("FREQ=DAILY", zone, datetime(2025, 12, 31, 12, tzinfo=UTC))
    days = []
    while day is not None and day < datetime(2026, 12, 31, 18, tzinfo=UTC):
        days.append(local_date(replace(MONTHLY, time_zone=zone), day))
        day = next_day("FREQ=DAILY", zone, day)

    assert days[0] == "2026-01-01"
    assert len(days) == len(set(days)) >= 365


def test_a_rule_that_never_comes_again_has_no_next_day():
    assert next_day("FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2", "UTC", NOW) is None


def test_a_plan_repeats_in_the_zone_of_its_window():
    local = replace(PLAN, window=Window("FREQ=DAILY", "22:00", 3600, "local"))

    assert [zone_of_plan(plan) for plan in (PLAN, local, replace(PLAN, window=None))] == [BERLIN, "UTC", "UTC"]


def test_a_started_rollout_repeats_and_a_started_draft_goes_on_with_its_chain():
    first = a_rollout(PLAN, name="monthly")
    draft = a_rollout(PLAN, id="r-2", name="monthly-2026-12-08", origin=PATCH_DAY, origin_id="r-1")
    due = replace(MONTHLY, next_time=NOW - HOUR)

    assert repetition_of(first, PLAN, None, NOW) == MONTHLY
    assert repetition_of(draft, PLAN, due, NOW) == replace(due, rollout_id="r-2")
    assert repetition_of(draft, PLAN, end(due, "aborted", NOW), NOW) == replace(MONTHLY, rollout_id="r-2")
    assert (chain_of(first), chain_of(draft)) == ("r-1", "r-1")


def test_days_that_were_missed_are_known_and_dealt_with_at_once():
    now = datetime(2027, 3, 1, tzinfo=UTC)

    days = due_days(MONTHLY, now)
    after = after_days(MONTHLY, now)

    assert [local_date(MONTHLY, day) for day in days] == ["2026-12-08", "2027-01-12", "2027-02-09"]
    assert due_days(after, now) == []
    assert after.next_time == datetime(2027, 3, 8, 23, tzinfo=UTC)
    assert due_days(end(MONTHLY, "aborted", now), now) == []


def test_the_draft_takes_the_newest_release_that_is_not_withdrawn():
    older, newer = a_release(), a_release(version="3", published_time=NOW + timedelta(days=1))
    withdrawn = replace(newer, version="4", state=ReleaseState.WITHDRAWN)
    other = replace(newer, name="other")
    spec = a_spec(start_time="2026-01-01T00:00:00Z", ticket="CHG-1")

    found = newest_release([older, newer, withdrawn, other], "hello")
    draft = draft_spec(spec, MONTHLY, newer, MONTHLY.next_time or NOW)

    assert found == newer
    assert newest_release([withdrawn], "hello") is None
    assert (draft.rollout, draft.release, draft.start_time) == ("monthly-2026-12-08", "hello@3", None)
    assert draft.ticket == "CHG-1"
