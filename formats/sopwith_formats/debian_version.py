"""The order of version numbers by Debian policy: `[epoch:]upstream[-revision]`, where `~` sorts before everything.

It orders versions of every kind of release, because plain dotted numbers come out as people expect.

>>> compare("1.10", "1.9"), compare("2.0~rc1", "2.0"), compare("1:0.1", "9.9"), compare("2.10-3", "2.10-3")
(1, -1, 1, 0)
"""

import re
from itertools import zip_longest

_RUNS = re.compile(r"(\D*)(\d*)")


def compare(left: str, right: str) -> int:
    """Return -1, 0 or 1 as the left version is lower than, equal to or higher than the right one."""
    left_key, right_key = _parts(left), _parts(right)
    if left_key[0] != right_key[0]:
        return 1 if left_key[0] > right_key[0] else -1
    return _compare_runs(left_key[1], right_key[1]) or _compare_runs(left_key[2], right_key[2])


def satisfies(version: str, relation: str, bound: str) -> bool:
    """Tell whether `version relation bound` holds; relations are <<, <=, =, >=, >> and for people <, ==, >."""
    order = compare(version, bound)
    return {
        "<<": order < 0,
        "<": order < 0,
        "<=": order <= 0,
        "=": order == 0,
        "==": order == 0,
        ">=": order >= 0,
        ">": order > 0,
        ">>": order > 0,
    }[relation]


def _parts(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon or not epoch.isdigit():
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return int(epoch), upstream, revision


def _compare_runs(left: str, right: str) -> int:
    for (left_text, left_digits), (right_text, right_digits) in zip_longest(
        _RUNS.findall(left), _RUNS.findall(right), fillvalue=("", "")
    ):
        order = _compare_text(left_text, right_text) or _sign(int(left_digits or 0) - int(right_digits or 0))
        if order:
            return order
    return 0


def _compare_text(left: str, right: str) -> int:
    for left_char, right_char in zip_longest(left, right, fillvalue=""):
        order = _sign(_weight(left_char) - _weight(right_char))
        if order:
            return order
    return 0


def _weight(char: str) -> int:
    if char == "~":
        return -1
    if not char:
        return 0
    return ord(char) if char.isalpha() else ord(char) + 256


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)
