"""What a signatory says about a SOP revision, and the envelope that carries it: DSSE, one or more signatures.

Decides the payload's keys, the bytes that are signed and the envelope's shape; keys and curves are left to
`sopwith_certs.statements`. Rules:

- payload: canonical JSON of `SopStatement`; a reader refuses any other writing, key or type;
- signed are the bytes of DSSE's pre-authentication encoding, `DSSEv1 <length> <type> <length> <payload>`, so that a
  signature over a SOP can never pass for one over something else;
- an envelope holds at most 16 signatures and each key once; unknown keys in it are refused.
"""

import base64
import binascii
import json
from dataclasses import dataclass

from sopwith_formats import canonical_json, typed_json
from sopwith_formats.errors import FormatError
from sopwith_formats.units import parse_time

FORMAT = 1
PAYLOAD_TYPE = "application/vnd.sopwith.sop-statement+json"
ENVELOPE_BYTES_MAX = 64 * 2**10
SIGNATURES_MAX = 16

DECISIONS = ("approve", "reject")
MEANINGS = {"owner": "authored", "it_manager": "reviewed", "authority": "approved"}
"""What a signature in each role means (clause VII)."""


@dataclass(frozen=True)
class SopStatement:
    """One person's word over one revision. Digests are 64 hexadecimal digits."""

    sop_id: str
    revision: int
    document_sha256: str
    policy_sha256: str
    decision: str
    meaning: str
    printed_name: str
    person_id: str
    role: str
    signed_time: str
    """RFC 3339, UTC, by the signatory's clock."""
    key_id: str
    """Fingerprint of the signing key."""
    public_key_pem: str
    """The signing key's public half, so that the envelope alone can be verified; whose key it is the roster says."""
    comment: str = ""
    challenge: str = ""
    """The one-time link or code that the signature was made with; empty: none was asked for."""

    def payload(self) -> bytes:
        """Return the canonical bytes."""
        return typed_json.write_document(self, version=FORMAT)


@dataclass(frozen=True)
class Signature:
    """One signature of an envelope."""

    key_id: str
    signature: bytes


@dataclass(frozen=True)
class Envelope:
    """A payload with its signatures."""

    payload: bytes
    signatures: tuple[Signature, ...]

    def signed_bytes(self) -> bytes:
        """Return the bytes that each signature is made over."""
        return pre_authentication_encoding(PAYLOAD_TYPE, self.payload)

    def statement(self) -> SopStatement:
        """Return what the payload says; raise FormatError when it is no statement."""
        return read_statement(self.payload)

    def to_json(self) -> bytes:
        """Return the envelope as DSSE JSON."""
        return canonical_json.encode(
            {
                "payloadType": PAYLOAD_TYPE,
                "payload": base64.b64encode(self.payload).decode(),
                "signatures": [
                    {"keyid": item.key_id, "sig": base64.b64encode(item.signature).decode()} for item in self.signatures
                ],
            }
        )


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's PAE, version 1."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def read_statement(payload: bytes) -> SopStatement:
    """Return the statement of signed bytes; raise FormatError when anything breaks the format."""
    statement = typed_json.read_document(SopStatement, payload, version=FORMAT, size_max=16 * 2**10)
    if statement.decision not in DECISIONS:
        raise FormatError(f"{statement.decision!r} is no decision", where="decision")
    if MEANINGS.get(statement.role) != statement.meaning:
        raise FormatError(f"{statement.meaning!r} is not what a {statement.role} signs", where="meaning")
    parse_time(statement.signed_time)
    return statement


def read_envelope(data: bytes) -> Envelope:
    """Return the envelope of DSSE JSON; raise FormatError when anything breaks the format."""
    if len(data) > ENVELOPE_BYTES_MAX:
        raise FormatError(f"is {len(data)} bytes long; at most {ENVELOPE_BYTES_MAX} are read")
    document = canonical_json.decode(data)
    if not isinstance(document, dict) or document.keys() != {"payloadType", "payload", "signatures"}:
        raise FormatError("is no DSSE envelope", remedy="an envelope has payloadType, payload and signatures")
    if document["payloadType"] != PAYLOAD_TYPE:
        raise FormatError(f"carries {document['payloadType']!r}, not {PAYLOAD_TYPE}", where="payloadType")
    items = document["signatures"]
    if not isinstance(items, list) or not 1 <= len(items) <= SIGNATURES_MAX:
        raise FormatError(f"needs 1 to {SIGNATURES_MAX} signatures", where="signatures")
    signatures = []
    for item in items:
        if not isinstance(item, dict) or item.keys() != {"keyid", "sig"} or not isinstance(item["keyid"], str):
            raise FormatError("holds something that is no signature", where="signatures")
        signatures.append(Signature(item["keyid"], _decoded(item["sig"], "sig")))
    if len({item.key_id for item in signatures}) != len(signatures):
        raise FormatError("holds two signatures of one key", where="signatures")
    return Envelope(_decoded(document["payload"], "payload"), tuple(signatures))


def envelope_text(data: bytes) -> str:
    """Return an envelope's JSON for people to keep in a file."""
    return json.dumps(json.loads(data), indent=2, sort_keys=True) + "\n"


def _decoded(value: object, where: str) -> bytes:
    if not isinstance(value, str):
        raise FormatError("is no text", where=where)
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError("is no base64", where=where) from error
