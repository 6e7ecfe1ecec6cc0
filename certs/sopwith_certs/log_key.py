"""The log key: an Ed25519 key of its own that signs checkpoints of the update log, and nothing else.

This module decides how the key is kept and used; what a checkpoint says is `sopwith_formats.checkpoint`'s. Rules: the
key has the log's origin as its name; it lies in one private file, in the text form that Go's `sumdb/note` uses; neither
repr nor error shows it.
"""

import base64
import binascii
import os
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sopwith_formats import checkpoint
from sopwith_formats.checkpoint import VerifierKey
from sopwith_formats.durable import durable_replace
from sopwith_formats.errors import FormatError

_PREFIX = "PRIVATE+KEY"
_ED25519 = b"\x01"
_SEED_BYTES = 32
_PARTS = 5


class LogKey:
    """The private log key."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = VerifierKey(checkpoint.check_name(name), self._key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"LogKey({self.verifier.text()})"

    def sign(self, size: int, root: bytes) -> str:
        """Return the signed checkpoint of the log at a size."""
        origin = self.verifier.name
        signature = self._key.sign(checkpoint.body(origin, size, root))
        return checkpoint.note(origin, size, root, self.verifier, signature)

    def save(self, path: Path) -> None:
        """Write the key to its file, for this user only."""
        key = base64.b64encode(_ED25519 + self._seed).decode()
        line = f"{_PREFIX}+{self.verifier.name}+{self.verifier.key_id.hex()}+{key}\n"
        durable_replace(path, line.encode(), 0o600)


def make_log_key(name: str) -> LogKey:
    """Return a new key; `name` is the log's origin, for example the trust domain."""
    return LogKey(name, os.urandom(_SEED_BYTES))


def load_log_key(path: Path) -> LogKey:
    """Return the key of its file; raise FormatError when the file holds none."""
    parts = path.read_text(encoding="utf-8").strip().split("+", _PARTS - 1)
    remedy = "restore the log key from the backup of the controller's pki folder"
    if len(parts) != _PARTS or "+".join(parts[:2]) != _PREFIX:
        raise FormatError("is no log key", where=str(path), remedy=remedy)
    try:
        data = base64.b64decode(parts[4], validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if data[:1] != _ED25519 or len(data) != 1 + _SEED_BYTES:
        raise FormatError("is no Ed25519 log key", where=str(path), remedy=remedy)
    key = LogKey(parts[2], data[1:])
    if key.verifier.key_id.hex() != parts[3]:
        raise FormatError("is a log key whose id does not fit", where=str(path), remedy=remedy)
    return key


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether the signature of a message holds."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
