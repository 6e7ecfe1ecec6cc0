"""Keys that follow from words: the log tells their fingerprints, and the same seed has to tell the same."""

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec

from sopwith_certs.signing import PrivateKey


def key_of(words: str) -> PrivateKey:
    """Return the one key of these words; it guards nothing."""
    return ec.derive_private_key(int.from_bytes(hashlib.sha256(words.encode()).digest()) >> 8 | 1, ec.SECP256R1())
