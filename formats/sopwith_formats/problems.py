"""Faults that a person must mend in a document: where each one lies, what it is, what to do.

Decides how such a fault is written; finding faults is left to `documents` and to the modules that know a document's
meaning. Standard library only, so that services can hand the list on without knowing YAML.

>>> str(Problem("rollout.yaml", 4, "waves[0].soak", "'30 minutes' is no duration", "write it like 30m"))
"rollout.yaml:4: waves[0].soak: '30 minutes' is no duration (write it like 30m)"
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from sopwith_formats.errors import FormatError


@dataclass(frozen=True)
class Problem:
    """One fault. `line` counts from 1, 0 where the whole file is meant; `key` is a path such as waves[0].soak."""

    file: str
    line: int
    key: str
    message: str
    remedy: str = ""
    level: str = "error"
    """error: the document is refused; warning: it is read, and somebody should look."""

    def __str__(self) -> str:
        """Return one line for people."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        mend = f" ({self.remedy})" if self.remedy else ""
        mild = "warning: " if self.level == "warning" else ""
        return f"{place}: {mild}{f'{self.key}: ' if self.key else ''}{self.message}{mend}"

    def as_dict(self) -> dict[str, Any]:
        """Return the fault as a JSON document."""
        return asdict(self)


class DocumentError(FormatError):
    """A document is refused; `problems` lists every fault that was found, in the order of their lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        super().__init__("\n".join(map(str, self.problems)))


def refuse_if_any(problems: Iterable[Problem]) -> None:
    """Raise DocumentError when the list holds an error; warnings alone pass."""
    found = list(problems)
    if any(problem.level == "error" for problem in found):
        raise DocumentError(found)
