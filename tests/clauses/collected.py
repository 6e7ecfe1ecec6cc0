"""Finds what the tests say they show: the `clause` markers, read from the source without importing a test.

A test's name here is its file and function; the cases of one function count together.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, order=True)
class Shown:
    """One marker: the row, the proof, and the test that shows it."""

    row: str
    proof: str
    test: str
    """tests/file.py::function."""


def collect(folder: Path = ROOT / "tests") -> list[Shown]:
    """Return every marker of every test, sorted."""
    return sorted(shown for path in sorted(folder.rglob("test_*.py")) for shown in _of_file(path))


def _of_file(path: Path) -> Iterator[Shown]:
    source = path.read_text(encoding="utf-8")
    if "mark.clause(" not in source:
        return
    name = path.relative_to(ROOT).as_posix()
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.clause":
                    row, proof = (ast.literal_eval(argument) for argument in decorator.args)
                    yield Shown(row, proof, f"{name}::{node.name}")
