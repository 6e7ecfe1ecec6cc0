"""Between SOP revisions and the wire: converts, decides nothing."""

from sopwith.v1 import sop_pb2
from sopwith_controller.api.translate import to_timestamp
from sopwith_controller.domain.entities import SopSignature
from sopwith_controller.domain.sop import valid_signatures
from sopwith_controller.services.sops import SopView


def to_sop(view: SopView) -> sop_pb2.Sop:
    """Return a revision as it travels, with the signatures that count."""
    revision = view.revision
    return sop_pb2.Sop(
        id=revision.id,
        revision=revision.revision,
        state=sop_pb2.SopState.Value(f"SOP_STATE_{revision.state}"),
        title=revision.title,
        document_sha256=revision.document_sha256,
        policy_sha256=revision.policy_sha256,
        signatures=[_to_signature(signature) for signature in valid_signatures(revision)],
        signatures_missing=view.signatures_missing,
        change_description=revision.change_description,
        change_kind=revision.change_kind,
        revised_by=revision.revised_by,
        submitted_time=to_timestamp(revision.submitted_time),
        effective_time=to_timestamp(revision.effective_time),
        acknowledged_by=revision.acknowledged_by,
        policy_json=revision.policy_json,
    )


def _to_signature(signature: SopSignature) -> sop_pb2.SopSignature:
    return sop_pb2.SopSignature(
        person=signature.person,
        role=signature.role,
        meaning=signature.meaning,
        decision=signature.decision,
        signed_time=to_timestamp(signature.signed_time),
        envelope_json=signature.envelope_json,
        key_id=signature.key_id,
    )
