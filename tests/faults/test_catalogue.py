"""The fault list names only tests that are there, and forgets none that names its case."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.faults.catalogue import ROOT, SECTIONS
from tests.faults.rows import Row

OWED = {*range(1, 20), *range(40, 59), *range(78, 85)}
"""The sections of which every row is a test or a stated gap."""


def rows() -> Iterator[Row]:
    for section in SECTIONS:
        yield from section.rows


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, found) and node.name.startswith("test_"))


def test_every_named_test_is_there():
    missing = []
    for row in rows():
        for named in row.tests:
            file, _, name = named.partition("::")
            if not (ROOT / file).is_file() or name not in names_in(ROOT / file):
                missing.append(f"{row.number}: {named}")

    assert missing == []


def test_every_row_is_shown_or_says_what_is_missing():
    assert [row.number for row in rows() if not row.tests and not row.gap] == []
    assert {row.number for row in rows()} >= OWED


def test_no_number_stands_twice():
    numbers = [row.number for row in rows()]

    assert len(numbers) == len(set(numbers))


def test_tests_that_name_a_case_stand_in_its_row():
    listed = {row.number: {named.partition("::")[2] for named in row.tests} for row in rows()}
    missing = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        for name in names_in(path):
            match = re.match(r"test_case_(\d+)_", name)
            if match and name not in listed.get(int(match[1]), set()):
                missing.append(f"{match[1]}: {path.relative_to(ROOT)}::{name}")

    assert missing == []
