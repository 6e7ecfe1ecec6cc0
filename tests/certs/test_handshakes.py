"""Real mTLS handshakes over loopback: who gets in, who stays out, and what a renewed server certificate does."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from sopwith_certs.authority import Authority, Subject, certificate_pem
from sopwith_certs.credentials import channel_credentials
from sopwith_certs.errors import TrustError
from sopwith_certs.identity import Kind, identity_of_certificate, identity_of_peer, read_spiffe_id
from sopwith_certs.pair import Pair
from sopwith_certs.renewal import write_pair
from sopwith_certs.signing import new_key, private_key_pem
from tests.certs.fleet import TRUST_DOMAIN, authority, call, lay_server, now, pair, serving


async def name_the_caller(_message: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    try:
        identity = identity_of_peer(context.auth_context(), TRUST_DOMAIN)
    except TrustError as error:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, error.message)
    return f"{identity.kind.value} {identity.id} {identity.serial}".encode()


async def refusal(address: str, credentials: grpc.ChannelCredentials) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call(address, credentials)
    code = error.value.code()
    assert isinstance(code, grpc.StatusCode)
    return code


async def test_computer_of_the_fleet_is_known_by_its_certificate(tmp_path: Path) -> None:
    issuer = authority()
    computer = pair(issuer, Kind.COMPUTER, "c-1")

    async with serving(*lay_server(tmp_path, issuer), name_the_caller) as address:
        answer = await call(address, channel_credentials(computer, issuer.trust_bundle_pem))

    assert answer.decode() == f"computer c-1 {computer.certificate.serial_number:x}"


async def test_nobody_gets_in_without_a_certificate(tmp_path: Path) -> None:
    issuer = authority()

    async with serving(*lay_server(tmp_path, issuer), name_the_caller) as address:
        code = await refusal(address, grpc.ssl_channel_credentials(issuer.trust_bundle_pem))

    assert code is grpc.StatusCode.UNAVAILABLE


async def test_strangers_certificate_stays_out(tmp_path: Path) -> None:
    issuer, stranger = authority(), trustme.CA()
    leaf = stranger.issue_cert("computer.stranger.test")
    shown = Pair(leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes())

    async with serving(*lay_server(tmp_path, issuer), name_the_caller) as address:
        code = await refusal(address, channel_credentials(shown, issuer.trust_bundle_pem))

    assert code is grpc.StatusCode.UNAVAILABLE


async def test_same_names_under_a_strangers_authority_stay_out(tmp_path: Path) -> None:
    issuer, stranger = authority(), authority()

    async with serving(*lay_server(tmp_path, issuer), name_the_caller) as address:
        code = await refusal(
            address, channel_credentials(pair(stranger, Kind.PERSON, "owner"), issuer.trust_bundle_pem)
        )

    assert code is grpc.StatusCode.UNAVAILABLE


async def test_expired_certificate_stays_out(tmp_path: Path) -> None:
    issuer = authority(now() - timedelta(days=100))
    expired = pair(issuer, Kind.COMPUTER, "c-1", now() - timedelta(days=31))

    async with serving(*lay_server(tmp_path, issuer), name_the_caller) as address:
        code = await refusal(address, channel_credentials(expired, issuer.trust_bundle_pem))

    assert code is grpc.StatusCode.UNAVAILABLE


async def test_certificate_for_serving_only_opens_no_connection(tmp_path: Path) -> None:
    issuer = authority()

    async with serving(*lay_server(tmp_path, issuer), name_the_caller) as address:
        code = await refusal(address, channel_credentials(server_only(issuer), issuer.trust_bundle_pem))

    assert code is grpc.StatusCode.UNAVAILABLE


async def test_computer_cannot_play_controller(tmp_path: Path) -> None:
    issuer = authority()
    server, bundle = lay_server(tmp_path, issuer)
    write_pair(server, pair(issuer, Kind.COMPUTER, "c-evil"))

    async with serving(server, bundle, name_the_caller) as address:
        code = await refusal(address, channel_credentials(pair(issuer, Kind.COMPUTER, "c-1"), issuer.trust_bundle_pem))

    assert code is grpc.StatusCode.UNAVAILABLE


async def test_strangers_controller_is_not_believed(tmp_path: Path) -> None:
    issuer, stranger = authority(), authority()

    async with serving(*lay_server(tmp_path, stranger), name_the_caller) as address:
        code = await refusal(address, channel_credentials(pair(issuer, Kind.COMPUTER, "c-1"), issuer.trust_bundle_pem))

    assert code is grpc.StatusCode.UNAVAILABLE


async def test_renewed_server_certificate_is_taken_up_without_a_restart(tmp_path: Path) -> None:
    issuer, successor = authority(), authority()
    server, bundle = lay_server(tmp_path, issuer)
    computer = pair(issuer, Kind.COMPUTER, "c-1")

    async with serving(server, bundle, name_the_caller) as address:
        before = await call(address, channel_credentials(computer, issuer.trust_bundle_pem))
        write_pair(server, pair(successor, Kind.CONTROLLER, "controller-1"))
        # Only the authority that signed the new pair is trusted now: the handshake proves which pair is shown.
        after = await call(address, channel_credentials(computer, successor.trust_bundle_pem))

    assert before == after


async def test_broken_server_files_leave_the_good_ones_in_force(tmp_path: Path) -> None:
    issuer = authority()
    server, bundle = lay_server(tmp_path, issuer)
    credentials = channel_credentials(pair(issuer, Kind.COMPUTER, "c-1"), issuer.trust_bundle_pem)

    async with serving(server, bundle, name_the_caller) as address:
        (server / "certificate.pem").unlink()
        (server / "certificate.pem").write_text("no certificate")
        (server / "pair" / "certificate.pem").write_text("no certificate")
        answer = await call(address, credentials)

    assert answer.startswith(b"computer c-1")


async def test_many_handshakes_during_swaps_all_succeed(tmp_path: Path) -> None:
    issuer = authority()
    server, bundle = lay_server(tmp_path, issuer)
    credentials = channel_credentials(pair(issuer, Kind.COMPUTER, "c-1"), issuer.trust_bundle_pem)

    async with serving(server, bundle, name_the_caller) as address:
        answers = []
        for number in range(40):
            if number % 10 == 0:
                write_pair(server, pair(issuer, Kind.CONTROLLER, "controller-1"))
            answers.append(await call(address, credentials))

    assert len(set(answers)) == 1


def test_certificate_of_another_fleet_names_nobody() -> None:
    elsewhere = Authority.create("Other", "elsewhere.test", now())
    certificate = pair(elsewhere, Kind.PERSON, "p-1").certificate

    with pytest.raises(TrustError, match="nobody of the fleet"):
        identity_of_certificate(certificate, TRUST_DOMAIN)


@pytest.mark.parametrize(
    "uri",
    [
        "spiffe://example.test/computer/",
        "spiffe://example.test/computer/a/b",
        "spiffe://example.test/robot/a",
        "spiffe://example.test.evil/computer/a",
        "https://example.test/computer/a",
        "spiffe://example.test/Computer/a",
        "spiffe://example.test/computer/a?b",
        "",
    ],
)
def test_uri_that_is_no_identity_is_refused(uri: str) -> None:
    with pytest.raises(TrustError):
        read_spiffe_id(uri, TRUST_DOMAIN)


def test_certificate_without_or_with_two_uri_names_names_nobody() -> None:
    for uris in ([], ["spiffe://example.test/person/a", "spiffe://example.test/person/b"]):
        certificate = handmade(authority(), [x509.UniformResourceIdentifier(uri) for uri in uris], [])

        with pytest.raises(TrustError):
            identity_of_certificate(certificate[1], TRUST_DOMAIN)


def test_caller_without_a_certificate_has_no_identity() -> None:
    with pytest.raises(TrustError, match="no certificate"):
        identity_of_peer({"transport_security_type": [b"ssl"]}, TRUST_DOMAIN)
    with pytest.raises(TrustError, match="cannot be read"):
        identity_of_peer({"x509_pem_cert": [b"rubbish"]}, TRUST_DOMAIN)


def handmade(
    issuer: Authority, names: list[Any], purposes: list[x509.ObjectIdentifier]
) -> tuple[Any, x509.Certificate]:
    """Sign what the authority itself would never sign, with its own key."""
    key, at = new_key(), now()
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(hours=1))
        .not_valid_after(at + timedelta(days=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return key, builder.sign(issuer._private_key, hashes.SHA256())


def server_only(issuer: Authority) -> Pair:
    name = x509.UniformResourceIdentifier(f"spiffe://{TRUST_DOMAIN}/computer/c-1")
    key, certificate = handmade(issuer, [name], [ExtendedKeyUsageOID.SERVER_AUTH])
    return Pair(private_key_pem(key), certificate_pem(certificate))


def test_handmade_certificate_differs_from_a_real_one_in_its_purpose_only() -> None:
    issuer = authority()
    certificate = server_only(issuer).certificate

    assert identity_of_certificate(certificate, TRUST_DOMAIN).id == "c-1"
    certificate.verify_directly_issued_by(issuer.certificate)
    assert issuer.issue(new_key().public_key(), Subject(Kind.COMPUTER, "c-1"), now()) != certificate
