"""An approval counts only under the approver's own key, and only for the plan that it names."""

import base64
import json
from dataclasses import replace

import pytest

from sopwith_certs import signing
from sopwith_certs.errors import TrustError
from sopwith_certs.plan_approvals import sign_approval, verify_approval
from sopwith_formats.errors import FormatError
from sopwith_formats.plan_approval import PlanApproval, write_envelope


@pytest.fixture
def key():
    return signing.new_key()


@pytest.fixture
def approval(key):
    key_id = signing.fingerprint(key.public_key())
    return PlanApproval("r-1", "a" * 64, "manager", "2026-11-22T02:14:35Z", key_id)


def test_an_approval_verifies_under_the_key_that_signed_it(key, approval):
    assert verify_approval(sign_approval(approval, key), key.public_key()) == approval


def test_another_key_does_not_verify_it(key, approval):
    with pytest.raises(TrustError):
        verify_approval(sign_approval(approval, key), signing.new_key().public_key())


def test_a_changed_digest_voids_the_signature(key, approval):
    honest = sign_approval(approval, key)
    moved = replace(approval, plan_sha256="b" * 64)
    signature = json.loads(honest)["signatures"][0]["sig"]

    forged = write_envelope(moved.payload(), approval.key_id, base64.b64decode(signature))

    with pytest.raises(TrustError):
        verify_approval(forged, key.public_key())


@pytest.mark.parametrize("data", [b"{}", b"[]", b"no", b'{"payload":"!","payloadType":"x","signatures":[{"sig":""}]}'])
def test_what_is_no_envelope_is_named(key, data):
    with pytest.raises(FormatError):
        verify_approval(data, key.public_key())
