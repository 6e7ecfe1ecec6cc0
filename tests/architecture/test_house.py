"""The house stays in order: sizes, first lines, names that hide nothing, locks without addresses."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("agent", "certs", "controller", "formats")
LINES_MAX = 400


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def test_no_module_of_the_product_is_longer_than_400_lines():
    long = {
        path.relative_to(ROOT).as_posix(): count
        for path in modules()
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > LINES_MAX
    }

    assert long == {}


def test_every_module_begins_with_a_docstring():
    silent = [path.as_posix() for path in modules() if not ast.get_docstring(ast.parse(path.read_text()))]

    assert silent == []


def test_package_files_hold_one_docstring_and_no_code():
    busy = [
        path.as_posix()
        for path in modules()
        if path.name == "__init__.py" and len(ast.parse(path.read_text()).body) > 1
    ]

    assert busy == []


def test_no_module_is_called_utils_common_or_helpers():
    assert [path.as_posix() for path in modules() if path.stem in {"utils", "util", "common", "helpers", "misc"}] == []


def test_locks_name_versions_and_digests_and_no_address():
    for path in (ROOT / "requirements").glob("*.lock"):
        text = path.read_text(encoding="utf-8")

        assert re.search(r"--hash=sha256:[0-9a-f]{64}", text)
        assert "://" not in text
