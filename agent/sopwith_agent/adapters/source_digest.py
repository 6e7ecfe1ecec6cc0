"""Digests of an open file, taken in one pass from its descriptor.

From the descriptor, not from the name: what was read is what will be delivered, even if another process changes names
in between.
"""

import hashlib
import os
from collections.abc import Collection

KNOWN_DIGESTS = frozenset({"sha256", "sha384", "sha512"})
_PIECE = 2**20


def digests_of(descriptor: int, names: Collection[str]) -> dict[str, str]:
    """Return the hexadecimal digests of the whole file under an open descriptor, by name of the algorithm."""
    hashers = {name: hashlib.new(name) for name in names}
    os.lseek(descriptor, 0, os.SEEK_SET)
    while piece := os.read(descriptor, _PIECE):
        for hasher in hashers.values():
            hasher.update(piece)
    return {name: hasher.hexdigest() for name, hasher in hashers.items()}
