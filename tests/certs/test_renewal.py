"""When a certificate is renewed, and that key and certificate on disk always belong together."""

import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from sopwith_certs import renewal
from sopwith_certs.authority import Subject, certificate_pem
from sopwith_certs.identity import Kind
from sopwith_certs.pair import Pair
from sopwith_certs.renewal import read_pair, write_pair
from sopwith_certs.signing import new_key, save_private_key
from sopwith_formats.errors import FormatError
from tests.certs.fleet import authority, now, pair


def test_renewal_is_due_after_two_thirds_of_the_life() -> None:
    at = now()
    certificate = pair(authority(), Kind.COMPUTER, "c-1", at).certificate

    assert not renewal.renewal_due(certificate, at + timedelta(days=19))
    assert renewal.renewal_due(certificate, at + timedelta(days=20, hours=1))
    assert not renewal.expired(certificate, at + timedelta(days=29))
    assert renewal.expired(certificate, at + timedelta(days=30, seconds=1))


def test_written_pair_is_read_back_from_private_files(tmp_path: Path) -> None:
    first = pair(authority(), Kind.COMPUTER, "c-1")

    write_pair(tmp_path / "identity", first)

    assert read_pair(tmp_path / "identity") == first
    assert (tmp_path / "identity" / "certificate.pem").read_bytes() == first.certificate_pem
    assert stat.S_IMODE((tmp_path / "identity" / "key.pem").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "identity").stat().st_mode) == 0o700


def test_swap_replaces_the_pair_and_leaves_at_most_one_old_generation(tmp_path: Path) -> None:
    issuer = authority()
    pairs = [pair(issuer, Kind.COMPUTER, "c-1") for _ in range(4)]

    for each in pairs:
        write_pair(tmp_path, each)

    assert read_pair(tmp_path) == pairs[-1]
    assert len(list(tmp_path.glob("pair-*"))) == 2


def test_plain_key_that_waited_for_its_certificate_becomes_part_of_the_pair(tmp_path: Path) -> None:
    key = new_key()
    save_private_key(tmp_path / "key.pem", key)
    certificate = authority().issue(key.public_key(), Subject(Kind.COMPUTER, "c-1"), now())

    renewal.replace_certificate(tmp_path, certificate_pem(certificate))

    assert read_pair(tmp_path).certificate == certificate
    assert renewal.load_key(tmp_path).public_key() == key.public_key()


def test_pair_that_does_not_match_is_not_written(tmp_path: Path) -> None:
    issuer = authority()
    good, other = pair(issuer, Kind.COMPUTER, "c-1"), pair(issuer, Kind.COMPUTER, "c-1")
    write_pair(tmp_path, good)

    with pytest.raises(FormatError, match="do not belong together"):
        write_pair(tmp_path, Pair(good.key_pem, other.certificate_pem))
    assert read_pair(tmp_path) == good


def test_swap_that_dies_before_the_link_turns_leaves_the_old_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = authority()
    old = pair(issuer, Kind.COMPUTER, "c-1")
    write_pair(tmp_path, old)

    def cut(_target: object, _link: object) -> None:
        raise OSError(5, "power cut")

    with monkeypatch.context() as patch:
        patch.setattr(renewal, "durable_symlink", cut)
        with pytest.raises(OSError, match="power cut"):
            write_pair(tmp_path, pair(issuer, Kind.COMPUTER, "c-1"))

    assert read_pair(tmp_path) == old


def test_reader_never_sees_a_key_with_a_strange_certificate(tmp_path: Path) -> None:
    issuer = authority()
    pairs = [pair(issuer, Kind.COMPUTER, "c-1") for _ in range(4)]
    write_pair(tmp_path, pairs[0])
    done = threading.Event()
    errors: list[Exception] = []

    def read() -> None:
        while not done.is_set():
            try:
                read_pair(tmp_path)
            except (FormatError, OSError) as error:
                errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(12):
        write_pair(tmp_path, pairs[number % 4])
    done.set()
    reader.join(10)

    assert errors == []


def test_writers_take_turns(tmp_path: Path) -> None:
    entered = threading.Event()

    def second() -> None:
        with renewal.locked(tmp_path):
            entered.set()

    with renewal.locked(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.2)

    assert entered.wait(5)
    thread.join(5)


def test_pair_shows_no_key_in_its_text() -> None:
    shown = repr(pair(authority(), Kind.PERSON, "p-1"))

    assert "PRIVATE" not in shown
