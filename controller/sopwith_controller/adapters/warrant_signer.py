"""The warrant key: a P-256 key of the controller's own, made by `init`, that signs nothing but warrants.

Agents learn its public half at enrolment, over a connection that they verified. The prefix keeps a warrant's signature
from passing for anything else.
"""

from pathlib import Path

from sopwith_certs.signing import PrivateKey, fingerprint, load_private_key, public_key_pem, sign
from sopwith_formats.warrant import PREFIX


class WarrantKey:
    """Signs warrants; satisfies the port `WarrantSigner`."""

    def __init__(self, private_key: PrivateKey) -> None:
        self._key = private_key
        self.key_id = fingerprint(private_key.public_key())
        self.public_key_pem = public_key_pem(private_key.public_key())

    @classmethod
    def load(cls, path: Path) -> "WarrantKey":
        """Return the key of a file; raise FormatError or OSError."""
        return cls(load_private_key(path))

    def sign(self, payload: bytes) -> bytes:
        """Return the signature over prefix and payload."""
        return sign(self._key, PREFIX + payload)
