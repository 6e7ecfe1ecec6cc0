"""When the controller issues itself a certificate."""

from datetime import timedelta
from pathlib import Path

from cryptography import x509

from sopwith_certs.authority import Subject
from sopwith_certs.identity import Kind
from sopwith_certs.renewal import read_pair, write_pair
from sopwith_controller.adapters.server_certificate import ServerCertificate
from tests.builders import FixedClock
from tests.certs.fleet import authority, pair

SUBJECT = Subject(Kind.CONTROLLER, "k-1", ("updates.example.test",), ("127.0.0.1",))


def test_first_certificate_is_made_and_kept_while_it_is_young(tmp_path: Path) -> None:
    clock = FixedClock()
    own = ServerCertificate(authority(clock.now()), tmp_path / "pair", SUBJECT, clock)

    made, again = own.keep(), own.keep()

    names = read_pair(tmp_path / "pair").certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert (made, again) == (True, False)
    assert names.value.get_values_for_type(x509.DNSName) == ["updates.example.test"]


def test_certificate_is_made_again_after_two_thirds_of_its_life(tmp_path: Path) -> None:
    clock = FixedClock()
    own = ServerCertificate(authority(clock.now()), tmp_path, SUBJECT, clock)
    own.keep()
    first = read_pair(tmp_path)

    clock.time += timedelta(days=19)
    early = own.keep()
    clock.time += timedelta(days=2)
    late = own.keep()

    assert (early, late) == (False, True)
    assert read_pair(tmp_path).certificate.not_valid_after_utc > first.certificate.not_valid_after_utc
    assert read_pair(tmp_path).key_pem != first.key_pem


def test_other_names_or_another_authority_ask_for_another_certificate(tmp_path: Path) -> None:
    clock = FixedClock()
    issuer = authority(clock.now())
    ServerCertificate(issuer, tmp_path, SUBJECT, clock).keep()

    renamed = ServerCertificate(issuer, tmp_path, Subject(Kind.CONTROLLER, "k-1", ("other.test",)), clock)
    successor = ServerCertificate(
        authority(clock.now()), tmp_path, Subject(Kind.CONTROLLER, "k-1", ("other.test",)), clock
    )

    assert (renamed.keep(), renamed.keep()) == (True, False)
    assert (successor.keep(), successor.keep()) == (True, False)


def test_pair_that_is_broken_is_replaced(tmp_path: Path) -> None:
    clock = FixedClock()
    issuer = authority(clock.now())
    write_pair(tmp_path, pair(issuer, Kind.CONTROLLER, "k-1", clock.now()))
    (tmp_path / "pair" / "certificate.pem").write_text("rubbish")

    assert ServerCertificate(issuer, tmp_path, SUBJECT, clock).keep()
    assert read_pair(tmp_path).certificate.not_valid_after_utc > clock.now()
