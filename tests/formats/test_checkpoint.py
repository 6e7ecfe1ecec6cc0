"""Signed checkpoints: the C2SP text, signatures found by name and id, hostile notes refused."""

import base64
import hashlib
import itertools

import pytest

from sopwith_certs.log_key import load_log_key, make_log_key, verify
from sopwith_formats.checkpoint import VerifierKey, read_checkpoint, read_verifier_key
from sopwith_formats.errors import FormatError

KEY = make_log_key("log.example.test")
ROOT = hashlib.sha256(b"root").digest()


def test_a_checkpoint_is_origin_size_and_root_then_the_signature():
    lines = KEY.sign(42, ROOT).split("\n")

    assert lines[:4] == ["log.example.test", "42", base64.b64encode(ROOT).decode(), ""]
    assert lines[4].startswith("\u2014 log.example.test ")
    assert lines[5:] == [""]


def test_a_checkpoint_is_read_back_and_holds():
    checkpoint = read_checkpoint(KEY.sign(42, ROOT))

    assert (checkpoint.origin, checkpoint.size, checkpoint.root) == ("log.example.test", 42, ROOT)
    assert checkpoint.is_signed_by(KEY.verifier, verify)


def test_the_key_id_is_the_one_that_the_note_format_defines():
    public = KEY.verifier.public

    assert KEY.verifier.key_id == hashlib.sha256(b"log.example.test\n\x01" + public).digest()[:4]
    assert read_verifier_key(KEY.verifier.text()) == KEY.verifier


def test_a_known_verifier_key_of_the_note_format_is_read():
    # The example key of Go's sumdb/note documentation.
    key = read_verifier_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")

    note = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    signature = base64.b64decode(
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    )
    assert signature[:4] == key.key_id
    assert verify(key.public, note, signature[4:])


def test_a_signature_is_found_by_name_and_id_behind_others():
    note = KEY.sign(1, ROOT)
    stranger = make_log_key("stranger.test").sign(1, ROOT).split("\n\n")[1]
    said, mine = note.split("\n\n")

    assert read_checkpoint(f"{said}\n\n{stranger}{mine}").is_signed_by(KEY.verifier, verify)


def test_another_key_of_the_same_name_does_not_hold():
    note = make_log_key("log.example.test").sign(1, ROOT)

    assert not read_checkpoint(note).is_signed_by(KEY.verifier, verify)


def test_a_note_of_another_origin_does_not_hold_for_this_log():
    said, signature = KEY.sign(1, ROOT).split("\n\n")

    moved = read_checkpoint(said.replace("log.example.test", "other.test") + "\n\n" + signature)

    assert not moved.is_signed_by(KEY.verifier, verify)


@pytest.mark.parametrize("change", [("\n42\n", "\n43\n"), (base64.b64encode(ROOT).decode(), "A" * 43 + "=")])
def test_a_changed_size_or_root_does_not_hold(change):
    note = KEY.sign(42, ROOT).replace(*change)

    assert not read_checkpoint(note).is_signed_by(KEY.verifier, verify)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "a\n1\n\n",
        KEY.sign(1, ROOT).replace("\n1\n", "\n01\n"),
        KEY.sign(1, ROOT).replace("\n1\n", "\n-1\n"),
        KEY.sign(1, ROOT).replace("\n1\n", f"\n{2**53}\n"),
        KEY.sign(1, ROOT).replace("\n\n", "\nextension\n\n"),
        KEY.sign(1, ROOT).replace("\u2014", "-"),
        KEY.sign(1, ROOT)[:-1],
        KEY.sign(1, ROOT).replace("log.example.test", "log example"),
        "x" * 20_000,
    ],
    ids=itertools.count(),
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(FormatError):
        read_checkpoint(text)


@pytest.mark.parametrize(
    "text", ["", "a+b", "a+00000000+AAAA", KEY.verifier.text()[:-4] + "AAA=", "name"], ids=itertools.count()
)
def test_what_is_no_log_key_is_refused(text):
    with pytest.raises(FormatError):
        read_verifier_key(text)


def test_a_key_whose_name_was_changed_is_refused():
    with pytest.raises(FormatError, match="id does not fit"):
        read_verifier_key(KEY.verifier.text().replace("log.", "lag."))


def test_the_log_key_is_kept_privately_and_shown_nowhere(tmp_path):
    path = tmp_path / "log_key"
    KEY.save(path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert load_log_key(path).verifier == KEY.verifier
    secret = path.read_text().split("+", 4)[4].strip()  # the secret's own Base64 may have a plus sign
    assert len(base64.b64decode(secret)) > 32
    assert secret not in repr(KEY)


@pytest.mark.parametrize("content", ["", "nonsense", "PRIVATE+KEY+a+00000000+AQ=="])
def test_a_broken_log_key_file_is_named_with_its_mend(tmp_path, content):
    path = tmp_path / "log_key"
    path.write_text(content)

    with pytest.raises(FormatError, match=r"log_key.*backup"):
        load_log_key(path)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\n"])
def test_a_name_that_a_note_cannot_carry_is_refused(name):
    with pytest.raises(FormatError):
        make_log_key(name)


def test_a_signature_by_no_key_is_no_signature():
    assert not verify(b"short", b"message", b"signature")
    assert VerifierKey("a", bytes(32)).key_id != VerifierKey("b", bytes(32)).key_id
