"""Whether a checkpoint's Ed25519 signature holds, without loading nine megabytes of library for it.

Decides by which implementation that is asked: the cryptography library where something else has loaded it already, else
the pure Python one that securesystemslib keeps for the same purpose. A checkpoint comes with every Welcome and up to
once a minute, so an agent at rest would otherwise carry the library for ever. Signature, key and message are public,
so that an implementation whose time depends on them gives nothing away; it takes some milliseconds.
"""

import sys


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether the signature of a message holds."""
    if "cryptography.hazmat.primitives.asymmetric.ed25519" not in sys.modules:
        try:
            from securesystemslib._vendor.ed25519 import ed25519
        except ImportError:
            pass  # a later version of that library may lay it elsewhere
        else:
            return _verify(ed25519, public, message, signature)
    from sopwith_certs import log_key

    return log_key.verify(public, message, signature)


def _verify(ed25519: object, public: bytes, message: bytes, signature: bytes) -> bool:
    try:
        ed25519.checkvalid(signature, message, public)  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001  it tells a wrong signature, a wrong length and a wrong point in different ways
        return False
    return True
