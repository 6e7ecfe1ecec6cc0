"""The tree: known roots, and proofs checked against a second, naive reading of RFC 6962."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopwith_formats import merkle

# Leaves and roots of the certificate-transparency project's reference test vectors.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(leaves: list[bytes]) -> bytes:
    """Return the root as RFC 6962, section 2.1 defines it."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:half]) + naive_root(leaves[half:])).digest()


def grown(leaves: list[bytes]) -> tuple[merkle.Frontier, dict[tuple[int, int], bytes]]:
    tree, nodes = merkle.Frontier(), {}
    for leaf in leaves:
        nodes.update({(node.level, node.index): node.digest for node in tree.append(merkle.leaf_hash(leaf))})
    return tree, nodes


@pytest.mark.parametrize("size", range(9))
def test_root_is_that_of_the_reference_vectors(size):
    tree, _ = grown(LEAVES[:size])

    assert tree.root().hex() == ROOTS[size]


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_root_is_that_of_the_definition(leaves):
    assert grown(leaves)[0].root() == naive_root(leaves)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 9, 63, 64, 65])
def test_a_tree_goes_on_from_its_stored_edge(size):
    leaves = [bytes([number]) for number in range(size + 5)]
    _, nodes = grown(leaves[:size])

    tree = merkle.Frontier(size, [nodes[address] for address in merkle.frontier_addresses(size)])
    for leaf in leaves[size:]:
        tree.append(merkle.leaf_hash(leaf))

    assert tree.root() == naive_root(leaves)


def test_an_edge_that_does_not_fit_its_size_is_refused():
    with pytest.raises(ValueError, match="3 leaves"):
        merkle.Frontier(3, [bytes(32)])


def test_every_leaf_of_every_tree_is_proved_and_no_other_place_is():
    for size in range(1, 34):
        leaves = [bytes([number]) for number in range(size)]
        tree, nodes = grown(leaves)
        for index in range(size):
            leaf = merkle.leaf_hash(leaves[index])
            hashes = merkle.proof(merkle.inclusion_ranges(index, size), lambda *at, nodes=nodes: nodes[at])

            assert merkle.verify_inclusion(index, size, leaf, hashes, tree.root())
            assert not merkle.verify_inclusion((index + 1) % size, size, leaf, hashes, tree.root()) or size == 1
            assert not merkle.verify_inclusion(index, size, leaf, [*hashes, bytes(32)], tree.root())
            assert not merkle.verify_inclusion(index, size, bytes(32), hashes, tree.root())
            assert not hashes or not merkle.verify_inclusion(index, size, leaf, hashes[:-1], tree.root())


def test_every_growth_is_proved_and_no_other_past_is():
    for new in range(1, 34):
        leaves = [bytes([number]) for number in range(new)]
        tree, nodes = grown(leaves)
        for old in range(1, new + 1):
            old_root = naive_root(leaves[:old])
            hashes = merkle.proof(merkle.consistency_ranges(old, new), lambda *at, nodes=nodes: nodes[at])

            assert merkle.verify_consistency(old, new, old_root, tree.root(), hashes)
            assert not merkle.verify_consistency(old, new, bytes(32), tree.root(), hashes)
            assert not merkle.verify_consistency(old, new, old_root, bytes(32), hashes)
            assert not merkle.verify_consistency(old, new, old_root, tree.root(), [*hashes, bytes(32)])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 4)])
def test_there_is_no_proof_of_a_leaf_outside_the_tree(index, size):
    with pytest.raises(ValueError, match="no leaf"):
        merkle.inclusion_ranges(index, size)
    assert not merkle.verify_inclusion(index, size, bytes(32), [], bytes(32))


@pytest.mark.parametrize(("old", "new"), [(0, 4), (5, 4)])
def test_there_is_no_proof_of_shrinking_or_of_growth_from_nothing(old, new):
    with pytest.raises(ValueError, match="does not grow"):
        merkle.consistency_ranges(old, new)
    assert not merkle.verify_consistency(old, new, bytes(32), bytes(32), [bytes(32)])
