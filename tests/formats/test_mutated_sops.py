"""Lint names what is wrong in whatever bytes it is given; a hundred thousand more run by hand with `make fuzz`."""

import pytest

from tests.formats.mutated_sops import WHOLE, documents, problems_of, smaller


def test_smaller_document_is_broken_only_where_it_was_cut():
    keys = {problem.key.partition("[")[0] for problem in problems_of(smaller(WHOLE))}

    assert keys == {"troubleshooting", "steps"}


@pytest.mark.parametrize("seed", range(4))
def test_mutated_document_never_raises(seed):
    refused = sum(any(problem.level == "error" for problem in problems_of(data)) for data in documents(seed, 40))

    assert refused == 40
