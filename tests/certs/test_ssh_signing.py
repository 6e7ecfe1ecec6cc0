"""Signatures of the real `ssh-keygen -Y sign`, proved without it; and everything that must not pass for one."""

import base64
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sopwith_certs.errors import TrustError
from sopwith_certs.ssh_signing import check_key, verify_ssh
from sopwith_formats.errors import FormatError
from sopwith_formats.ssh_signature import (
    NAMESPACE,
    SshPublicKey,
    SshSignature,
    read_public_key,
    read_signature,
    write_string,
)

MESSAGE = b"a statement\n"
ssh = pytest.mark.needs_tool("ssh-keygen")


def keygen(*words: str | Path) -> str:
    done = subprocess.run(["ssh-keygen", *map(str, words)], check=True, capture_output=True, text=True)
    return done.stdout


def new_key(folder: Path, *kind: str, passphrase: str = "") -> Path:
    key = folder / "key"
    keygen("-q", "-t", *kind, "-N", passphrase, "-C", "chief@example.org", "-f", key)
    return key


def signed(key: Path, message: bytes = MESSAGE, namespace: str = NAMESPACE, *more: str) -> str:
    file = key.parent / "statement.json"
    file.write_bytes(message)
    Path(f"{file}.sig").unlink(missing_ok=True)
    keygen("-Y", "sign", "-q", "-f", key, "-n", namespace, *more, file)
    return Path(f"{file}.sig").read_text()


def public(key: Path) -> str:
    return Path(f"{key}.pub").read_text()


@ssh
@pytest.mark.parametrize(
    "kind",
    [("ed25519",), ("ecdsa", "-b", "256"), ("ecdsa", "-b", "384"), ("ecdsa", "-b", "521"), ("rsa", "-b", "3072")],
    ids="-".join,
)
def test_signature_of_every_kind_of_key_holds_for_its_message_and_key_only(tmp_path, kind):
    key = new_key(tmp_path, *kind)
    signature = read_signature(signed(key))
    (tmp_path / "other").mkdir()

    verify_ssh(signature, MESSAGE, public(key))

    with pytest.raises(TrustError, match="does not hold"):
        verify_ssh(signature, MESSAGE + b" ", public(key))
    with pytest.raises(TrustError, match="not with"):
        verify_ssh(signature, MESSAGE, public(new_key(tmp_path / "other", "ed25519")))
    for position in (0, 9, len(signature.value) - 1):
        broken = bytearray(signature.value)
        broken[position] ^= 1
        with pytest.raises((TrustError, FormatError)):
            verify_ssh(replace(signature, value=bytes(broken)), MESSAGE, public(key))


@ssh
def test_fingerprint_is_the_one_that_ssh_keygen_prints(tmp_path):
    key = new_key(tmp_path, "ed25519")

    assert read_public_key(public(key)).fingerprint in keygen("-l", "-f", f"{key}.pub")
    assert public(key).startswith(check_key(public(key)).line())


@ssh
def test_digest_of_the_signatory_s_choice_is_taken(tmp_path):
    key = new_key(tmp_path, "ed25519")

    verify_ssh(read_signature(signed(key, MESSAGE, NAMESPACE, "-O", "hashalg=sha256")), MESSAGE, public(key))


@ssh
def test_signature_for_another_namespace_is_no_signature_of_a_sop(tmp_path):
    with pytest.raises(FormatError, match="made for 'git', not for a SOP"):
        read_signature(signed(new_key(tmp_path, "ed25519"), MESSAGE, "git"))


@ssh
@pytest.mark.parametrize(("kind", "words"), [(("rsa", "-b", "2048"), "RSA key of 2048 bits")], ids=["short"])
def test_weak_key_signs_no_sop(tmp_path, kind, words):
    with pytest.raises(FormatError, match=words):
        check_key(public(new_key(tmp_path, *kind)))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 ????",
        "ssh-ed25519 AAAA",
        "ssh-dss AAAAB3NzaC1kc3MAAAABAAAAAA==",
        "ecdsa-sha2-nistp256 AAAAC3NzaC1lZDI1NTE5AAAAIE9uZSBvZiB0aGUgdGhpcnR5LXR3byBieXRlIGtleXM=",
        "ssh-rsa " + base64.b64encode(write_string(b"ssh-rsa") + b"\xff" * 4).decode(),
        "x " + base64.b64encode(write_string(b"\xff")).decode(),
        "x " + base64.b64encode(b"\0" * 9000).decode(),
    ],
)
def test_what_is_no_key_for_signing_is_refused(line):
    with pytest.raises(FormatError):
        check_key(line)


def armoured(blob: bytes) -> str:
    text = base64.b64encode(blob).decode()
    return f"-----BEGIN SSH SIGNATURE-----\n{text}\n-----END SSH SIGNATURE-----\n"


def wire(*parts: bytes) -> bytes:
    return b"".join(write_string(part) for part in parts)


KEY = wire(b"ssh-ed25519", b"k" * 32)
VALUE = wire(b"ssh-ed25519", b"s" * 64)
NAME = NAMESPACE.encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-----BEGIN PGP SIGNATURE-----",
        "-----BEGIN SSH SIGNATURE-----\n????\n-----END SSH SIGNATURE-----",
        armoured(b"SSHSIG"),
        armoured(b"SSHSIG\0\0\0\2" + wire(KEY, NAME, b"", b"sha512", VALUE)),
        armoured(b"SSHSIX\0\0\0\1" + wire(KEY, NAME, b"", b"sha512", VALUE)),
        armoured(b"SSHSIG\0\0\0\1" + wire(KEY, NAME, b"", b"md5", VALUE)),
        armoured(b"SSHSIG\0\0\0\1" + wire(KEY, NAME, b"", b"sha512", VALUE) + b"more"),
        armoured(b"SSHSIG\0\0\0\1" + wire(KEY, NAME, b"", b"sha512")),
        armoured(b"x" * 20_000),
    ],
)
def test_what_is_no_signature_is_refused(text):
    with pytest.raises(FormatError):
        read_signature(text)


def digest(data: bytes) -> bytes:
    made = Hash(SHA256())
    made.update(data)
    return made.finalize()


def security_key(kind: str, flags: int) -> tuple[SshSignature, str]:
    """Return what a security key would sign, made by hand: nobody has one in a test."""
    application = b"ssh:sopwith"
    if kind == "sk-ssh-ed25519@openssh.com":
        key = ed25519.Ed25519PrivateKey.generate()
        fields: tuple[bytes, ...] = (key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), application)
    else:
        curve = ec.generate_private_key(ec.SECP256R1())
        point = curve.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        fields = (b"nistp256", point, application)
    public_key = SshPublicKey(kind, wire(kind.encode(), *fields), fields)
    unsigned = SshSignature(public_key, NAMESPACE, b"sha512", kind, b"")
    counted = bytes([flags]) + b"\0\0\0\7"
    data = digest(application) + counted + digest(unsigned.signed_bytes(MESSAGE))
    if kind == "sk-ssh-ed25519@openssh.com":
        value = key.sign(data)
    else:
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        numbers = decode_dss_signature(curve.sign(data, ec.ECDSA(SHA256())))
        value = wire(*(number.to_bytes(33) for number in numbers))
    return replace(unsigned, value=write_string(value) + counted), public_key.line()


@pytest.mark.parametrize("kind", ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"])
def test_security_key_counts_only_when_it_was_touched(kind):
    touched, line = security_key(kind, 1)
    verify_ssh(touched, MESSAGE, line)

    untouched, line = security_key(kind, 0)
    with pytest.raises(TrustError):
        verify_ssh(untouched, MESSAGE, line)
