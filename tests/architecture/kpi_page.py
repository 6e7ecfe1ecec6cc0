"""Writes docs/kpis.md from the formulas in the code, or fails when the page is stale."""

import sys
from pathlib import Path

from sopwith_controller.domain.kpi import FORMULAS
from sopwith_controller.services.kpis import USUAL_PERIOD

PAGE = Path(__file__).resolve().parents[2] / "docs" / "kpis.md"
_HEAD = f"""# Figures

`sopwith report kpi` shows these figures for the rollouts that were started, and the incidents that were detected,
within the last {USUAL_PERIOD.days} days (`--since`); coverage, training and readiness are counted as they are now. Each
comes with what it was counted from, so that it can be checked by hand; where there is nothing to count a dash stands,
never a good number. `--against-objectives` compares them with the SOP's own objectives.

This page is written from `domain/kpi.py` by `make docs`. The figures have their first form: downtime is the time
between the start of an install and the end of its checks, and the due time of an update is what the SOP's `deadlines`
bind to, else the rollout's deadline.

| figure | unit | what it counts |
|---|---|---|
"""


def render() -> str:
    """Return the page."""
    return _HEAD + "".join(f"| {name} | {unit} | {text} |\n" for name, (unit, text) in FORMULAS.items())


def main(arguments: list[str]) -> int:
    """Write or compare; 0 when the page is fresh."""
    page = render()
    if arguments == ["--write"]:
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
        sys.stderr.write("docs/kpis.md is stale. Run `make docs` and commit the result.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
