"""What a signatory says, and the envelope that carries it."""

import json
from dataclasses import replace

import pytest
from securesystemslib import dsse
from securesystemslib.signer import SSlibKey

from sopwith_certs.errors import TrustError
from sopwith_certs.signing import fingerprint, new_key, public_key_pem
from sopwith_certs.statements import (
    add_signature,
    sign_statement,
    valid_signers,
    verify_self_contained,
    verify_statement,
)
from sopwith_formats.dsse_statement import (
    PAYLOAD_TYPE,
    SopStatement,
    envelope_text,
    pre_authentication_encoding,
    read_envelope,
    read_statement,
)
from sopwith_formats.errors import FormatError

KEY = new_key()
STATEMENT = SopStatement(
    sop_id="SU-SOP-001",
    revision=1,
    document_sha256="1" * 64,
    policy_sha256="2" * 64,
    decision="approve",
    meaning="authored",
    printed_name="owner",
    person_id="p-owner",
    role="owner",
    signed_time="2026-11-22T02:00:00Z",
    key_id=fingerprint(KEY.public_key()),
    public_key_pem=public_key_pem(KEY.public_key()).decode(),
)


def test_signed_bytes_are_those_of_the_dsse_specification():
    assert pre_authentication_encoding("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_statement_survives_signing_and_reading():
    envelope = sign_statement(STATEMENT, KEY)

    assert verify_statement(envelope, KEY.public_key()) == STATEMENT
    assert verify_self_contained(envelope) == STATEMENT
    assert read_envelope(envelope_text(envelope).encode()).statement() == STATEMENT


def test_envelope_carries_several_signatures():
    second, third = new_key(), new_key()
    envelope = add_signature(add_signature(sign_statement(STATEMENT, KEY), second), second)

    keys = [KEY.public_key(), second.public_key(), third.public_key()]

    assert valid_signers(envelope, keys) == (fingerprint(keys[0]), fingerprint(keys[1]))
    with pytest.raises(TrustError, match="another key"):
        verify_statement(envelope, second.public_key())


def test_signature_of_one_statement_does_not_hold_for_another():
    envelope = json.loads(sign_statement(STATEMENT, KEY))
    other = json.loads(sign_statement(replace(STATEMENT, revision=2), KEY))

    with pytest.raises(TrustError):
        verify_statement(json.dumps({**other, "signatures": envelope["signatures"]}).encode(), KEY.public_key())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"payloadType": "text/plain"}, "payloadType"),
        ({"payload": "%"}, "base64"),
        ({"payload": 1}, "no text"),
        ({"signatures": []}, "1 to 16"),
        ({"signatures": [{"keyid": "a", "sig": "AA==", "odd": 1}]}, "no signature"),
        ({"signatures": [{"keyid": "a", "sig": "AA=="}] * 2}, "two signatures of one key"),
        ({"odd": 1}, "no DSSE envelope"),
    ],
)
def test_other_envelope_is_refused(changes, message):
    envelope = {**json.loads(sign_statement(STATEMENT, KEY)), **changes}

    with pytest.raises(FormatError, match=message):
        read_envelope(json.dumps(envelope).encode())


def test_oversized_envelope_is_refused():
    with pytest.raises(FormatError, match="at most"):
        read_envelope(b" " * 100_000)


@pytest.mark.parametrize(
    "changes",
    [{"decision": "maybe"}, {"meaning": "approved"}, {"role": "operator"}, {"signed_time": "yesterday"}],
)
def test_statement_with_another_word_is_refused(changes):
    with pytest.raises(FormatError):
        read_statement(replace(STATEMENT, **changes).payload())


def test_payload_type_names_the_product():
    assert json.loads(sign_statement(STATEMENT, KEY))["payloadType"] == PAYLOAD_TYPE


def test_envelope_is_verified_by_another_implementation_of_dsse():
    envelope = dsse.Envelope.from_dict(json.loads(sign_statement(STATEMENT, KEY)))
    key = SSlibKey(
        STATEMENT.key_id, "ecdsa", "ecdsa-sha2-nistp256", {"public": public_key_pem(KEY.public_key()).decode()}
    )

    assert set(envelope.verify([key], 1)) == {STATEMENT.key_id}
