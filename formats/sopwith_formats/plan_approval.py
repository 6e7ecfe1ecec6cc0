"""What an approver says about a rollout's plan, and the DSSE envelope that carries it: one statement, one signature.

Decides the payload's keys and the bytes that are signed; keys are left to `sopwith_certs.plan_approvals`. The payload
names the plan by its digest, so that an approval can never count for a plan that changed afterwards.
"""

import base64
import binascii
from dataclasses import dataclass

from sopwith_formats import canonical_json, typed_json
from sopwith_formats.dsse_statement import pre_authentication_encoding
from sopwith_formats.errors import FormatError
from sopwith_formats.units import parse_time

FORMAT = 1
PAYLOAD_TYPE = "application/vnd.sopwith.plan-approval+json"
ENVELOPE_BYTES_MAX = 16 * 2**10


@dataclass(frozen=True)
class PlanApproval:
    """One person's approval. The digest has 64 hexadecimal digits."""

    rollout_id: str
    plan_sha256: str
    person: str
    signed_time: str
    """RFC 3339, UTC, by the approver's clock."""
    key_id: str
    """Fingerprint of the signing key."""

    def payload(self) -> bytes:
        """Return the canonical bytes."""
        return typed_json.write_document(self, version=FORMAT)


def signed_bytes(payload: bytes) -> bytes:
    """Return what the signature is made over: DSSE's pre-authentication encoding."""
    return pre_authentication_encoding(PAYLOAD_TYPE, payload)


def write_envelope(payload: bytes, key_id: str, signature: bytes) -> bytes:
    """Return the envelope as DSSE JSON."""
    return canonical_json.encode(
        {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": key_id, "sig": base64.b64encode(signature).decode()}],
        }
    )


def read_envelope(data: bytes) -> tuple[PlanApproval, bytes, bytes]:
    """Return approval, payload and signature of an envelope; raise FormatError when anything breaks the format."""
    document = canonical_json.decode(data, size_max=ENVELOPE_BYTES_MAX)
    try:
        kind, (signature,) = document["payloadType"], document["signatures"]
        payload = base64.b64decode(document["payload"], validate=True)
        signed = base64.b64decode(signature["sig"], validate=True)
    except (TypeError, KeyError, ValueError, binascii.Error) as error:
        raise FormatError("is no DSSE envelope with one signature") from error
    if kind != PAYLOAD_TYPE:
        raise FormatError(f"carries {kind!r}, not {PAYLOAD_TYPE}", where="payloadType")
    approval = typed_json.read_document(PlanApproval, payload, version=FORMAT, size_max=ENVELOPE_BYTES_MAX)
    parse_time(approval.signed_time)
    return approval, payload, signed
