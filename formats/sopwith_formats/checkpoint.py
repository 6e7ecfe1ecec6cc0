"""A checkpoint: what the update log was at a size, as a note signed by the log key (C2SP tlog-checkpoint).

This module decides the text, the key's text form and where a signature stands; the Ed25519 arithmetic is
`sopwith_certs.log_key`'s. Rules: a checkpoint is three lines (origin, size, base64 of the root) and no extension; a
signature is looked up by the key's name and its four-byte id, never by its place; the key's id binds name and key.
Go's `sumdb/note` and `sumdb/tlog` read the same bytes.

>>> body("log.example.test", 0, bytes(32)).decode().splitlines()[:2]
['log.example.test', '0']
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from sopwith_formats.errors import FormatError

SIZE_MAX = 2**53 - 1
_NOTE_CHARACTERS_MAX = 16_384
_ED25519 = b"\x01"
_KEY_BYTES = 32
_ID_BYTES = 4
_DASH = "\u2014"
_KEY_REMEDY = "the log key is one line, NAME+ID+KEY, as `sopwith log checkpoint` prints it"

Verify = Callable[[bytes, bytes, bytes], bool]
"""Tells whether (public key, message, signature) hold together."""


@dataclass(frozen=True)
class VerifierKey:
    """The public half of a log key: its name, which is the log's origin, and 32 bytes of Ed25519."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """Return the four bytes that stand before each signature."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_ID_BYTES]

    def text(self) -> str:
        """Return the one-line form."""
        return f"{self.name}+{self.key_id.hex()}+{_base64(_ED25519 + self.public)}"


@dataclass(frozen=True)
class NoteSignature:
    """One signature line of a note."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True)
class Checkpoint:
    """What a note says; nothing is believed before `is_signed_by` said yes."""

    origin: str
    size: int
    root: bytes
    signatures: tuple[NoteSignature, ...]
    note: str

    def is_signed_by(self, key: VerifierKey, verify: Verify) -> bool:
        """Tell whether this key's signature stands in the note and holds, and the origin is the key's name."""
        message = body(self.origin, self.size, self.root)
        return self.origin == key.name and any(
            (one.name, one.key_id) == (key.name, key.key_id) and verify(key.public, message, one.signature)
            for one in self.signatures
        )


def body(origin: str, size: int, root: bytes) -> bytes:
    """Return the signed bytes."""
    return f"{check_name(origin)}\n{size}\n{_base64(root)}\n".encode()


def note(origin: str, size: int, root: bytes, key: VerifierKey, signature: bytes) -> str:
    """Return the signed note."""
    return f"{body(origin, size, root).decode()}\n{_DASH} {key.name} {_base64(key.key_id + signature)}\n"


def read_checkpoint(text: str) -> Checkpoint:
    """Return what a note says; raise FormatError when it is no checkpoint."""
    if len(text) > _NOTE_CHARACTERS_MAX:
        raise FormatError("is too long for a checkpoint")
    said, blank, signatures = text.partition("\n\n")
    lines = said.split("\n")
    if not blank or len(lines) != 3 or not signatures.endswith("\n"):  # noqa: PLR2004  origin, size, root
        raise FormatError("is no checkpoint", remedy="a checkpoint is origin, size, root, an empty line and signatures")
    origin, size, root = lines
    if not re.fullmatch(r"0|[1-9]\d{0,15}", size) or int(size) > SIZE_MAX:
        raise FormatError(f"{size[:40]!r} is no size", where="line 2")
    digest = _unbase64(root, "line 3")
    if len(digest) != hashlib.sha256().digest_size:
        raise FormatError("is no SHA-256 root", where="line 3")
    read = tuple(_read_signature(line) for line in signatures[:-1].split("\n"))
    return Checkpoint(check_name(origin), int(size), digest, read, text)


def read_verifier_key(text: str) -> VerifierKey:
    """Return the key of its one-line form; raise FormatError when name, id and key do not belong together."""
    name, plus, rest = text.strip().partition("+")
    key_id, second_plus, encoded = rest.partition("+")
    if not plus or not second_plus:
        raise FormatError("is no log key", remedy=_KEY_REMEDY)
    data = _unbase64(encoded, "log key")
    if data[:1] != _ED25519 or len(data) != 1 + _KEY_BYTES:
        raise FormatError("is no Ed25519 log key", remedy=_KEY_REMEDY)
    key = VerifierKey(check_name(name), data[1:])
    if key.key_id.hex() != key_id:
        raise FormatError("is a log key whose id does not fit name and key", remedy=_KEY_REMEDY)
    return key


def check_name(name: str) -> str:
    """Return the name of a log or a key; raise FormatError for one that a note cannot carry."""
    if not name or "+" in name or any(one.isspace() or not one.isprintable() for one in name):
        raise FormatError(f"{name[:80]!r} is no name of a log", remedy="use a host name, without spaces and +")
    return name


def _read_signature(line: str) -> NoteSignature:
    match = re.fullmatch(rf"{_DASH} (\S+) (\S+)", line)
    data = _unbase64(match[2], "signature") if match else b""
    if not match or len(data) <= _ID_BYTES:
        raise FormatError("has a line that is no signature")
    return NoteSignature(match[1], data[:_ID_BYTES], data[_ID_BYTES:])


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(text: str, where: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError("is no base64", where=where) from error
