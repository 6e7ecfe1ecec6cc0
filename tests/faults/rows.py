"""What one row of the fault list is, and the shorthand by which the tables name their tests."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One fault: how it is brought about, what must hold, and the tests that show it."""

    number: int
    setup: str
    must_hold: str
    tests: tuple[str, ...] = ()
    """path::name, parameters left out."""
    gap: str = ""
    """What of it nobody shows yet, and why; may stand beside tests."""


@dataclass(frozen=True)
class Section:
    """Rows under one heading."""

    title: str
    rows: tuple[Row, ...]


def within(file: str, *names: str) -> tuple[str, ...]:
    """Return the tests of one module."""
    return tuple(f"tests/{file}.py::test_{name}" for name in names)
