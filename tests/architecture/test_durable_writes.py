"""Only `sopwith_formats.durable` renames: elsewhere a power cut could leave half a file behind a finished name."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [
    ROOT / folder for folder in ("agent/sopwith_agent", "certs/sopwith_certs", "controller/sopwith_controller")
] + [ROOT / "formats/sopwith_formats"]
THE_ONE = ROOT / "formats/sopwith_formats/durable.py"


def renames(source: str) -> list[int]:
    """Return the lines that rename: os.rename, os.replace, os.renames, shutil.move, Path.rename, Path.replace."""
    return sorted(
        {
            node.lineno
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.stmt | ast.expr) and _renames(node)
        }
    )


def _renames(node: ast.AST) -> bool:
    match node:
        case ast.ImportFrom(module="os" | "shutil", names=names):
            return bool({"rename", "renames", "replace", "move"} & {name.name for name in names})
        case ast.Attribute(value=ast.Name(id="os"), attr="rename" | "renames" | "replace"):
            return True
        case ast.Attribute(value=ast.Name(id="shutil"), attr="move"):
            return True
        case ast.Call(func=ast.Attribute(attr="rename"), args=[_], keywords=[]):
            return True
        case ast.Call(func=ast.Attribute(attr="replace", value=owner), args=[_], keywords=[]):
            # str.replace has two arguments, datetime.replace and dataclasses.replace have keywords.
            return not (isinstance(owner, ast.Name) and owner.id == "dataclasses")
        case _:
            return False


def test_nobody_but_the_durable_module_renames() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for package in PACKAGES
        for path in sorted(package.rglob("*.py"))
        if path != THE_ONE
        for line in renames(path.read_text(encoding="utf-8"))
    ]

    assert found == [], "use durable_replace, durable_move or durable_symlink of sopwith_formats.durable"


@pytest.mark.parametrize(
    "line",
    [
        "os.rename(a, b)",
        "os.replace(a, b)",
        "from os import replace",
        "shutil.move(a, b)",
        "path.rename(b)",
        "Path(a).replace(b)",
        "call(os.replace, a)",
    ],
)
def test_the_search_finds_each_way_to_rename(line: str) -> None:
    assert renames(line) == [1]


@pytest.mark.parametrize(
    "line", ["text.replace('a', 'b')", "time.replace(tzinfo=UTC)", "dataclasses.replace(a, b=1)", "replace(a, b=1)"]
)
def test_the_search_leaves_other_replacing_alone(line: str) -> None:
    assert renames(line) == []


def test_the_one_place_does_rename() -> None:
    assert renames(THE_ONE.read_text(encoding="utf-8"))
