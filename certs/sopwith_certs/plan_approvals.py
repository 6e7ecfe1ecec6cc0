"""Signing the approval of a plan, and proving who approved it; needs no network and no controller.

Two proofs: under a key that is known already (the controller knows its people's keys), and under a certificate that
comes along (a computer knows the fleet's authorities only). What the approval is worth is decided by who asks.
"""

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from sopwith_certs import signing
from sopwith_certs.authority import read_certificate
from sopwith_certs.errors import TrustError
from sopwith_certs.identity import Kind, identity_of_certificate
from sopwith_formats.errors import FormatError
from sopwith_formats.plan_approval import PlanApproval, read_envelope, signed_bytes, write_envelope
from sopwith_formats.units import parse_time

_AGAIN = "approve again"


def sign_approval(approval: PlanApproval, private_key: signing.PrivateKey) -> bytes:
    """Return the DSSE envelope of an approval."""
    payload = approval.payload()
    return write_envelope(payload, approval.key_id, signing.sign(private_key, signed_bytes(payload)))


def verify_approval(envelope_json: bytes, public_key: signing.PublicKey) -> PlanApproval:
    """Return what this key approved; raise TrustError when its signature does not hold, FormatError for no envelope."""
    approval, payload, signature = read_envelope(envelope_json)
    if approval.key_id != signing.fingerprint(public_key):
        raise TrustError("the approval names another key than the one that is bound to you", remedy=_AGAIN)
    if not signing.verify(public_key, signed_bytes(payload), signature):
        raise TrustError("the signature under the approval does not hold", remedy=_AGAIN)
    return approval


def verify_evidence(
    envelope_json: bytes, certificate_pem: bytes, *, authorities_pem: bytes, trust_domain: str
) -> tuple[str, PlanApproval]:
    """Return the id of the person that the certificate names, and what they approved.

    Raises TrustError unless one of the authorities issued the certificate to a person, it was valid when the approval
    was signed, and its key signed it; FormatError for bytes that are no envelope or certificate.
    """
    certificate = read_certificate(certificate_pem)
    if not any(_issued(authority, certificate) for authority in _authorities(authorities_pem)):
        raise TrustError("no authority of this fleet issued the approver's certificate", remedy=_AGAIN)
    identity = identity_of_certificate(certificate, trust_domain)
    if identity.kind is not Kind.PERSON:
        raise TrustError(f"a {identity.kind} signed the approval, not a person", remedy=_AGAIN)
    approval = verify_approval(envelope_json, signing.as_p256(certificate.public_key()))
    signed = parse_time(approval.signed_time)
    if not certificate.not_valid_before_utc <= signed <= certificate.not_valid_after_utc:
        raise TrustError("the approver's certificate was not valid when the approval was signed", remedy=_AGAIN)
    return identity.id, approval


def _authorities(pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise FormatError("holds no certificate authority") from error


def _issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
