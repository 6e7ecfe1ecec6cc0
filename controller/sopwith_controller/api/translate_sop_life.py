"""Between what people add to SOP revisions and the wire: converts, decides nothing."""

from sopwith.v1 import sop_life_pb2, sop_life_service_pb2
from sopwith_controller.api.translate import to_timestamp
from sopwith_controller.domain.sop_life_entities import SopComment
from sopwith_controller.services.sop_announcing import Announced
from sopwith_controller.services.sop_distribution import Distribution


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


def to_announcement(announced: Announced) -> sop_life_pb2.SopAnnouncement:
    """Return an announcement as it travels, with what became of its mail."""
    one = announced.announcement
    return sop_life_pb2.SopAnnouncement(
        id=one.id,
        sop_id=one.sop_id,
        revision=one.revision,
        channel=one.channel,
        recipients=one.recipients,
        attendees=one.attendees,
        note=one.note,
        announced_by=one.announced_by,
        created_time=to_timestamp(one.created_time),
        held_time=to_timestamp(one.held_time),
        delivered=sum(message.delivered for message in announced.messages),
        unreached=announced.unreached,
    )


def to_distribution(found: Distribution) -> sop_life_service_pb2.GetSopDistributionResponse:
    """Return who holds a revision as it travels."""
    return sop_life_service_pb2.GetSopDistributionResponse(
        id=found.revision.id,
        revision=found.revision.revision,
        computers=found.computers,
        computers_lacking=[
            sop_life_pb2.SopLacking(computer=one.name, revision=one.revision, policy_sha256=one.policy_sha256)
            for one in found.computers_lacking
        ],
        people=found.people,
        people_lacking=found.people_lacking,
    )
