"""One SOP revision with its signatures in a file, and its proof without controller and network.

Decides the file's form and what counts as proved; whose key a fingerprint is, is for the reader to know (the roster and
the update log say it; `--key` names the fingerprints that are believed). Rules:

- the file is JSON: the exact document, and the envelopes of those who signed it, DSSE or signed by ssh-keygen;
- a signature is valid when it holds under the key that its statement names, and the statement's digests are those of
  the document in the file, computed anew: one changed byte leaves none valid.
"""

import base64
import binascii
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sopwith_certs.errors import TrustError
from sopwith_certs.statements import statement_in, verify_self_contained
from sopwith_formats import canonical_json
from sopwith_formats.dsse_statement import MEANINGS, SopStatement
from sopwith_formats.errors import FormatError
from sopwith_formats.problems import DocumentError
from sopwith_formats.sop_document import SopDocument, read_sop_document

FORMAT = 1
BUNDLE_BYTES_MAX = 4 * 2**20


@dataclass(frozen=True)
class Verdict:
    """What one envelope proves; `reason` says why it is not valid, empty when it is."""

    person: str
    role: str
    meaning: str
    decision: str
    signed_time: str
    key_id: str
    valid: bool
    reason: str


@dataclass(frozen=True)
class Proof:
    """What a bundle proves."""

    id: str
    revision: int
    title: str
    document_sha256: str
    policy_sha256: str
    signatures: tuple[Verdict, ...]
    signatures_missing: tuple[str, ...]
    """Roles that the document itself asks for and that no valid signature covers."""

    @property
    def valid(self) -> int:
        """Return how many approving signatures are valid."""
        return sum(verdict.valid and verdict.decision == "approve" for verdict in self.signatures)


def write_bundle(document: bytes, envelopes: Sequence[str]) -> bytes:
    """Return the bundle of a document and its envelopes."""
    content = {
        "format": FORMAT,
        "kind": "sopwith-sop",
        "document": base64.b64encode(document).decode(),
        "envelopes": [canonical_json.decode(envelope.encode()) for envelope in envelopes],
    }
    return canonical_json.encode(content) + b"\n"


def verify_bundle(data: bytes, believed_keys: Collection[str] = ()) -> Proof:
    """Return what a bundle proves; raise FormatError when the bytes are no bundle."""
    document, envelopes = _read(data)
    digest = hashlib.sha256(document).hexdigest()
    try:
        sop: SopDocument | None = read_sop_document(document, "document")
    except DocumentError:
        sop = None
    policy_digest = sop.policy_sha256 if sop else ""
    verdicts = tuple(_judge(envelope, digest, policy_digest, believed_keys) for envelope in envelopes)
    seen: set[str] = set()
    unique = []
    for verdict in verdicts:
        if verdict.valid and verdict.role in seen:
            verdict = _invalid(verdict, "a second signature in this role")  # noqa: PLW2901  the verdict as corrected
        if verdict.valid:
            seen.add(verdict.role)
        unique.append(verdict)
    signed = {verdict.role for verdict in unique if verdict.valid and verdict.decision == "approve"}
    return Proof(
        id=sop.front.id if sop else "",
        revision=sop.front.revision if sop else 0,
        title=sop.front.title if sop else "",
        document_sha256=digest,
        policy_sha256=policy_digest,
        signatures=tuple(unique),
        signatures_missing=tuple(
            role for role in (sop.front.approval.require if sop else MEANINGS) if role not in signed
        ),
    )


def _read(data: bytes) -> tuple[bytes, list[bytes]]:
    remedy = "write one with sopwith sop show ID --export FILE"
    content = canonical_json.decode(data, size_max=BUNDLE_BYTES_MAX)
    known = isinstance(content, dict) and content.get("format") == FORMAT and content.get("kind") == "sopwith-sop"
    if not known or not isinstance(content.get("envelopes"), list) or not isinstance(content.get("document"), str):
        raise FormatError("is no exported SOP", remedy=remedy)
    try:
        document = base64.b64decode(content["document"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError("holds a document that is no base64", remedy=remedy) from error
    return document, [canonical_json.encode(envelope) for envelope in content["envelopes"]]


def _judge(envelope: bytes, document_sha256: str, policy_sha256: str, believed_keys: Collection[str]) -> Verdict:
    try:
        statement = statement_in(envelope)
    except FormatError as error:
        return Verdict("", "", "", "", "", "", valid=False, reason=f"is no statement: {error}")
    verdict = _verdict(statement)
    try:
        verify_self_contained(envelope)
    except (TrustError, FormatError) as error:
        return _invalid(verdict, error.message)
    if statement.document_sha256 != document_sha256:
        return _invalid(verdict, "signs another document than this one")
    if statement.policy_sha256 != policy_sha256:
        return _invalid(verdict, "signs other parameters than these")
    if believed_keys and statement.key_id not in believed_keys:
        return _invalid(verdict, "is by a key that is not among those believed")
    return verdict


def _verdict(statement: SopStatement) -> Verdict:
    return Verdict(
        person=statement.printed_name,
        role=statement.role,
        meaning=statement.meaning,
        decision=statement.decision,
        signed_time=statement.signed_time,
        key_id=statement.key_id,
        valid=True,
        reason="",
    )


def _invalid(verdict: Verdict, reason: str) -> Verdict:
    return Verdict(**{**vars(verdict), "valid": False, "reason": reason})
