"""PracticeService: the wire's side of training, reviews and feedback. Converts and calls; decides nothing."""
# ruff: noqa: N802  gRPC dictates the names of calls

from typing import Any

from sopwith.v1 import practice_service_pb2 as wire
from sopwith.v1 import practice_service_pb2_grpc
from sopwith_controller.api.interceptors import caller
from sopwith_controller.api.translate import to_timestamp
from sopwith_controller.domain.practice_entities import Feedback, SopReview
from sopwith_controller.domain.training import Trainee
from sopwith_controller.services.review_clock import ReviewClock, ReviewView
from sopwith_controller.services.sop_feedback import SopFeedback
from sopwith_controller.services.training import Trainings


class PracticeApi(practice_service_pb2_grpc.PracticeServiceServicer):
    """Serves the calls of the SOP's practice."""

    def __init__(self, trainings: Trainings, reviews: ReviewClock, feedback: SopFeedback) -> None:
        self._trainings = trainings
        self._reviews = reviews
        self._feedback = feedback

    async def GetTraining(self, request: wire.GetTrainingRequest, context: Any) -> wire.GetTrainingResponse:
        """Read who knows the effective revision."""
        found = await self._trainings.get(request.sop_id)
        trainees = [_to_trainee(one) for one in found.trainees]
        return wire.GetTrainingResponse(revision=found.revision.revision, trainees=trainees)

    async def RecordDrill(self, request: wire.RecordDrillRequest, context: Any) -> wire.RecordDrillResponse:
        """Record a drill."""
        record = await self._trainings.record_drill(
            caller(context), request.sop_id, request.revision, request.policy_sha256, dict(request.tasks)
        )
        return wire.RecordDrillResponse(id=record.id, time=to_timestamp(record.time))

    async def GetSopReviews(self, request: wire.GetSopReviewsRequest, context: Any) -> wire.GetSopReviewsResponse:
        """Read how a SOP stands with its reviews."""
        view = await self._reviews.get(request.sop_id)
        return wire.GetSopReviewsResponse(
            revision=view.revision.revision,
            last_reviewed_time=to_timestamp(view.last_reviewed_time),
            next_due_time=to_timestamp(view.next_due_time),
            reviews=_to_reviews(view),
        )

    async def CloseSopReview(self, request: wire.CloseSopReviewRequest, context: Any) -> wire.CloseSopReviewResponse:
        """Record that a SOP was reviewed."""
        view = await self._reviews.close(caller(context), request.sop_id, request.outcome, request.note)
        return wire.CloseSopReviewResponse(next_due_time=to_timestamp(view.next_due_time), reviews=_to_reviews(view))

    async def GiveSopFeedback(self, request: wire.GiveSopFeedbackRequest, context: Any) -> wire.GiveSopFeedbackResponse:
        """Take what a person says about a clause."""
        found = await self._feedback.give(
            caller(context), request.sop_id, request.clause, request.text, request.rollout
        )
        return wire.GiveSopFeedbackResponse(feedback=_to_feedback(found))

    async def ListSopFeedback(self, request: wire.ListSopFeedbackRequest, context: Any) -> wire.ListSopFeedbackResponse:
        """Read a SOP's feedback."""
        found = await self._feedback.all(request.sop_id)
        return wire.ListSopFeedbackResponse(feedback=[_to_feedback(one) for one in found])

    async def DisposeSopFeedback(
        self, request: wire.DisposeSopFeedbackRequest, context: Any
    ) -> wire.DisposeSopFeedbackResponse:
        """Say what becomes of a feedback."""
        found = await self._feedback.dispose(caller(context), request.id, request.disposition, request.reason)
        return wire.DisposeSopFeedbackResponse(feedback=_to_feedback(found))


def _to_trainee(trainee: Trainee) -> wire.Trainee:
    return wire.Trainee(
        person=trainee.person,
        state=trainee.state,
        how=trainee.how,
        time=to_timestamp(trainee.time),
        due_time=to_timestamp(trainee.due_time),
        since_revision=trainee.since_revision,
        drill_time=to_timestamp(trainee.drill_time),
    )


def _to_reviews(view: ReviewView) -> list[wire.SopReview]:
    return [_to_review(one) for one in view.reviews]


def _to_review(review: SopReview) -> wire.SopReview:
    return wire.SopReview(
        id=review.id,
        revision=review.revision,
        trigger=review.trigger,
        subject=review.subject,
        opened_time=to_timestamp(review.opened_time),
        due_time=to_timestamp(review.due_time),
        closed_by=review.closed_by,
        closed_time=to_timestamp(review.closed_time),
        outcome=review.outcome,
        note=review.note,
    )


def _to_feedback(feedback: Feedback) -> wire.SopFeedback:
    return wire.SopFeedback(
        id=feedback.id,
        sop_id=feedback.sop_id,
        revision=feedback.revision,
        clause=feedback.clause,
        text=feedback.text,
        origin=feedback.origin,
        given_by=feedback.given_by,
        rollout=feedback.rollout,
        time=to_timestamp(feedback.time),
        disposition=feedback.disposition,
        disposed_by=feedback.disposed_by,
        disposed_time=to_timestamp(feedback.disposed_time),
        disposition_reason=feedback.disposition_reason,
    )
