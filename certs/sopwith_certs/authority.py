"""The fleet's built-in certificate authority, behind the `Issuer` port that an outside authority can fill too.

This module decides what a certificate says: key, SPIFFE id, purposes, life. Who may have one is decided before, by the
controller's enrolment. Of a certificate request only the public key is taken, after its signature proved that the asker
holds the private half; the subject and extensions that it wishes for are not looked at.

Rules: P-256 keys only; the authority lives 10 years and signs no other authority; certificates live 30 days and never
longer than the authority; every certificate has key identifiers (newer Pythons refuse those without); a controller's
certificate also serves (serverAuth, DNS and IP names), everybody else's is for clients only, so that a stolen
computer's certificate cannot play controller. A certificate begins an hour early for computers whose clocks are slow.
"""

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sopwith_certs.identity import Kind, check_trust_domain, spiffe_id
from sopwith_certs.signing import PrivateKey, PublicKey, as_p256, load_private_key, new_key, save_private_key
from sopwith_formats.durable import durable_write, make_private_folder
from sopwith_formats.errors import FormatError

AUTHORITY_LIFE = timedelta(days=3652)
CERTIFICATE_LIFE = timedelta(days=30)
EARLY_START = timedelta(hours=1)

CERTIFICATE_FILE = "ca.pem"
KEY_FILE = "ca_key.pem"


@dataclass(frozen=True)
class Subject:
    """Whom a certificate is for. DNS names and IP addresses are for controllers only."""

    kind: Kind
    id: str
    dns_names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


class Issuer(Protocol):
    """What the controller asks of an authority."""

    @property
    def trust_domain(self) -> str:
        """Name of the fleet in every SPIFFE id."""

    @property
    def trust_bundle_pem(self) -> bytes:
        """The authorities that the fleet trusts, PEM, one after the other."""

    @property
    def fingerprint(self) -> str:
        """The authority's fingerprint as join strings carry it."""

    def issue(self, public_key: PublicKey, subject: Subject, now: datetime) -> x509.Certificate:
        """Return a new certificate; raise FormatError for a subject that cannot stand in one."""


class Authority:
    """The built-in authority: one P-256 root that signs directly."""

    def __init__(self, private_key: PrivateKey, certificate: x509.Certificate, trust_domain: str) -> None:
        check_trust_domain(trust_domain)
        if as_p256(certificate.public_key()) != private_key.public_key():
            raise FormatError("the authority's key and certificate do not belong together")
        self._private_key = private_key
        self.certificate = certificate
        self._trust_domain = trust_domain

    @classmethod
    def create(cls, organization: str, trust_domain: str, now: datetime) -> Self:
        """Return a new authority; nothing is written."""
        key = new_key()
        name = _name((NameOID.ORGANIZATION_NAME, organization), (NameOID.COMMON_NAME, f"Authority of {trust_domain}"))
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - EARLY_START)
            .not_valid_after(now + AUTHORITY_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate, trust_domain)

    @classmethod
    def load(cls, folder: Path, trust_domain: str) -> Self:
        """Return the authority that `save` wrote; raise FormatError or OSError when it is not there whole."""
        path = folder / CERTIFICATE_FILE
        return cls(load_private_key(folder / KEY_FILE), read_certificate(path.read_bytes(), str(path)), trust_domain)

    def save(self, folder: Path) -> None:
        """Write key (0600) and certificate durably into a private folder."""
        make_private_folder(folder)
        save_private_key(folder / KEY_FILE, self._private_key)
        durable_write(folder / CERTIFICATE_FILE, self.trust_bundle_pem)

    @property
    def trust_domain(self) -> str:
        """Name of the fleet in every SPIFFE id."""
        return self._trust_domain

    @property
    def trust_bundle_pem(self) -> bytes:
        """The authority's certificate, PEM."""
        return certificate_pem(self.certificate)

    @property
    def fingerprint(self) -> str:
        """The authority's fingerprint as join strings carry it."""
        return certificate_fingerprint(self.certificate)

    def issue(self, public_key: PublicKey, subject: Subject, now: datetime) -> x509.Certificate:
        """Return a new certificate for the subject, 30 days long."""
        serves = subject.kind is Kind.CONTROLLER
        if not serves and (subject.dns_names or subject.addresses):
            raise FormatError(f"a {subject.kind.value}'s certificate carries no network names")
        names = _names(self._trust_domain, subject)
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if serves:
            purposes.insert(0, ExtendedKeyUsageOID.SERVER_AUTH)
        authority = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return (
            x509.CertificateBuilder()
            .subject_name(_name((NameOID.COMMON_NAME, subject.id)))
            .issuer_name(self.certificate.subject)
            .public_key(as_p256(public_key))
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - EARLY_START)
            .not_valid_after(min(now + CERTIFICATE_LIFE, self.certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority), critical=False)
            .sign(self._private_key, hashes.SHA256())
        )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return the certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM)


def certificate_fingerprint(certificate: x509.Certificate) -> str:
    """Return "sha256:" and the digest of the certificate's DER bytes, as other tools print it too."""
    return "sha256:" + hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def read_certificate(pem: bytes, where: str = "") -> x509.Certificate:
    """Return the certificate of PEM bytes; raise FormatError otherwise."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise FormatError("is no certificate in PEM", where=where) from error


def _names(trust_domain: str, subject: Subject) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(spiffe_id(trust_domain, subject.kind, subject.id))]
    names.extend(x509.DNSName(name) for name in subject.dns_names)
    try:
        names.extend(x509.IPAddress(ipaddress.ip_address(address)) for address in subject.addresses)
    except ValueError as error:
        raise FormatError(f"an address of {subject.id} is none: {error}") from error
    return names


def _name(*parts: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    """Return a name of the parts that say something, each cut to the 64 bytes that X.520 allows."""
    cut = [(oid, text.strip().encode()[:64].decode(errors="ignore")) for oid, text in parts]
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in cut if text])


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
