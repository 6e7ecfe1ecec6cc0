"""P-256 keys: what verifies, what does not, and what no file gives away."""

import hashlib
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sopwith_certs import signing
from sopwith_formats.errors import FormatError


def test_signature_verifies_for_its_key_and_data_only() -> None:
    key = signing.new_key()

    signature = signing.sign(key, b"payload")

    assert signing.verify(key.public_key(), b"payload", signature)
    assert not signing.verify(key.public_key(), b"payload.", signature)
    assert not signing.verify(signing.new_key().public_key(), b"payload", signature)


@pytest.mark.parametrize("signature", [b"", b"\x30", b"\0" * 64, b"x" * 10_000])
def test_bytes_that_are_no_signature_do_not_verify(signature: bytes) -> None:
    assert not signing.verify(signing.new_key().public_key(), b"payload", signature)


def test_fingerprint_is_the_digest_of_the_key_alone() -> None:
    key = signing.new_key().public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    assert signing.fingerprint(key) == "sha256:" + hashlib.sha256(der).hexdigest()


def test_saved_key_is_private_and_comes_back(tmp_path: Path) -> None:
    key = signing.new_key()

    signing.save_private_key(tmp_path / "key.pem", key)

    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert signing.load_private_key(tmp_path / "key.pem").public_key() == key.public_key()


def test_key_of_another_kind_is_refused_without_its_text(tmp_path: Path) -> None:
    pem = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)

    with pytest.raises(FormatError, match="another kind") as refusal:
        signing.load_private_key(tmp_path / "key.pem")
    assert pem.splitlines()[1].decode() not in str(refusal.value)
    assert refusal.value.where == str(tmp_path / "key.pem")


def test_key_on_another_curve_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP384R1())

    with pytest.raises(FormatError, match="secp384r1"):
        signing.read_public_key(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def test_several_public_keys_are_read_in_their_order() -> None:
    keys = [signing.new_key().public_key() for _ in range(3)]

    read = signing.read_public_keys(b"".join(map(signing.public_key_pem, keys)))

    assert read == keys


def test_public_key_in_a_private_place_is_refused() -> None:
    with pytest.raises(FormatError, match="no private key"):
        signing.read_private_key(signing.public_key_pem(signing.new_key().public_key()))
