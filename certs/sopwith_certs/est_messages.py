"""The bodies of EST (RFC 7030): certificate requests and certificates, as HTTP carries them.

This module decides how requests (PKCS#10) and certificates (PKCS#7, certs-only) are written and read, for both sides;
what is asked and answered belongs to `est` and to the controller's enrolment.

Rules: both are base64 of DER (RFC 7030, sections 4.1.3 and 4.2); a request counts only when it is signed by the key in
it, and the key is a P-256 one; nothing else of a request is read.
"""

import base64
import binascii

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from sopwith_certs.signing import PrivateKey, PublicKey, as_p256
from sopwith_formats.errors import FormatError

REQUEST_TYPE = "application/pkcs10"
CERTIFICATES_TYPE = "application/pkcs7-mime; smime-type=certs-only"
REQUEST_SIZE_MAX = 16 * 2**10
CERTIFICATES_SIZE_MAX = 256 * 2**10
_REMEDY = "send a PKCS#10 request with a P-256 key, signed by that key"


def make_request(private_key: PrivateKey) -> bytes:
    """Return a PKCS#10 request for the key, DER; its subject is empty, because nobody reads it."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(private_key, hashes.SHA256()).public_bytes(Encoding.DER)


def read_request(der: bytes) -> PublicKey:
    """Return the key that a request proves to hold; raise FormatError for any doubt."""
    if len(der) > REQUEST_SIZE_MAX:
        raise FormatError(f"the certificate request is longer than {REQUEST_SIZE_MAX} bytes", remedy=_REMEDY)
    try:
        request = x509.load_der_x509_csr(der)
        key = request.public_key()
        proven = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FormatError("is no certificate request", remedy=_REMEDY) from error
    if not proven:
        raise FormatError("the certificate request is not signed by its own key", remedy=_REMEDY)
    return as_p256(key)


def encode_body(der: bytes) -> bytes:
    """Return the base64 text that RFC 7030 puts into an HTTP body."""
    return base64.encodebytes(der)


def decode_body(body: bytes) -> bytes:
    """Return the DER of a body; line breaks are allowed anywhere, other strange letters are not."""
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error as error:
        raise FormatError("the body is no base64") from error


def encode_certificates(certificates: list[x509.Certificate]) -> bytes:
    """Return the body of a certs-only answer."""
    return encode_body(pkcs7.serialize_certificates(certificates, Encoding.DER))


def decode_certificates(body: bytes) -> list[x509.Certificate]:
    """Return the certificates of a certs-only answer; raise FormatError for anything else, and for none."""
    try:
        certificates = pkcs7.load_der_pkcs7_certificates(decode_body(body))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise FormatError("the answer holds no certificates") from error
    if not certificates:
        raise FormatError("the answer holds no certificates")
    return certificates
