"""What certificates of the built-in authority say, and what they never say."""

import ssl
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from sopwith_certs.authority import Authority, Subject, certificate_fingerprint
from sopwith_certs.est_messages import make_request, read_request
from sopwith_certs.identity import Kind
from sopwith_certs.signing import new_key
from sopwith_formats.errors import FormatError
from tests.certs.fleet import TRUST_DOMAIN, authority, now


def purposes(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)


def names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def test_computer_certificate_is_for_clients_only_and_names_the_computer() -> None:
    issuer, at = authority(), now()

    certificate = issuer.issue(new_key().public_key(), Subject(Kind.COMPUTER, "c-1"), at)

    assert purposes(certificate) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert [name.value for name in names(certificate)] == [f"spiffe://{TRUST_DOMAIN}/computer/c-1"]
    assert certificate.not_valid_after_utc - at > timedelta(days=29, hours=23)
    assert certificate.not_valid_after_utc - at <= timedelta(days=30)


def test_controller_certificate_also_serves_under_its_network_names() -> None:
    subject = Subject(Kind.CONTROLLER, "k-1", ("updates.example.test",), ("127.0.0.1", "::1"))

    certificate = authority().issue(new_key().public_key(), subject, now())

    assert purposes(certificate) == [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    assert names(certificate).get_values_for_type(x509.DNSName) == ["updates.example.test"]
    assert [str(address) for address in names(certificate).get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_computer_gets_no_network_names() -> None:
    with pytest.raises(FormatError, match="no network names"):
        authority().issue(new_key().public_key(), Subject(Kind.COMPUTER, "c-1", ("localhost",)), now())


def test_certificates_keep_the_strict_rules_of_newer_pythons() -> None:
    issuer = authority()
    subject = Subject(Kind.CONTROLLER, "k-1", ("updates.example.test",))
    certificate = issuer.issue(new_key().public_key(), subject, now())

    verifier = (
        PolicyBuilder()
        .store(Store([issuer.certificate]))
        .time(now())
        .build_server_verifier(x509.DNSName("updates.example.test"))
    )
    chain = verifier.verify(certificate, [])

    assert chain == [certificate, issuer.certificate]
    assert ssl.PEM_cert_to_DER_cert(issuer.trust_bundle_pem.decode())


def test_serial_numbers_differ() -> None:
    issuer, key = authority(), new_key().public_key()

    serials = {issuer.issue(key, Subject(Kind.COMPUTER, "c-1"), now()).serial_number for _ in range(20)}

    assert len(serials) == 20


def test_certificate_never_outlives_the_authority() -> None:
    issuer = authority(now() - timedelta(days=3640))

    certificate = issuer.issue(new_key().public_key(), Subject(Kind.COMPUTER, "c-1"), now())

    assert certificate.not_valid_after_utc == issuer.certificate.not_valid_after_utc


def test_authority_lives_ten_years_and_signs_no_other_authority() -> None:
    certificate = authority().certificate

    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert timedelta(days=3650) < life < timedelta(days=3655)
    assert (constraints.ca, constraints.path_length) == (True, 0)


@pytest.mark.parametrize("organization", ["", "Ä" * 100, "Example & Söhne"])
def test_any_organization_can_have_an_authority(organization: str) -> None:
    issuer = Authority.create(organization, TRUST_DOMAIN, now())

    assert issuer.certificate.subject == issuer.certificate.issuer


def test_saved_authority_comes_back_with_a_private_key_file(tmp_path: Path) -> None:
    issuer = authority()

    issuer.save(tmp_path / "pki")

    loaded = Authority.load(tmp_path / "pki", TRUST_DOMAIN)
    assert loaded.fingerprint == issuer.fingerprint == certificate_fingerprint(issuer.certificate)
    assert stat.S_IMODE((tmp_path / "pki" / "ca_key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "pki").stat().st_mode) == 0o700


def test_key_of_another_authority_is_refused_at_loading(tmp_path: Path) -> None:
    authority().save(tmp_path / "one")
    authority().save(tmp_path / "two")
    (tmp_path / "one" / "ca_key.pem").write_bytes((tmp_path / "two" / "ca_key.pem").read_bytes())

    with pytest.raises(FormatError, match="do not belong together"):
        Authority.load(tmp_path / "one", TRUST_DOMAIN)


@pytest.mark.parametrize("identifier", ["", "../owner", "a/b", "x" * 65, "c 1", "c?1"])
def test_ids_that_could_be_read_in_two_ways_are_refused(identifier: str) -> None:
    with pytest.raises(FormatError, match="is no id"):
        authority().issue(new_key().public_key(), Subject(Kind.COMPUTER, identifier), now())


def test_request_proves_its_key() -> None:
    key = new_key()

    assert read_request(make_request(key)) == key.public_key()


def test_wishes_in_a_request_are_not_granted() -> None:
    key = new_key()
    wish = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "owner")]))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"spiffe://{TRUST_DOMAIN}/person/owner")]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )

    certificate = authority().issue(read_request(wish), Subject(Kind.COMPUTER, "c-1"), now())

    assert b"owner" not in certificate.public_bytes(Encoding.DER)


def test_request_with_a_broken_signature_is_refused() -> None:
    request = bytearray(make_request(new_key()))
    request[-1] ^= 1

    with pytest.raises(FormatError, match=r"not signed by its own key|no certificate request"):
        read_request(bytes(request))


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)], ids=["P-384", "RSA"]
)
def test_keys_of_another_kind_are_refused(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    with pytest.raises(FormatError, match=r"another kind|on the curve secp384r1"):
        read_request(request)


@pytest.mark.parametrize("data", [b"", b"\x30", b"hello" * 100, b"\x30\x82" + b"\xff" * 100, b"x" * 20_000])
def test_bytes_that_are_no_request_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match="certificate request"):
        read_request(data)
