"""Lint names what is wrong in whatever bytes it is given; a hundred thousand more run by hand with `make fuzz`."""

import pytest

from tests.formats.mutated_sops import WHOLE, documents, problems_of, smaller, smallest


def test_smaller_document_is_broken_only_where_it_was_cut():
    keys = {problem.key.partition("[")[0] for problem in problems_of(smaller(WHOLE))}

    assert keys == {"troubleshooting", "steps"}


@pytest.mark.parametrize("seed", range(4))
def test_mutated_document_never_raises(seed):
    refused = sum(any(problem.level == "error" for problem in problems_of(data)) for data in documents(seed, 40))

    assert refused >= 38  # now and then a mutation leaves a whole document


def test_body_without_any_heading_is_named_section_by_section():
    front = WHOLE[: WHOLE.index(b"\n---\n", 4) + 5]

    problems = problems_of(front + b"Only prose, no heading.\n")

    assert sum("is missing" in problem.message for problem in problems) == 13


def test_smallest_document_lacks_keys_and_nothing_else():
    assert {problem.message.partition(" ")[0] for problem in problems_of(smallest(WHOLE))} <= {"is", "refers"}
