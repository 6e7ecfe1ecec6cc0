"""Whether an installed version meets a release's demand.

Versions compare as Debian's do (`sopwith_formats.debian_version`), which also orders plain dotted versions as people
expect. A demand is a row of comparisons parted by commas, for example ">=2.9, <3".

>>> compare("1.9", "1.10"), meets("2.10", ">=2.9")
(-1, True)
"""

import re

from sopwith_formats.debian_version import compare, satisfies
from sopwith_formats.errors import FormatError

__all__ = ["compare", "meets"]

_PART = re.compile(r"(>=|<=|==|=|>|<)\s*([0-9A-Za-z]\S*)")


def meets(version: str, demand: str) -> bool:
    """Tell whether the version meets every comparison; raise FormatError for a demand that is none."""
    for part in filter(None, (item.strip() for item in demand.split(","))):
        match = _PART.fullmatch(part)
        if not match:
            raise FormatError(f"{part!r} is no comparison", where="requires.from", remedy='write it like ">=2.9"')
        if not satisfies(version, match[1], match[2]):
            return False
    return True
