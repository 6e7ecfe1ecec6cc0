"""Proving signatures of `ssh-keygen -Y sign` without OpenSSH: offline, years later, on any machine.

Decides which keys sign a SOP and when a signature holds; the bytes are `sopwith_formats.ssh_signature`'s. Rules:

- keys: Ed25519, ECDSA on P-256, P-384 and P-521, RSA of 3,072 bits or more, and the security keys `sk-ssh-ed25519` and
  `sk-ecdsa-sha2-nistp256`; certificates, DSA and everything else are refused;
- RSA signs with SHA-2 (`rsa-sha2-256`, `rsa-sha2-512`), never with SHA-1;
- a security key's signature counts only when somebody touched the key, which its flags say.
"""

import base64

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sopwith_certs.errors import TrustError
from sopwith_formats.errors import FormatError
from sopwith_formats.ssh_signature import Reader, SshPublicKey, SshSignature, read_public_key, write_string

RSA_BITS_MIN = 3072
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "ecdsa-sha2-nistp256": hashes.SHA256(),
    "ecdsa-sha2-nistp384": hashes.SHA384(),
    "ecdsa-sha2-nistp521": hashes.SHA512(),
    "rsa-sha2-256": hashes.SHA256(),
    "rsa-sha2-512": hashes.SHA512(),
}
_SECURITY_KEYS = {
    "sk-ssh-ed25519@openssh.com": "ssh-ed25519",
    "sk-ecdsa-sha2-nistp256@openssh.com": "ecdsa-sha2-nistp256",
}
_TOUCHED = 0x01
_REMEDY = "make one with: ssh-keygen -t ed25519"


def check_key(line: str) -> SshPublicKey:
    """Return the key of one line when it may sign SOPs; raise FormatError otherwise."""
    key = read_public_key(line)
    loaded = _loaded(key)
    if isinstance(loaded, rsa.RSAPublicKey) and loaded.key_size < RSA_BITS_MIN:
        raise FormatError(f"is an RSA key of {loaded.key_size} bits; {RSA_BITS_MIN} are needed", remedy=_REMEDY)
    return key


def verify_ssh(signature: SshSignature, message: bytes, line: str) -> None:
    """Raise TrustError unless this key signed the message; FormatError when the key cannot sign SOPs."""
    key = check_key(line)
    if signature.public_key.blob != key.blob:
        raise TrustError(
            f"the signature was made with the key {signature.public_key.fingerprint}, not with {key.fingerprint}",
            remedy="sign with the key that is bound to you",
        )
    if not _holds(signature, key, signature.signed_bytes(message)):
        raise TrustError(
            "the signature does not hold over this statement", remedy="sign the file exactly as it was downloaded"
        )


def _holds(signature: SshSignature, key: SshPublicKey, signed: bytes) -> bool:
    reader = Reader(signature.value)
    value = reader.string()
    algorithm = signature.algorithm
    if key.kind in _SECURITY_KEYS:
        flags, counter = reader.take(1), reader.take(4)
        if algorithm != key.kind or not flags[0] & _TOUCHED:
            return False
        application = key.fields[-1]
        signed = _digest(application) + flags + counter + _digest(signed)
        algorithm = _SECURITY_KEYS[key.kind]
    reader.finish()
    loaded = _loaded(key)
    try:
        if isinstance(loaded, ed25519.Ed25519PublicKey) and algorithm == "ssh-ed25519":
            loaded.verify(value, signed)
        elif isinstance(loaded, ec.EllipticCurvePublicKey) and algorithm == f"ecdsa-sha2-{_curve(loaded)}":
            loaded.verify(_dss(value), signed, ec.ECDSA(_HASHES[algorithm]))
        elif isinstance(loaded, rsa.RSAPublicKey) and algorithm.startswith("rsa-sha2-") and algorithm in _HASHES:
            loaded.verify(value, signed, padding.PKCS1v15(), _HASHES[algorithm])
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _loaded(key: SshPublicKey) -> object:
    """Return the key for the library; a security key is an ordinary one that is asked otherwise."""
    plain = key
    if key.kind in _SECURITY_KEYS:
        kind = _SECURITY_KEYS[key.kind]
        parts = (kind.encode(), *key.fields[:-1])
        plain = SshPublicKey(kind, b"".join(write_string(part) for part in parts), key.fields[:-1])
    text = f"{plain.kind} {base64.b64encode(plain.blob).decode()}"
    try:
        loaded = serialization.load_ssh_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FormatError(f"is a key of the kind {key.kind[:40]!r}, which signs no SOP", remedy=_REMEDY) from error
    if not isinstance(loaded, ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise FormatError(f"is a key of the kind {key.kind[:40]!r}, which signs no SOP", remedy=_REMEDY)
    return loaded


def _curve(key: ec.EllipticCurvePublicKey) -> str:
    return {"secp256r1": "nistp256", "secp384r1": "nistp384", "secp521r1": "nistp521"}[key.curve.name]


def _dss(value: bytes) -> bytes:
    """Return ECDSA's two numbers as the library wants them."""
    reader = Reader(value)
    r, s = (int.from_bytes(reader.string()) for _ in range(2))
    reader.finish()
    return encode_dss_signature(r, s)


def _digest(data: bytes) -> bytes:
    digest = hashes.Hash(hashes.SHA256())
    digest.update(data)
    return digest.finalize()
