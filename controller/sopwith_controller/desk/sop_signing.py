"""Signing a SOP revision on the signatory's own machine, with the signatory's own key.

Decides what is shown before a signature, in which role a person signs, and that only what was shown is signed: digests
are computed here from the bytes that came, never taken over from the controller. Whether the signature counts the
controller decides.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from sopwith_certs import signing
from sopwith_certs.errors import CertsError
from sopwith_certs.identity import identity_of_certificate
from sopwith_certs.statements import sign_statement
from sopwith_controller.desk.context import Context
from sopwith_controller.desk.errors import DeskError
from sopwith_controller.desk.ssh_keygen import public_half, sign_with_ssh_keygen
from sopwith_formats.dsse_statement import MEANINGS, SopStatement
from sopwith_formats.sop_document import SopDocument, read_sop_document
from sopwith_formats.ssh_statement import SshEnvelope
from sopwith_formats.units import format_time

_SPOKEN = {"owner": "owner", "it_manager": "IT manager", "authority": "authority"}


@dataclass(frozen=True)
class Signatory:
    """Who signs: name and id as the certificate says, and the key."""

    name: str
    person_id: str
    private_key: signing.PrivateKey

    @property
    def key_id(self) -> str:
        """Return the key's fingerprint."""
        return signing.fingerprint(self.private_key.public_key())


def signatory_of(context: Context) -> Signatory:
    """Return the person of a context; raise DeskError when certificate or key cannot be used."""
    try:
        certificate = x509.load_pem_x509_certificate(context.read(context.certificate))
        identity = identity_of_certificate(certificate, context.trust_domain)
        key = signing.read_private_key(context.read(context.key))
    except (ValueError, CertsError) as error:
        raise DeskError(
            f"{context.path} holds no certificate and key to sign with: {error}",
            remedy=f"sopwith person invite {context.person}, then sopwith person accept",
        ) from error
    return Signatory(context.person, identity.id, key)


def read_for_signing(document: bytes, document_sha256: str, policy_sha256: str) -> SopDocument:
    """Return the document that a signature will cover; raise DeskError when the controller described other bytes."""
    sop = read_sop_document(document, "sop")
    if (sop.document_sha256, sop.policy_sha256) != (document_sha256, policy_sha256):
        raise DeskError(
            "the document is not the one that the controller describes; nothing was signed",
            remedy="tell the owner: the controller may have been tampered with",
        )
    return sop


def role_to_sign(sop: SopDocument, signatory: Signatory, missing: list[str], wanted: str = "") -> str:
    """Return the role in which this person signs: the wanted one, else the first missing one that names them."""
    if wanted:
        return wanted
    mine = [role for role in MEANINGS if _same(getattr(sop.front.roles, role), signatory.name)]
    for role in missing:
        if role in mine:
            return role
    if mine:
        return mine[0]
    named = ", ".join(f"{getattr(sop.front.roles, role)} as {role}" for role in MEANINGS)
    raise DeskError(
        f"{sop.front.id} revision {sop.front.revision} names {named}; {signatory.name} is none of them",
        remedy="sign with the context of a signatory, or name the person in the document",
    )


def sentence(sop: SopDocument, signatory: Signatory, role: str, decision: str) -> str:
    """Return what the person is about to declare."""
    act = f"have {MEANINGS.get(role, role)}" if decision == "approve" else "reject"
    return (
        f"I, {signatory.name}, as {_SPOKEN.get(role, role)} of {sop.front.organization}, {act} "
        f"{sop.front.id} revision {sop.front.revision}, {sop.front.title}, "
        f"document {sop.document_sha256[:16]}, policy {sop.policy_sha256[:16]}."
    )


@dataclass(frozen=True)
class Words:
    """What a person declares beside the document and the role."""

    decision: str = "approve"
    comment: str = ""
    challenge: str = ""
    """The code that was sent to the person; empty: none was asked for."""


def sign_revision(
    sop: SopDocument, signatory: Signatory, role: str, words: Words, ssh_key: Path | None = None
) -> bytes:
    """Return the envelope of the person's word over this document: DSSE, or with an OpenSSH key's signature."""
    if role not in MEANINGS:
        raise DeskError(f"{role!r} is no role that signs", remedy=f"use one of {', '.join(MEANINGS)}")
    public = public_half(ssh_key) if ssh_key else None
    statement = SopStatement(
        sop_id=sop.front.id,
        revision=sop.front.revision,
        document_sha256=sop.document_sha256,
        policy_sha256=sop.policy_sha256,
        decision=words.decision,
        meaning=MEANINGS[role],
        printed_name=signatory.name,
        person_id=signatory.person_id,
        role=role,
        signed_time=format_time(datetime.now(UTC).replace(microsecond=0)),
        key_id=public.fingerprint if public else signatory.key_id,
        public_key_pem=public.line() if public else signing.public_key_pem(signatory.private_key.public_key()).decode(),
        comment=words.comment,
        challenge=words.challenge,
    )
    if ssh_key is None:
        return sign_statement(statement, signatory.private_key)
    return SshEnvelope(statement.payload(), sign_with_ssh_keygen(statement.payload(), ssh_key)).to_json()


def _same(one: str, other: str) -> bool:
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()
