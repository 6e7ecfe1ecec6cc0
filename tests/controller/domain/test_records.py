"""Entries of the update log, and warnings before the source's signatures end."""

from dataclasses import replace
from datetime import timedelta

import pytest

from sopwith_controller.domain.entities import LogDraft
from sopwith_controller.domain.log_kinds import LogKind
from sopwith_controller.domain.source_expiry import expiring
from sopwith_controller.domain.update_log import entry_of
from tests.controller.domain.builders import HOUR, NOW

DAY = 24 * HOUR


def test_entry_says_when_it_happened_here_and_there():
    draft = LogDraft(LogKind.ASSIGNMENT_ENDED, "ended", computer="pc1", outcome="SUCCEEDED", local_offset_seconds=3600)

    entry = entry_of(draft, 7, NOW)

    assert (entry.index, entry.kind, entry.computer, entry.outcome) == (7, "ASSIGNMENT_ENDED", "pc1", "SUCCEEDED")
    assert entry.time.startswith("2026-11-23T10:00:00")
    assert "11:00:00" in entry.local_time


@pytest.mark.parametrize(
    ("role", "left", "stages", "words"),
    [
        ("root", 40 * DAY, [], ""),
        ("root", 20 * DAY, [30 * DAY], "expires in 20 days"),
        ("targets", 13 * DAY, [14 * DAY], "sopwith source sign"),
        ("targets", 6 * HOUR, [7 * DAY], "expires within a day"),
        ("root", -DAY, [7 * DAY], "expired on 2026-11-22 10:00 UTC"),
        ("timestamp", 20 * HOUR, [], ""),
        ("timestamp", 6 * HOUR, [12 * HOUR], "this controller fails to renew it"),
    ],
)
def test_end_of_a_role_is_announced_at_its_bounds(role: str, left: timedelta, stages: list[timedelta], words: str):
    warnings = expiring([(role, 3, NOW + left)], NOW)

    assert [warning.stage for warning in warnings] == stages
    for warning in warnings:
        assert words in warning.text(NOW)
        assert warning.key.startswith(f"{role}/3/")


def test_record_of_an_evaluation_says_so_once():
    draft = LogDraft(kind=LogKind.SOP_SIGNED, message="owner signed it")
    stamped = entry_of(draft, 1, NOW, evaluation=True)

    assert stamped.message == "EVALUATION: owner signed it"
    assert entry_of(replace(draft, message=stamped.message), 1, NOW, evaluation=True).message == stamped.message
    assert entry_of(draft, 1, NOW).message == "owner signed it"
