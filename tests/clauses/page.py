"""Writes docs/clauses.md from the table, the markers of the tests and the recorded run, or fails when it is stale.

`--write` writes the page, without it the page is compared. It runs no test: that is `make clauses`.
"""

import sys
from collections.abc import Iterator, Sequence

from tests.clauses.collected import ROOT, Shown, collect
from tests.clauses.results import recorded
from tests.clauses.table import COMING, ROWS, Row

PAGE = ROOT / "docs" / "clauses.md"
_HEAD = """# Every clause, and the test that shows it

The texts that Sopwith's SOP grew from (a form for software updates, an article on why procedures matter, an outline of
how to bring one in) are taken clause by clause. Each row says what the clause became, what has to be shown of it, the
test that shows it, and what that test said when it was last recorded.

This page is generated: the rows from `tests/clauses/table.py`, the tests from their `clause` markers, the results by
`make clauses`, which runs exactly these tests and records what they say. `make docs` writes the page, and `make check`
fails when it is stale; a test fails where a proof has no test.
"""


def render(shown: Sequence[Shown], results: dict[str, str]) -> str:
    """Return the page."""
    tests = {one.test for one in shown}
    passed = sum(results.get(test) == "passed" for test in tests)
    first = sum(bool(row.later) for row in ROWS)
    count = (
        f"{len(ROWS)} clauses, {sum(len(row.proofs) for row in ROWS)} proofs, {len(tests)} tests: "
        f"{passed} passed, {len(tests) - passed} not. {first} clauses have a first form: what comes later is named."
    )
    return "\n".join([_HEAD, count, *(line for row in ROWS for line in _row(row, shown, results))]) + "\n"


def _row(row: Row, shown: Sequence[Shown], results: dict[str, str]) -> Iterator[str]:
    yield f"\n## {row.id}\n"
    yield f"{row.behaviour}."
    if row.later:
        yield f"\n*First form.* Still to come: {row.later}."
    yield "\n| shows that | test | result |\n|---|---|---|"
    for key, text in row.proofs.items():
        tests = [one.test for one in shown if (one.row, one.proof) == (row.id, key)]
        for test in tests:
            file, _, name = test.partition("::")
            title = name.removeprefix("test_").replace("_", " ")
            yield f"| {text} | {title} (`{file.removeprefix('tests/')}`) | {results.get(test, 'not recorded')} |"
        if not tests:
            yield f"| {text} | {'*coming*' if (row.id, key) in COMING else '**none**'} | |"


def main(arguments: list[str]) -> int:
    """Write or compare; 0 when the page is fresh."""
    page = render(collect(), recorded())
    if arguments == ["--write"]:
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
        sys.stderr.write("docs/clauses.md is stale. Run `make docs` and commit the result.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
