"""Label selectors: the grammar and what it matches."""

import pytest

from sopwith_formats.errors import FormatError
from sopwith_formats.selector import parse_selector

LABELS = {"site": "berlin", "ring": "vip"}
FACTS = {"os": {"id": "debian", "arch": ["x86_64", "i386"]}, "laptop": True, "cpus": 8, "site": "paris", "a.b": "flat"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "site=berlin",
        "site == berlin",
        "ring!=canary",
        "missing!=x",
        "site in (berlin, paris)",
        "site notin (paris)",
        "missing notin (x)",
        "site",
        "!missing",
        "! missing",
        "os.id=debian",
        "os.arch=i386",
        "os.arch in (arm64, x86_64)",
        "laptop=true",
        "cpus=8",
        "a.b=flat",
        "site=berlin,ring=vip, os.id",
        "missing.deep!=x",
        "!os.id.deeper",
    ],
)
def test_selector_matches(text: str):
    assert parse_selector(text).matches(LABELS, FACTS)


@pytest.mark.parametrize(
    "text",
    [
        "site=paris",
        "site!=berlin",
        "site in (paris)",
        "site notin (berlin)",
        "!site",
        "missing",
        "missing=",
        "os=debian",
        "os.arch notin (i386)",
        "site=berlin,ring=canary",
    ],
)
def test_selector_does_not_match(text: str):
    assert not parse_selector(text).matches(LABELS, FACTS)


def test_facts_may_be_missing():
    assert parse_selector("site=berlin").matches(LABELS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (",", "no requirement"),
        ("site=berlin,", "no requirement"),
        ("=berlin", "no requirement"),
        ("site=berlin paris", "not understood"),
        ("site in ()", "no list of values"),
        ("site in (a,,b)", "no list of values"),
        ("site in (a b)", "no list of values"),
        ("site > 3", "not understood"),
        ("x" * 5000, "at most 4096"),
    ],
)
def test_selector_that_makes_no_sense_says_where(text: str, words: str):
    with pytest.raises(FormatError, match=words):
        parse_selector(text)
