"""Writes docs/gates.md: every gate of the SOP, who asks it, what opens it, and the tests that show it.

The gates are the code's (`sop_words`), what a deviation opens is `domain.deviation`'s, the tests are found by their
`gate` markers, read from the source without importing a test. `--write` writes the page, without it the page is
compared.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from sopwith_controller.domain.deviation import DEVIABLE
from sopwith_formats import sop_words as words
from tests.clauses.collected import ROOT

PAGE = ROOT / "docs" / "gates.md"
MTLS = "mTLS"
GATES = {**words.CONTROLLER_GATES, **words.AGENT_GATES, MTLS: "V.B"}
WARNABLE = {gate for gate in GATES if gate not in {*words.NEVER_WARNING, *words.INTEGRITY_GATES, MTLS}}
NEEDED = {(gate, how) for gate in GATES for how in ("blocks",)} | {(gate, "warns") for gate in WARNABLE}
_HEAD = """# Gates

A gate is a rule that must hold before the next thing may happen. Every decision is kept in the update log with the act
that it let or refused: gate, clause, result (PASSED, DEVIATED, WARNED, REFUSED), what it looked at, and the digests of
policy and plan; what a computer's gates decided stands in what it [signs](guides/signed-records.md). A refusal names
gate and clause, the reason in one sentence, the command that mends it, and who may grant a deviation.

*May warn*: a SOP may say `gates: {ID: {enforce: warn}}`; of the others `sop lint` says what to write instead. *May be
deviated from*: by `sopwith deviation open`, with a reason, a compensating measure, an approver who is not the
requester, and an end. Integrity gates always block and open to nothing.

This page is written from the code and from the tests' `gate` markers by `make docs`.

| gate | clause | asked by | may warn | may be deviated from | shown by |
|---|---|---|---|---|---|
"""


def shown() -> dict[tuple[str, str], list[str]]:
    """Return (gate, how) to the tests that show it."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for how, gates, test in _of_file(path):
            for gate in gates:
                found.setdefault((gate, how), []).append(test)
    return found


def _of_file(path: Path) -> Iterator[tuple[str, list[str], str]]:
    source = path.read_text(encoding="utf-8")
    if "mark.gate(" not in source:
        return
    tree = ast.parse(source)
    lists = {
        target.id: [ast.literal_eval(item) for item in node.value.elts]
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)
        for target in node.targets
        if isinstance(target, ast.Name) and all(isinstance(item, ast.Constant) for item in node.value.elts)
    }
    for node in tree.body:
        for mark in getattr(node, "decorator_list", ()):
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.gate":
                how, *gates = mark.args
                names: list[str] = []
                for gate in gates:
                    if isinstance(gate, ast.Starred):
                        names += lists[ast.unparse(gate.value)]
                    else:
                        names.append(ast.literal_eval(gate))
                yield ast.literal_eval(how), names, getattr(node, "name", "")


def render() -> str:
    """Return the page."""
    return _HEAD + "".join(_row(gate, clause) for gate, clause in GATES.items())


def _row(gate: str, clause: str) -> str:
    asked = "handshake" if gate == MTLS else "controller" if gate in words.CONTROLLER_GATES else "computer"
    integrity = gate in {*words.INTEGRITY_GATES, MTLS}
    deviable = "no: integrity" if integrity else "yes" if gate in DEVIABLE else "no"
    warn = "yes" if gate in WARNABLE else "no"
    tests = shown()
    cells = [
        f"{how}: {test.removeprefix('test_').replace('_', ' ')}"
        for how in ("blocks", "warns", "deviates")
        for test in tests.get((gate, how), ())
    ]
    return f"| `{gate}` | {clause} | {asked} | {warn} | {deviable} | {'; '.join(cells) or '**none**'} |\n"


def main(arguments: list[str]) -> int:
    """Write or compare; 0 when the page is fresh."""
    page = render()
    if arguments == ["--write"]:
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != page:
        sys.stderr.write("docs/gates.md is stale. Run `make docs` and commit the result.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
