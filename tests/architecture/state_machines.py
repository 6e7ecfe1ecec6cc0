"""Writes docs/state-machines.md from the tables in the code, or fails when the page is stale.

The tables are the machines; the page only shows them. `--write` writes the page, without it the page is compared.
"""

import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sopwith_agent.domain import assignment as agent_assignment
from sopwith_controller.domain import assignment as mirror
from sopwith_controller.domain import incident, rollout, sop
from sopwith_controller.services import computers

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "state-machines.md"

_HEAD = """# State machines

Each machine is one table in one module; whatever a table does not list is refused with a sentence that says what is
allowed instead. This page is generated from those tables (`make docs`); `make check` fails when it is stale.
"""

MACHINES: tuple[tuple[str, str, str, Mapping[Any, str]], ...] = (
    (
        "Rollout",
        "controller/sopwith_controller/domain/rollout.py",
        """Machines stop, people decide: OPEN_WAVE, SUSPEND, COMPLETE and FINISH_ABORT come from the planner, everything
        else from a person. SUBMIT_PREAPPROVED is the submit of a change class that needs nobody's approval.""",
        rollout.TRANSITIONS,
    ),
    (
        "Assignment, as the computer drives it",
        "agent/sopwith_agent/domain/assignment.py",
        "An event that leads to an outcome ends the assignment for good.",
        agent_assignment.TABLE,
    ),
    (
        "Assignment, as the controller mirrors it",
        "controller/sopwith_controller/domain/assignment.py",
        """A report may skip states that passed while nobody listened; it never goes back, except to PREPARING. ENDED
        goes with exactly one outcome, which a later receipt may correct where the controller had concluded alone.""",
        mirror.TRANSITIONS,
    ),
    (
        "SOP revision",
        "controller/sopwith_controller/domain/sop.py",
        "Exactly one revision of a SOP is EFFECTIVE. A running rollout keeps the revision that it cited.",
        sop.TRANSITIONS,
    ),
    (
        "Incident",
        "controller/sopwith_controller/domain/incident.py",
        "Climbing leaves it OPEN, at the next level of the ladder.",
        incident.TRANSITIONS,
    ),
    (
        "Computer",
        "controller/sopwith_controller/services/computers.py",
        "Commands are those of `sopwith computer`.",
        computers.TRANSITIONS,
    ),
)


def render() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *(_machine(*machine) for machine in MACHINES)])


def _machine(title: str, module: str, remark: str, table: Mapping[Any, str]) -> str:
    rows = [(str(source), str(command), str(target)) for (source, command), target in table.items()]
    edges: dict[tuple[str, str], list[str]] = {}
    for source, command, target in rows:
        edges.setdefault((source, target), []).append(command)
    chart = [f"    {source} --> {target}: {', '.join(commands)}" for (source, target), commands in edges.items()]
    lines = [f"| {source} | {command} | {target} |" for source, command, target in rows]
    return "\n".join(
        [
            f"## {title}",
            "",
            textwrap.fill(" ".join(f"`{module}`: {remark}".split()), 120),
            "",
            "```mermaid",
            "stateDiagram-v2",
            *chart,
            "```",
            "",
            "| from | command or event | to |",
            "|---|---|---|",
            *lines,
            "",
        ]
    )


def main(arguments: list[str]) -> int:
    """Write or compare; 0 when the page is fresh."""
    page = render()
    if arguments == ["--write"]:
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
        sys.stderr.write("docs/state-machines.md is stale. Run `make docs` and commit the result.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
