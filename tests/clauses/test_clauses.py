"""Every clause is shown by a test, and the page names no result that nobody saw."""

from tests.clauses.collected import collect
from tests.clauses.page import render
from tests.clauses.results import recorded
from tests.clauses.table import COMING, PROOFS, ROWS


def test_every_proof_of_every_clause_has_a_test():
    shown = {(one.row, one.proof) for one in collect()}

    assert sorted(PROOFS.keys() - shown - COMING) == []
    assert sorted(COMING & shown) == []


def test_no_test_speaks_of_a_clause_that_is_not_in_the_table():
    assert [one for one in collect() if (one.row, one.proof) not in PROOFS] == []


def test_no_recorded_result_is_a_failure_and_none_is_of_a_test_that_is_gone():
    tests = {one.test for one in collect()}

    assert {test: result for test, result in recorded().items() if result != "passed" or test not in tests} == {}


def test_a_clause_without_a_test_stands_out_on_the_page():
    page = render([], {})

    assert page.count("**none**") == len(PROOFS) - len(COMING)
    assert all(f"## {row.id}\n" in page for row in ROWS)
