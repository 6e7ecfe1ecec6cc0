"""Signing a statement about a SOP revision, and proving who signed: DSSE with P-256 keys, or OpenSSH's signatures.

Decides that a signature counts only when it verifies under the key that was bound to the person; whether the person may
sign, and in which role, is the controller's decision. Needs no network and no controller: whoever has the document, the
envelope and the public keys can prove it again years later.
"""

from collections.abc import Iterable

from sopwith_certs import signing
from sopwith_certs.errors import TrustError
from sopwith_certs.ssh_signing import verify_ssh
from sopwith_formats.dsse_statement import Envelope, Signature, SopStatement, read_envelope
from sopwith_formats.ssh_signature import read_public_key
from sopwith_formats.ssh_statement import is_ssh_envelope, read_ssh_envelope


def sign_statement(statement: SopStatement, private_key: signing.PrivateKey) -> bytes:
    """Return the DSSE envelope of a statement with one signature."""
    unsigned = Envelope(statement.payload(), ())
    signature = signing.sign(private_key, unsigned.signed_bytes())
    return Envelope(unsigned.payload, (Signature(signing.fingerprint(private_key.public_key()), signature),)).to_json()


def add_signature(envelope_json: bytes, private_key: signing.PrivateKey) -> bytes:
    """Return the envelope with one more signature over the same payload."""
    envelope = read_envelope(envelope_json)
    key_id = signing.fingerprint(private_key.public_key())
    others = tuple(item for item in envelope.signatures if item.key_id != key_id)
    signature = Signature(key_id, signing.sign(private_key, envelope.signed_bytes()))
    return Envelope(envelope.payload, (*others, signature)).to_json()


def valid_signers(envelope_json: bytes, public_keys: Iterable[signing.PublicKey]) -> tuple[str, ...]:
    """Return the fingerprints of those keys whose signature in the envelope is valid."""
    envelope = read_envelope(envelope_json)
    by_id = {item.key_id: item.signature for item in envelope.signatures}
    valid = []
    for key in public_keys:
        key_id = signing.fingerprint(key)
        if key_id in by_id and signing.verify(key, envelope.signed_bytes(), by_id[key_id]):
            valid.append(key_id)
    return tuple(valid)


def verify_statement(envelope_json: bytes, public_key: signing.PublicKey) -> SopStatement:
    """Return what this key signed; raise TrustError when its signature is missing or does not hold.

    Raises FormatError when the bytes are no envelope of a statement.
    """
    envelope = read_envelope(envelope_json)
    statement = envelope.statement()
    if not valid_signers(envelope_json, [public_key]):
        raise TrustError("the signature does not hold", remedy="sign again with the key that is bound to you")
    pem = signing.public_key_pem(public_key).decode()
    if (statement.key_id, statement.public_key_pem) != (signing.fingerprint(public_key), pem):
        raise TrustError("the statement names another key than the one that signed it", remedy="sign again")
    return statement


def verify_ssh_statement(envelope_json: bytes, key_line: str) -> SopStatement:
    """Return what this OpenSSH key signed; raise TrustError when its signature is missing or does not hold.

    Raises FormatError when the bytes are no envelope of a statement with a signature of `ssh-keygen -Y sign`.
    """
    envelope = read_ssh_envelope(envelope_json)
    statement = envelope.statement()
    verify_ssh(envelope.signature(), envelope.payload, key_line)
    key = read_public_key(key_line)
    if (statement.key_id, statement.public_key_pem) != (key.fingerprint, key.line()):
        raise TrustError("the statement names another key than the one that signed it", remedy="sign again")
    return statement


def verify_self_contained(envelope_json: bytes) -> SopStatement:
    """Return what the key named in the statement itself signed; the caller compares `key_id` with a known fingerprint.

    Takes both forms. Raises TrustError when the signature does not hold, FormatError when the bytes are no envelope.
    """
    if is_ssh_envelope(envelope_json):
        return verify_ssh_statement(envelope_json, read_ssh_envelope(envelope_json).statement().public_key_pem)
    named = read_envelope(envelope_json).statement().public_key_pem
    return verify_statement(envelope_json, signing.read_public_key(named.encode()))


def statement_in(envelope_json: bytes) -> SopStatement:
    """Return what an envelope of either form claims; nothing is proved by it."""
    if is_ssh_envelope(envelope_json):
        return read_ssh_envelope(envelope_json).statement()
    return read_envelope(envelope_json).statement()
