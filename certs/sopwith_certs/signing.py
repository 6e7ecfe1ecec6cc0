"""P-256 keys: making, keeping, naming by fingerprint, signing and verifying.

This module decides the one kind of key that warrants, receipts and certificates use: ECDSA P-256 with SHA-256 (Ed25519
certificates fail in gRPC). What is signed, and the prefix that keeps one kind of document from passing for another,
belongs to `sopwith_formats.warrant` and `.receipt`. The source's keys and the update log's key are not made here.

Rules: private keys lie in PKCS#8 PEM files of mode 0600; a key of any other kind is refused where it is read.

>>> key = new_key()
>>> verify(key.public_key(), b"payload", sign(key, b"payload"))
True
"""

import hashlib
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sopwith_formats.durable import durable_write
from sopwith_formats.errors import FormatError

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey

_ALGORITHM = ec.ECDSA(hashes.SHA256())
_REMEDY = "Sopwith uses EC keys on the curve P-256"


def new_key() -> PrivateKey:
    """Return a new private key."""
    return ec.generate_private_key(ec.SECP256R1())


def sign(private_key: PrivateKey, data: bytes) -> bytes:
    """Return the DER signature over the data."""
    return private_key.sign(data, _ALGORITHM)


def verify(public_key: PublicKey, data: bytes, signature: bytes) -> bool:
    """Tell whether the signature over the data was made by the key; whatever is no signature was not."""
    try:
        public_key.verify(signature, data, _ALGORITHM)
    except (InvalidSignature, ValueError):
        return False
    return True


def fingerprint(public_key: PublicKey) -> str:
    """Return "sha256:" and the digest of the key's SubjectPublicKeyInfo, by which people and tables name a key."""
    return "sha256:" + hashlib.sha256(_spki(public_key, serialization.Encoding.DER)).hexdigest()


def private_key_pem(private_key: PrivateKey) -> bytes:
    """Return the key as unencrypted PKCS#8 PEM; write it with mode 0600 only."""
    return private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_key_pem(public_key: PublicKey) -> bytes:
    """Return the key as PEM."""
    return _spki(public_key, serialization.Encoding.PEM)


def read_private_key(pem: bytes) -> PrivateKey:
    """Return the private key of PEM bytes; raise FormatError for any other kind, never with a part of the key."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise FormatError("is no private key in unencrypted PEM", remedy=_REMEDY) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise FormatError("is a private key of another kind", remedy=_REMEDY)
    _check_curve(key.curve)
    return key


def read_public_key(pem: bytes) -> PublicKey:
    """Return the public key of PEM bytes; raise FormatError for any other kind."""
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FormatError("is no public key in PEM", remedy=_REMEDY) from error
    return as_p256(key)


def read_public_keys(pem: bytes) -> list[PublicKey]:
    """Return the public keys of several PEM blocks one after the other."""
    end = b"-----END PUBLIC KEY-----"
    return [read_public_key(block + end + b"\n") for block in pem.split(end)[:-1]]


def as_p256(key: object) -> PublicKey:
    """Return the key when it is a P-256 one; raise FormatError otherwise."""
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise FormatError("is a public key of another kind", remedy=_REMEDY)
    _check_curve(key.curve)
    return key


def load_private_key(path: Path) -> PrivateKey:
    """Return the private key of a file; FormatError names the file, OSError is the system's."""
    try:
        return read_private_key(path.read_bytes())
    except FormatError as error:
        raise FormatError(error.message, where=str(path), remedy=error.remedy) from error


def save_private_key(path: Path, private_key: PrivateKey) -> None:
    """Write the key durably with mode 0600."""
    durable_write(path, private_key_pem(private_key), 0o600)


def load_public_key(path: Path) -> PublicKey:
    """Return the public key of a file; FormatError names the file, OSError is the system's."""
    try:
        return read_public_key(path.read_bytes())
    except FormatError as error:
        raise FormatError(error.message, where=str(path), remedy=error.remedy) from error


def _spki(public_key: PublicKey, encoding: serialization.Encoding) -> bytes:
    return public_key.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


def _check_curve(curve: ec.EllipticCurve) -> None:
    if not isinstance(curve, ec.SECP256R1):
        raise FormatError(f"is a key on the curve {curve.name}", remedy=_REMEDY)
