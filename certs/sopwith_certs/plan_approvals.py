"""Signing the approval of a plan, and proving who approved it; needs no network and no controller."""

from sopwith_certs import signing
from sopwith_certs.errors import TrustError
from sopwith_formats.plan_approval import PlanApproval, read_envelope, signed_bytes, write_envelope


def sign_approval(approval: PlanApproval, private_key: signing.PrivateKey) -> bytes:
    """Return the DSSE envelope of an approval."""
    payload = approval.payload()
    return write_envelope(payload, approval.key_id, signing.sign(private_key, signed_bytes(payload)))


def verify_approval(envelope_json: bytes, public_key: signing.PublicKey) -> PlanApproval:
    """Return what this key approved; raise TrustError when its signature does not hold, FormatError for no envelope."""
    approval, payload, signature = read_envelope(envelope_json)
    if approval.key_id != signing.fingerprint(public_key):
        raise TrustError("the approval names another key than the one that is bound to you", remedy="approve again")
    if not signing.verify(public_key, signed_bytes(payload), signature):
        raise TrustError("the signature under the approval does not hold", remedy="approve again")
    return approval
