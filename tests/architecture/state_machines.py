"""Writes docs/state-machines.md from the tables in the code, or fails when the page is stale.

The tables are the machines; the page only shows them. `--write` writes the page, without it the page is compared.
"""

import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sopwith_agent.domain import assignment as agent_assignment
from sopwith_agent.domain import notice
from sopwith_agent.steps.troubleshooting import CATALOGUE, Remedy
from sopwith_controller.domain import assignment as mirror
from sopwith_controller.domain import deviation, incident, rollout, sop, time_limits
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
        """Machines stop, people decide: OPEN_WAVE, SUSPEND, COMPLETE and FINISH_ABORT come from the planner, REPLAN and
        CLEAR from a start that found another plan than the approved one, everything else from a person.
        SUBMIT_PREAPPROVED is the submit of a change class that needs nobody's approval.""",
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
        "Notice to people at the computer",
        "agent/sopwith_agent/domain/notice.py",
        """One for each coming install, and one for each coming reboot. Only GO lets it happen. PUT_OFF and AGREED come
        from somebody there, everything else from the clock and from who is logged in; the SOP's `user_notice` says how
        long NOTICED and GRACE last and how often PUT_OFF is granted.""",
        notice.TABLE,
    ),
    (
        "Deviation",
        "controller/sopwith_controller/domain/deviation.py",
        """EXPIRE comes from the clock, everything else from a person: APPROVE never from who asked. One whose time is
        over opens nothing, whether or not anybody wrote EXPIRED down yet.""",
        deviation.TRANSITIONS,
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
    return "\n".join([_HEAD, *(_machine(*machine) for machine in MACHINES), _limits(), _remedies()])


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


def _text(words: str) -> str:
    return textwrap.fill(" ".join(words.split()), 120)


def _limits() -> str:
    """Return the page's table of how long an assignment may stay in each state."""
    rows = []
    for state, limit in time_limits.LIMITS.items():
        parts = [f"{limit.installs} x `install_timeout`"] if limit.installs else []
        parts += [f"{int(limit.fixed.total_seconds()) // 60} min"] if limit.fixed else []
        length = " + ".join(parts) or "none of its own"
        stalled = f"stalled after {length}: incident TIMEOUT, severity 2" if limit.stalls else "waits for others"
        rows.append(f"| {state} | {length} | {stalled} | {limit.at_deadline} |")
    return "\n".join(
        [
            "## How long an assignment may stay where it is",
            "",
            _text(
                """`controller/sopwith_controller/domain/time_limits.py`: Nothing stays active for ever. The rollout's
                deadline ends what has not begun to install; without contact three missed heartbeats are
                LOST_CONTACT (severity 1) while a computer is being changed; in contact, but without a word for the
                state's limit, a computer is stalled, which `rollout status` and `rollout explain` say with the
                remedy. A later receipt corrects what was concluded without one. `install_timeout` is the SOP's, 30
                min as shipped."""
            ),
            "",
            "| state | limit without a word, in contact | before the deadline | at the deadline |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _remedies() -> str:
    """Return the page's table of error classes: what is tried again, what waits, what is final."""
    classes = {
        Remedy.RETRY: "tried again after a pause",
        Remedy.DEFER: "measured and tried again",
        Remedy.WAIT: "waits, spends no try",
        Remedy.REFUSE: "final: refused",
        Remedy.FAIL: "final: failed",
    }
    rows = [
        f"| {classes[remedy]} | {', '.join(sorted(s for s, row in CATALOGUE.items() if row.remedy is remedy))} |"
        for remedy in classes
    ]
    return "\n".join(
        [
            "## What follows a failed try",
            "",
            _text(
                """`agent/sopwith_agent/steps/troubleshooting.py`: While nothing of the computer was changed. Tries of
                download and install together are bounded by the plan's `attempts_max`; the pause before the next
                one has full jitter, is at most 1 s after the first, doubles, and is at most a minute; `rollout show
                --computers` and `rollout explain` tell the try and when the next one comes. Whatever may have
                changed the computer is rolled back, and ROLLED_BACK is never tried again without `release permit`
                by a second person."""
            ),
            "",
            "| class | symptoms |",
            "|---|---|",
            *rows,
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
