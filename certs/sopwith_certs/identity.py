"""Who a certificate says its holder is.

This module decides how a SPIFFE id is written and read, and turns a verified certificate into an `Identity`. It never
verifies a signature: the TLS handshake did that against the fleet's authorities before anything here is asked. Whether
the identity may do something, or was revoked, is decided by the tables of the controller on each call.

Rules: exactly one URI name per certificate, `spiffe://<trust_domain>/<kind>/<id>`; the kind is one of three; the trust
domain is the fleet's own; ids are 1 to 64 letters, digits, dots, dashes and underlines. All else has no identity.

>>> spiffe_id("example", Kind.COMPUTER, "c-1")
'spiffe://example/computer/c-1'
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cryptography import x509

from sopwith_certs.errors import TrustError
from sopwith_formats.errors import FormatError

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TRUST_DOMAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,126}")
_REMEDY = "enrol again with a join string of this fleet"


class Kind(StrEnum):
    """What sort of holder a certificate has."""

    COMPUTER = "computer"
    PERSON = "person"
    CONTROLLER = "controller"


@dataclass(frozen=True)
class Identity:
    """A certificate's holder. `serial` is the certificate's number in hexadecimal digits without leading zeros."""

    kind: Kind
    id: str
    serial: str
    not_after: datetime


def check_trust_domain(trust_domain: str) -> None:
    """Raise FormatError unless the text can stand in a SPIFFE id."""
    if not _TRUST_DOMAIN.fullmatch(trust_domain):
        raise FormatError(
            f"{trust_domain!r} is no trust domain", remedy="use lower-case letters, digits, dots and dashes"
        )


def spiffe_id(trust_domain: str, kind: Kind, identifier: str) -> str:
    """Return the SPIFFE id; raise FormatError for parts that could be read in two ways."""
    check_trust_domain(trust_domain)
    if not _ID.fullmatch(identifier):
        raise FormatError(f"{identifier!r} is no id", remedy="use 1 to 64 letters, digits, dots, dashes, underlines")
    return f"spiffe://{trust_domain}/{kind.value}/{identifier}"


def read_spiffe_id(uri: str, trust_domain: str) -> tuple[Kind, str]:
    """Return kind and id; raise TrustError for another trust domain or anything that is no SPIFFE id of ours."""
    prefix = f"spiffe://{trust_domain}/"
    kind, slash, identifier = uri.removeprefix(prefix).partition("/")
    if not uri.startswith(prefix) or not slash or kind not in set(Kind) or not _ID.fullmatch(identifier):
        raise TrustError(f"the certificate names {uri[:200]!r}, nobody of the fleet {trust_domain}", remedy=_REMEDY)
    return Kind(kind), identifier


def identity_of_certificate(certificate: x509.Certificate, trust_domain: str) -> Identity:
    """Return whom a verified certificate names; raise TrustError when it names nobody, or several."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, ValueError) as error:
        raise TrustError("the certificate names nobody", remedy=_REMEDY) from error
    if len(uris) != 1:
        raise TrustError(f"the certificate has {len(uris)} URI names; exactly one is read", remedy=_REMEDY)
    kind, identifier = read_spiffe_id(uris[0], trust_domain)
    return Identity(kind, identifier, serial_of(certificate), certificate.not_valid_after_utc)


def identity_of_peer(auth_context: Mapping[str, Iterable[bytes]], trust_domain: str) -> Identity:
    """Return the identity of a gRPC peer from `context.auth_context()`; raise TrustError when there is none."""
    pems = list(auth_context.get("x509_pem_cert", ()))
    if len(pems) != 1:
        raise TrustError("the caller showed no certificate", remedy=_REMEDY)
    try:
        certificate = x509.load_pem_x509_certificate(pems[0])
    except ValueError as error:
        raise TrustError("the caller's certificate cannot be read", remedy=_REMEDY) from error
    return identity_of_certificate(certificate, trust_domain)


def serial_of(certificate: x509.Certificate) -> str:
    """Return the certificate's number as tables and log entries keep it."""
    return f"{certificate.serial_number:x}"
