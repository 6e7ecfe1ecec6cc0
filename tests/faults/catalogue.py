"""Writes docs/faults.md from the fault list, or fails when the page is stale.

The list says which fault each test brings about, and what nobody shows yet; `test_catalogue` looks that every test that
it names is there. `--write` writes the page, without it the page is compared.
"""

import sys
from pathlib import Path

from tests.faults.rows import Row, Section
from tests.faults.rows_agent import AGENT, ENVIRONMENT
from tests.faults.rows_content import CONTENT
from tests.faults.rows_others import CONTROLLER, WIRE
from tests.faults.rows_source import SOURCE

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "faults.md"

SECTIONS: tuple[Section, ...] = (SOURCE, AGENT, ENVIRONMENT, CONTENT, WIRE, CONTROLLER)

_HEAD = """# Faults and attacks, and the tests that bring them about

Each row is a fault, what must hold, and the tests that show it; what is not shown is said under the row. The page is
made from `tests/faults/rows_*.py` (`make docs`); `make check` fails when it is stale, and a test fails when a test that
is named here does not exist. The crash points are tried by a harness that kills the agent before every call to the
kernel that matters, and cuts its power on a loop-mounted disk: `make test` tries a few of them, `make crash` all. The
controller is killed before and after every commit and send of a rollout over the fake database, and over real SQLite at
a few of them by `make test`, at all by `make kills`.
"""


def page() -> str:
    """Return the whole page."""
    return _HEAD + "".join(_section(section) for section in SECTIONS)


def _section(section: Section) -> str:
    rows = "".join(_row(row) for row in section.rows)
    return f"\n## {section.title}\n\n| case | brought about | must hold | shown by |\n|---|---|---|---|\n{rows}"


def _row(row: Row) -> str:
    shown = [f"[{name.split('::test_')[1].replace('_', ' ')}](../{name.split('::')[0]})" for name in row.tests]
    if row.gap:
        shown.append(f"**Gap:** {row.gap}")
    return f"| {row.number} | {row.setup} | {row.must_hold} | {'<br>'.join(shown)} |\n"


def main() -> int:
    """Write or compare; return the exit code."""
    if "--write" in sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page():
        sys.stderr.write(f"{PAGE.relative_to(ROOT)} is stale: run `make docs`.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
