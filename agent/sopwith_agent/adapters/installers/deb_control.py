"""What a Debian package says about itself, and whether this computer can satisfy it.

Decides by the package's control fields and the list of installed packages, without touching anything: dpkg finds out
only half-way that a dependency is missing, and then the computer is already changed. Reading the fields and the list is
`dpkg_tool`'s. Versions are ordered as Debian policy says.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sopwith_formats.debian_version import satisfies

FIELDS = ("Package", "Version", "Architecture", "Depends", "Pre-Depends", "Conflicts", "Breaks", "Provides")

_RELATION = re.compile(r"\s*([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9-]+)?\s*(?:\(\s*(<<|<=|=|>=|>>)\s*([^\s)]+)\s*\))?\s*")


@dataclass(frozen=True)
class Control:
    """The control fields that matter here."""

    package: str
    version: str
    architecture: str
    needs: str = ""
    """Depends and Pre-Depends, joined by commas."""
    refuses: str = ""
    """Conflicts and Breaks, joined by commas."""
    provides: str = ""


@dataclass(frozen=True)
class _Relation:
    package: str
    relation: str
    version: str

    def met_by(self, package: str, version: str) -> bool:
        """Tell whether a package of that name and version (empty: a name only provided) meets it."""
        if package != self.package:
            return False
        return not self.relation or (bool(version) and satisfies(version, self.relation, self.version))


def read_control(fields: dict[str, str]) -> Control:
    """Return the control of a package's fields."""
    return Control(
        package=fields.get("Package", ""),
        version=fields.get("Version", ""),
        architecture=fields.get("Architecture", ""),
        needs=_join(fields.get("Pre-Depends", ""), fields.get("Depends", "")),
        refuses=_join(fields.get("Conflicts", ""), fields.get("Breaks", "")),
        provides=fields.get("Provides", ""),
    )


def conflicts(new: Iterable[Control], installed: Iterable[Control]) -> list[str]:
    """Return one sentence for each demand of the new packages that the computer would not meet; empty: all are met."""
    coming = list(new)
    names = {control.package for control in coming}
    there = [control for control in installed if control.package not in names] + coming
    return [
        f"{control.package} {control.version} {problem}"
        for control in coming
        for problem in (*_missing(control, there), *_in_the_way(control, there))
    ]


def _missing(control: Control, there: list[Control]) -> Iterator[str]:
    for clause in _clauses(control.needs):
        if not any(_meets(other, clause) for other in there):
            yield f"depends on {clause}, which is not installed"


def _in_the_way(control: Control, there: list[Control]) -> Iterator[str]:
    for clause in _clauses(control.refuses):
        for other in there:
            if other.package != control.package and _meets(other, clause):
                yield f"conflicts with {clause}, and {other.package} {other.version} is installed"


def _meets(control: Control, clause: str) -> bool:
    return any(wanted.met_by(*name) for wanted in _alternatives(clause) for name in _names(control))


def _names(control: Control) -> Iterator[tuple[str, str]]:
    yield control.package, control.version
    for clause in _clauses(control.provides):
        for provided in _alternatives(clause):
            yield provided.package, provided.version if provided.relation == "=" else ""


def _clauses(field: str) -> list[str]:
    return [" ".join(clause.split()) for clause in field.split(",") if clause.strip()]


def _alternatives(clause: str) -> Iterator[_Relation]:
    for alternative in clause.split("|"):
        match = _RELATION.fullmatch(alternative)
        if match:
            yield _Relation(match[1], match[2] or "", match[3] or "")


def _join(*fields: str) -> str:
    return ", ".join(field for field in fields if field)
