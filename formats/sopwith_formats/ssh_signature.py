"""The bytes of OpenSSH: public keys, and the signatures that `ssh-keygen -Y sign` makes (PROTOCOL.sshsig).

Decides how keys and signatures are read and which bytes a signature is made over; the mathematics is left to
`sopwith_certs.ssh_signing`. Rules:

- a public key is one line, `TYPE BASE64 [COMMENT]`, as in a `.pub` file; the type inside the bytes is the same;
- a signature is armoured, version 1, over SHA-256 or SHA-512 of the message; its namespace keeps a signature over a SOP
  from passing for one over something else, and every other namespace is refused;
- nothing may follow what was read, and lengths never reach beyond the bytes.

>>> read_public_key("ssh-rsa AAAA")
Traceback (most recent call last):
    ...
sopwith_formats.errors.FormatError: ends before its time
"""

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

from sopwith_formats.errors import FormatError

NAMESPACE = "sop-statement@sopwith"
"""What `ssh-keygen -Y sign -n` is told: the signature is over a statement about a SOP revision."""
KEY_BYTES_MAX = 8 * 2**10
SIGNATURE_BYTES_MAX = 16 * 2**10
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_MAGIC = b"SSHSIG"
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}


@dataclass(frozen=True)
class SshPublicKey:
    """A public key as OpenSSH writes it; `blob` is the part that a fingerprint is made of."""

    kind: str
    blob: bytes
    fields: tuple[bytes, ...]
    """What follows the kind in the blob, undecoded."""

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint as `ssh-keygen -l` prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")

    def line(self) -> str:
        """Return the key as one line, without a comment."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"


@dataclass(frozen=True)
class SshSignature:
    """One signature: who made it, over which kind of document, and how."""

    public_key: SshPublicKey
    namespace: str
    hash_name: bytes
    algorithm: str
    """Such as ssh-ed25519 or rsa-sha2-512."""
    value: bytes
    """What the algorithm made; with a security key followed by its flags and counter."""
    reserved: bytes = b""

    def signed_bytes(self, message: bytes) -> bytes:
        """Return the bytes that the signature is made over."""
        digest = _HASHES[self.hash_name](message).digest()
        parts = (self.namespace.encode(), self.reserved, self.hash_name, digest)
        return _MAGIC + b"".join(write_string(part) for part in parts)


def read_public_key(line: str) -> SshPublicKey:
    """Return the key of one line; raise FormatError for anything else."""
    words = line.split()
    if len(words) < 2 or "\n" in line.strip():  # noqa: PLR2004  kind and key
        raise FormatError("is no OpenSSH public key", remedy="give the one line of a .pub file: ssh-ed25519 AAAA...")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError("is no OpenSSH public key: its second word is no base64") from error
    key = _public_key(blob)
    if key.kind != words[0]:
        raise FormatError(f"says {words[0][:40]!r} and holds a key of the kind {key.kind[:40]!r}")
    return key


def read_signature(armoured: str) -> SshSignature:
    """Return the signature of an armoured text; raise FormatError when anything breaks the format."""
    text = armoured.strip()
    if len(text) > SIGNATURE_BYTES_MAX:
        raise FormatError(f"is longer than {SIGNATURE_BYTES_MAX} bytes")
    if not text.startswith(_BEGIN) or not text.endswith(_END):
        raise FormatError(
            "is no signature of ssh-keygen", remedy=f"make one: ssh-keygen -Y sign -f KEY -n {NAMESPACE} FILE"
        )
    try:
        data = base64.b64decode("".join(text[len(_BEGIN) : -len(_END)].split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError("is no signature of ssh-keygen: what stands between its lines is no base64") from error
    reader = Reader(data)
    if reader.take(len(_MAGIC)) != _MAGIC or reader.number() != 1:
        raise FormatError("is a signature of a kind that is not known")
    key = _public_key(reader.string())
    namespace, reserved, hash_name = reader.string(), reader.string(), reader.string()
    inner = Reader(reader.string())
    reader.finish()
    if namespace != NAMESPACE.encode():
        shown = namespace[:40].decode("utf-8", "replace")
        raise FormatError(
            f"is made for {shown!r}, not for a SOP", remedy=f"sign with ssh-keygen -Y sign -n {NAMESPACE}"
        )
    if hash_name not in _HASHES:
        raise FormatError("uses a digest that is not known", remedy="use -O hashalg=sha512")
    algorithm = inner.text()
    return SshSignature(key, NAMESPACE, hash_name, algorithm, inner.rest(), reserved)


class Reader:
    """Reads SSH's wire format; raises FormatError where the bytes end early or go on too long."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        end = self._position + count
        if end > len(self._data):
            raise FormatError("ends before its time")
        piece = self._data[self._position : end]
        self._position = end
        return piece

    def number(self) -> int:
        """Return the next 32 bits."""
        return int(struct.unpack(">I", self.take(4))[0])

    def string(self) -> bytes:
        """Return the next length and bytes."""
        return self.take(self.number())

    def text(self) -> str:
        """Return the next string, which is ASCII."""
        try:
            return self.string().decode("ascii")
        except UnicodeDecodeError as error:
            raise FormatError("holds a name that is no ASCII") from error

    def rest(self) -> bytes:
        """Return everything that is left."""
        return self.take(len(self._data) - self._position)

    def more(self) -> bool:
        """Tell whether something is left."""
        return self._position < len(self._data)

    def finish(self) -> None:
        """Refuse what is left."""
        if self.more():
            raise FormatError("goes on after its end")


def write_string(data: bytes) -> bytes:
    """Return bytes with their length before them."""
    return struct.pack(">I", len(data)) + data


def _public_key(blob: bytes) -> SshPublicKey:
    if len(blob) > KEY_BYTES_MAX:
        raise FormatError(f"holds a key of more than {KEY_BYTES_MAX} bytes")
    reader = Reader(blob)
    kind, fields = reader.text(), []
    while reader.more():
        fields.append(reader.string())
    return SshPublicKey(kind, blob, tuple(fields))
