"""Where a signed record stands in its computer's chain."""

import pytest

from sopwith_controller.domain.receipt_chain import BROKEN, Place, Standing, arrival_fault, standing

NEWEST = Place(3, "c")


@pytest.mark.parametrize(
    ("newest", "record", "follows", "recorded", "expected"),
    [
        (Place(0, ""), Place(1, "a"), "", "", Standing.NEXT),
        (NEWEST, Place(4, "d"), "c", "", Standing.NEXT),
        (Place(3, ""), Place(4, "d"), "anything", "", Standing.NEXT),
        (Place(0, ""), Place(1, "a"), "something", "", Standing.FORKED),
        (NEWEST, Place(4, "d"), "x", "", Standing.FORKED),
        (NEWEST, Place(5, "e"), "d", "", Standing.GAP),
        (NEWEST, Place(2, "b"), "a", "b", Standing.REPEATED),
        (NEWEST, Place(3, "x"), "b", "c", Standing.CONTRADICTED),
        (NEWEST, Place(2, "b"), "a", "", Standing.FILLED),
    ],
)
def test_a_record_stands_where_number_and_digests_put_it(newest, record, follows, recorded, expected):
    found = standing(newest, record, follows_sha256=follows, recorded_sha256=recorded)

    assert found is expected


def test_gaps_forks_and_contradictions_are_alarms_and_nothing_else_is():
    assert set(Standing) - BROKEN == {Standing.NEXT, Standing.REPEATED, Standing.FILLED}


@pytest.mark.parametrize(
    ("told", "recorded", "said"),
    [
        (Place(3, "c"), "c", ""),
        (Place(9, "i"), "", ""),
        (Place(3, "x"), "c", "two computers sign"),
        (Place(2, "b"), "b", "put back to an older state"),
        (Place(0, ""), "", "put back to an older state"),
        (Place(2, "x"), "b", "two computers sign"),
    ],
)
def test_a_computer_that_comes_is_compared_with_what_is_recorded(told, recorded, said):
    fault = arrival_fault(NEWEST, told, recorded_sha256=recorded)

    assert (said in fault) if said else not fault
