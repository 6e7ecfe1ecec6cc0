"""The order of version numbers, against dpkg itself and by its laws."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopwith_formats.debian_version import compare, satisfies

VERSIONS = st.from_regex(r"\A([0-2]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z.+~]{1,3})?\Z")


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.9", "1.10"),
        ("2.0~rc1", "2.0"),
        ("2.0~~", "2.0~"),
        ("9.9", "1:0.1"),
        ("1.0", "1.0-1"),
        ("1.0-1", "1.0-1.1"),
        ("1.0a", "1.0+"),
        ("1.0", "1.0a"),
        ("2.10-3", "2.10-4"),
    ],
)
def test_lower_version_sorts_before_the_higher(lower: str, higher: str) -> None:
    assert compare(lower, higher) == -1
    assert compare(higher, lower) == 1


def test_different_writings_of_one_number_are_equal() -> None:
    assert compare("1.01", "1.1") == 0
    assert compare("0:1.0", "1.0") == 0
    assert compare("1.0", "1.0-0") == 0


@pytest.mark.needs_tool("dpkg")
@settings(max_examples=80, deadline=None)
@given(VERSIONS, VERSIONS)
def test_order_is_that_of_dpkg(left: str, right: str) -> None:
    dpkg = shutil.which("dpkg") or "dpkg"
    order = compare(left, right)

    for relation, holds in (("lt", order < 0), ("eq", order == 0), ("gt", order > 0)):
        finished = subprocess.run([dpkg, "--compare-versions", left, relation, right], check=False, capture_output=True)
        assert (finished.returncode == 0) is holds


@pytest.mark.parametrize(
    ("relation", "holds"),
    [("<<", False), ("<", False), ("<=", True), ("=", True), ("==", True), (">=", True), (">>", False), (">", False)],
)
def test_relations_hold_for_equal_versions(relation: str, holds: bool) -> None:
    assert satisfies("1.0", relation, "1.0") is holds


def test_relations_hold_for_different_versions() -> None:
    assert satisfies("1.0", "<<", "2.0")
    assert satisfies("2.0", ">", "1.0")
    assert not satisfies("1.0", ">=", "2.0")
