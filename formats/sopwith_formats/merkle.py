"""The tree over the update log: what a root, a proof of inclusion and a proof of consistency are (RFC 6962, SHA-256).

This module decides hashing, shape and proofs; which bytes are a leaf is `log_entry`'s, who stores the nodes is the
controller's database. Rules: a leaf is hashed with 0x00 before it, an inner node with 0x01 before its two children, so
that neither can pass for the other; only complete subtrees are stored, each under (level, index), where level 0 are the
leaves; the root of nothing is the digest of nothing.

>>> tree = Frontier()
>>> [len(tree.append(leaf_hash(bytes([n])))) for n in range(4)]  # a leaf, and every subtree that it completes
[1, 2, 1, 3]
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

EMPTY_ROOT = hashlib.sha256(b"").digest()


@dataclass(frozen=True)
class TreeNode:
    """One complete subtree: the hash over 2**level leaves, beginning with leaf index * 2**level."""

    level: int
    index: int
    digest: bytes


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of one leaf."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a tree: all that is needed to append to it and to know its root."""

    def __init__(self, size: int = 0, digests: Iterable[bytes] = ()) -> None:
        """Begin at a size; `digests` are those of `frontier_addresses(size)` in that order."""
        self.size = size
        self._edge = list(digests)
        if len(self._edge) != size.bit_count():
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} subtrees at its edge")

    def append(self, leaf: bytes) -> list[TreeNode]:
        """Add a leaf's hash; return the subtrees that are complete now, the leaf first."""
        index, digest = self.size, leaf
        made = [TreeNode(0, index, digest)]
        while index & 1:
            digest = node_hash(self._edge.pop(), digest)
            index >>= 1
            made.append(TreeNode(made[-1].level + 1, index, digest))
        self._edge.append(digest)
        self.size += 1
        return made

    def edge(self) -> tuple[bytes, ...]:
        """Return what another Frontier begins with at this size."""
        return tuple(self._edge)

    def root(self) -> bytes:
        """Return the root over all leaves."""
        return fold(self._edge) if self._edge else EMPTY_ROOT


def fold(digests: Sequence[bytes]) -> bytes:
    """Return the hash over subtrees that stand side by side, the largest first."""
    *rest, result = digests
    for left in reversed(rest):
        result = node_hash(left, result)
    return result


def frontier_addresses(size: int) -> list[tuple[int, int]]:
    """Return (level, index) of the complete subtrees that make up the first `size` leaves, the largest first."""
    return range_addresses(0, size)


def range_addresses(start: int, end: int) -> list[tuple[int, int]]:
    """Return (level, index) of the subtrees that make up leaves start to end, for ranges that proofs speak of."""
    found = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append((level, start >> level))
        start += 1 << level
    return found


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Return the leaf ranges whose hashes prove that leaf `index` is in a tree of `size` (RFC 6962, PATH)."""
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    start, end, found = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def consistency_ranges(old: int, new: int) -> list[tuple[int, int]]:
    """Return the leaf ranges whose hashes prove that a tree grew from `old` to `new` (RFC 6962, PROOF)."""
    if not 0 < old <= new:
        raise ValueError(f"a tree does not grow from {old} to {new} leaves")
    start, end, found, whole = 0, new, [], True
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start, whole = middle, False
    if not whole:
        found.append((start, end))
    return found[::-1]


def proof(ranges: Iterable[tuple[int, int]], digest_at: Callable[[int, int], bytes]) -> list[bytes]:
    """Return the hashes of a proof; `digest_at` answers for (level, index) of a complete subtree."""
    return [fold([digest_at(*address) for address in range_addresses(*part)]) for part in ranges]


def verify_inclusion(index: int, size: int, leaf: bytes, hashes: Sequence[bytes], root: bytes) -> bool:
    """Tell whether the proof shows that the leaf with this hash is leaf `index` of the tree (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, result = index, size - 1, leaf
    for digest in hashes:
        if last == 0:
            return False
        if position & 1 or position == last:
            result = node_hash(digest, result)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            result = node_hash(result, digest)
        position, last = position >> 1, last >> 1
    return last == 0 and result == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, hashes: Sequence[bytes]) -> bool:
    """Tell whether the proof shows that the new tree begins with the whole old one (RFC 9162, 2.1.4.2)."""
    if old == new:
        return not hashes and old_root == new_root
    if not 0 < old < new or not hashes:
        return False
    path = list(hashes) if old & (old - 1) else [old_root, *hashes]
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    first = second = path[0]
    for digest in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            first, second = node_hash(digest, first), node_hash(digest, second)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            second = node_hash(second, digest)
        position, last = position >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def _split(count: int) -> int:
    """Return the largest power of two below `count`."""
    return 1 << ((count - 1).bit_length() - 1)
