"""Known computers are enrolled, waiting, excused until a date, or missing; what is enrolled and unknown is said too."""

from datetime import timedelta

import pytest

from sopwith_controller.domain import coverage
from sopwith_controller.domain.coverage import Standing
from sopwith_controller.domain.entities import ComputerState
from sopwith_controller.domain.errors import InvalidInputError
from sopwith_controller.domain.practice_entities import KnownComputer
from tests.builders import NOON, computer


def known(*names: str) -> list[KnownComputer]:
    return list(coverage.import_list([(name, "") for name in names], [], person="op", now=NOON))


@pytest.mark.clause("I Consistency", "coverage")
def test_each_known_computer_is_enrolled_waiting_excused_or_missing():
    listed = known("PC1", "pc2", "pc3", "pc4", "pc5")
    listed[2] = coverage.excuse(
        listed[2], person="op", reason=" in  repair ", until=NOON + timedelta(days=30), now=NOON
    )
    fleet = [
        computer("pc1"),
        computer("pc2", state=ComputerState.PENDING),
        computer("pc5", state=ComputerState.RETIRED),
        computer("pc9", state=ComputerState.QUARANTINED),
    ]

    found = {one.name: one for one in coverage.cover(listed, fleet, NOON)}

    assert {name: one.standing for name, one in found.items()} == {
        "PC1": Standing.ENROLLED,
        "pc2": Standing.WAITING,
        "pc3": Standing.EXCUSED,
        "pc4": Standing.MISSING,
        "pc5": Standing.MISSING,
        "pc9": Standing.UNLISTED,
    }
    assert found["pc3"].message == "by op until 2026-12-22T12:00:00Z: in repair"
    assert "sopwith computer accept pc2" in found["pc2"].remedy
    assert coverage.share(tuple(found.values())) == (2, 5)


def test_an_excuse_ends_by_itself():
    excused = coverage.excuse(known("pc1")[0], person="op", reason="away", until=NOON + timedelta(days=1), now=NOON)

    (found,) = coverage.cover([excused], [], NOON + timedelta(days=1))

    assert found.standing is Standing.MISSING
    assert "its excuse ended 2026-11-23T12:00:00Z" in found.message


@pytest.mark.parametrize("days", [0, -1, 367])
def test_an_excuse_needs_an_end_within_a_year(days):
    with pytest.raises(InvalidInputError, match="is none"):
        coverage.excuse(known("pc1")[0], person="op", reason="away", until=NOON + timedelta(days=days), now=NOON)


def test_a_new_list_replaces_the_old_one_and_keeps_excuses():
    excused = coverage.excuse(known("pc1")[0], person="op", reason="away", until=NOON + timedelta(days=9), now=NOON)
    unlisted = known("pc7")[0]

    changed = coverage.import_list(
        [("Pc1", "desk"), ("pc3", "")], [excused, *known("pc2"), unlisted], person="op", now=NOON
    )

    by_name = {one.name: one for one in changed}
    assert (by_name["pc1"].note, by_name["pc1"].excused_reason, by_name["pc1"].listed) == ("desk", "away", True)
    assert (by_name["pc2"].listed, by_name["pc3"].listed) == (False, True)
    again = coverage.import_list([("pc1", "")], changed, person="op", now=NOON)
    assert {one.name for one in again} == {"pc1", "pc3"}


@pytest.mark.parametrize("names", [[], [("", "")], [("a b", "")], [("x" * 254, "")], [("a\x1b", "")]])
def test_a_list_that_names_nobody_is_refused(names):
    with pytest.raises(InvalidInputError):
        coverage.import_list(names, [], person="op", now=NOON)


def test_a_list_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(coverage, "NAMES_MAX", 1)

    with pytest.raises(InvalidInputError, match="at most 1"):
        coverage.import_list([("a", ""), ("b", "")], [], person="op", now=NOON)
