"""The second accepted form of a signed statement: the payload with a signature of `ssh-keygen -Y sign` over it.

Decides the file's shape only; the statement is `dsse_statement`'s, the signature `ssh_signature`'s. Rules: JSON with
`payloadType`, `payload` (base64 of the very bytes that were signed) and `sshSignature` (armoured); nothing else.
"""

import base64
import binascii
from dataclasses import dataclass

from sopwith_formats import canonical_json
from sopwith_formats.dsse_statement import ENVELOPE_BYTES_MAX, PAYLOAD_TYPE, SopStatement, read_statement
from sopwith_formats.errors import FormatError
from sopwith_formats.ssh_signature import SshSignature, read_signature

_KEYS = {"payloadType", "payload", "sshSignature"}


@dataclass(frozen=True)
class SshEnvelope:
    """The bytes that were signed, and the armoured signature."""

    payload: bytes
    armoured: str

    def statement(self) -> SopStatement:
        """Return what the payload says; raise FormatError when it is no statement."""
        return read_statement(self.payload)

    def signature(self) -> SshSignature:
        """Return the signature; raise FormatError when it is none."""
        return read_signature(self.armoured)

    def to_json(self) -> bytes:
        """Return the envelope as it is stored."""
        payload = base64.b64encode(self.payload).decode()
        return canonical_json.encode(
            {"payloadType": PAYLOAD_TYPE, "payload": payload, "sshSignature": self.armoured.strip() + "\n"}
        )


def is_ssh_envelope(data: bytes) -> bool:
    """Tell which of the two forms the bytes claim to be."""
    return b'"sshSignature"' in data


def read_ssh_envelope(data: bytes) -> SshEnvelope:
    """Return the envelope of JSON bytes; raise FormatError when anything breaks the format."""
    if len(data) > ENVELOPE_BYTES_MAX:
        raise FormatError(f"is {len(data)} bytes long; at most {ENVELOPE_BYTES_MAX} are read")
    document = canonical_json.decode(data)
    if not isinstance(document, dict) or document.keys() != _KEYS:
        raise FormatError("is no envelope", remedy="it has payloadType, payload and sshSignature")
    if document["payloadType"] != PAYLOAD_TYPE:
        raise FormatError(f"carries {document['payloadType']!r}, not {PAYLOAD_TYPE}", where="payloadType")
    if not isinstance(document["payload"], str) or not isinstance(document["sshSignature"], str):
        raise FormatError("is no text", where="payload")
    try:
        payload = base64.b64decode(document["payload"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError("is no base64", where="payload") from error
    return SshEnvelope(payload, document["sshSignature"])
