"""Names for new things: unguessable, never reused, short enough to type.

Rules: 12 characters of an alphabet without look-alikes carry 60 bits, so that a million assignments do not collide; a
secret carries 256 bits.
"""

import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH = 12


class RandomIds:
    """Makes ids from the system's randomness."""

    def new(self, prefix: str) -> str:
        """Return a new id such as r-7k2m9qx4t0cd."""
        return f"{prefix}-{''.join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))}"

    def secret(self) -> str:
        """Return a new secret of 256 bits, URL-safe text."""
        return secrets.token_urlsafe(32)
