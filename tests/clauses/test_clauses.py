"""Every clause is shown by a test, and the page names no result that nobody saw."""

from sopwith_controller.domain.agent_gates import AGENT_GATES
from sopwith_controller.domain.deviation import DEVIABLE
from sopwith_formats.sop_words import INTEGRITY_GATES
from tests.clauses.collected import collect
from tests.clauses.gates import GATES, NEEDED, WARNABLE, shown
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


def test_every_gate_has_a_test_that_blocks_by_it_and_where_it_may_warn_one_that_warns():
    found = shown()

    assert sorted(NEEDED - found.keys()) == []
    assert sorted(gate for gate, _ in found if gate not in GATES) == []


def test_whatever_a_deviation_opens_is_shown_opened():
    found = shown()
    planned = {gate for gate in DEVIABLE if gate not in AGENT_GATES}

    assert sorted(gate for gate in planned if (gate, "deviates") not in found) == []
    assert set(DEVIABLE) & (INTEGRITY_GATES - set(DEVIABLE)) == set()
    assert WARNABLE - set(DEVIABLE) == {"source_reachable", "latency", "throughput"}
