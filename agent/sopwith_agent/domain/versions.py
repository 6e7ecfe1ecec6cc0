"""Which of two versions is newer, and whether an installed one meets a release's demand.

Versions compare as Debian's do (`[epoch:]upstream[-revision]`, digits as numbers, a tilde before everything, even
before the end), which also orders plain dotted versions as people expect; see deb-version(7). A demand is a row of
comparisons parted by commas, for example ">=2.9, <3".

>>> compare("1.9", "1.10"), compare("2.0~rc1", "2.0"), meets("2.10", ">=2.9")
(-1, -1, True)
"""

import re

from sopwith_formats.errors import FormatError

_PART = re.compile(r"(>=|<=|==|=|>|<)\s*(\S+)")


def compare(first: str, second: str) -> int:
    """Return -1, 0 or 1: the first is older, equal, newer."""
    for one, two in zip(_split(first), _split(second), strict=True):
        order = _compare_part(one, two)
        if order:
            return order
    return 0


def meets(version: str, demand: str) -> bool:
    """Tell whether the version meets every comparison; raise FormatError for a demand that is none."""
    for part in filter(None, (item.strip() for item in demand.split(","))):
        match = _PART.fullmatch(part)
        if not match:
            raise FormatError(f"{part!r} is no comparison", where="requires.from", remedy='write it like ">=2.9"')
        order = compare(version, match[2])
        wanted = {">=": (0, 1), "<=": (-1, 0), "==": (0,), "=": (0,), ">": (1,), "<": (-1,)}[match[1]]
        if order not in wanted:
            return False
    return True


def _split(version: str) -> tuple[str, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
    return epoch, upstream, revision


def _compare_part(one: str, two: str) -> int:
    first, second = _weights(one), _weights(two)
    return (first > second) - (first < second)


def _weights(text: str) -> list[tuple[list[int], int]]:
    """Return alternating runs of letters and digits in a form that sorts as Debian sorts."""
    runs = re.findall(r"(\D*)(\d*)", text)  # the last one is empty: the end, which a tilde stands before
    return [([*map(_weight, letters), 0], int(digits or "0")) for letters, digits in runs]


def _weight(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256
