"""Deviations as they travel: converts, decides nothing."""

from sopwith.v1 import deviation_pb2
from sopwith_controller.api.translate import to_timestamp
from sopwith_controller.domain.deviation import DEVIABLE, Deviation


def to_deviation(deviation: Deviation) -> deviation_pb2.Deviation:
    """Return a deviation as it travels."""
    return deviation_pb2.Deviation(
        id=deviation.id,
        gate=deviation.gate,
        clause=DEVIABLE.get(deviation.gate, ""),
        state=deviation_pb2.DeviationState.Value(f"DEVIATION_STATE_{deviation.state}"),
        reason=deviation.reason,
        measure=deviation.measure,
        requester=deviation.requester,
        approver=deviation.approver,
        rollout=deviation.rollout_id,
        plan_sha256=deviation.plan_sha256,
        computers=deviation.selector,
        sop_id=deviation.sop_id,
        created_time=to_timestamp(deviation.created_time),
        approved_time=to_timestamp(deviation.approved_time),
        expires_time=to_timestamp(deviation.expires_time),
        closed_time=to_timestamp(deviation.closed_time),
        closed_by=deviation.closed_by,
        closing_reason=deviation.closing_reason,
    )
