"""Between what people add to SOP revisions and the wire: converts, decides nothing."""

from sopwith.v1 import sop_life_pb2
from sopwith_controller.api.translate import to_timestamp
from sopwith_controller.domain.sop_life_entities import SopComment


def to_comment(comment: SopComment) -> sop_life_pb2.SopComment:
    """Return a comment as it travels."""
    return sop_life_pb2.SopComment(
        id=comment.id,
        sop_id=comment.sop_id,
        revision=comment.revision,
        document_sha256=comment.document_sha256,
        question=comment.question,
        clause=comment.clause,
        text=comment.text,
        blocking=comment.blocking,
        author=comment.author,
        created_time=to_timestamp(comment.created_time),
        resolution=comment.resolution,
        resolved_by=comment.resolved_by,
        resolved_time=to_timestamp(comment.resolved_time),
    )
