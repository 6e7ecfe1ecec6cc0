"""SopLifeService: the wire's side of `services.sop_reviews` and of a SOP's end. Converts and calls; decides nothing."""
# ruff: noqa: N802  gRPC dictates the names of calls

from typing import Any

from sopwith.v1 import sop_life_service_pb2 as wire
from sopwith.v1 import sop_life_service_pb2_grpc
from sopwith_controller.api.interceptors import caller
from sopwith_controller.api.translate_sop import to_sop
from sopwith_controller.api.translate_sop_life import to_comment
from sopwith_controller.services.sop_reviews import SopReviews
from sopwith_controller.services.sops import Sops


class SopLifeApi(sop_life_service_pb2_grpc.SopLifeServiceServicer):
    """Serves the calls around a SOP's revisions."""

    def __init__(self, sops: Sops, reviews: SopReviews) -> None:
        self._sops = sops
        self._reviews = reviews

    async def CommentSop(self, request: wire.CommentSopRequest, context: Any) -> wire.CommentSopResponse:
        """Take a reviewer's comment."""
        made = await self._reviews.comment(
            caller(context),
            request.id,
            request.revision,
            question=request.question,
            text=request.text,
            clause=request.clause,
            blocking=request.blocking,
        )
        return wire.CommentSopResponse(comment=to_comment(made))

    async def ResolveSopComment(
        self, request: wire.ResolveSopCommentRequest, context: Any
    ) -> wire.ResolveSopCommentResponse:
        """Close a comment."""
        closed = await self._reviews.resolve(caller(context), request.id, request.resolution)
        return wire.ResolveSopCommentResponse(comment=to_comment(closed))

    async def ListSopComments(self, request: wire.ListSopCommentsRequest, context: Any) -> wire.ListSopCommentsResponse:
        """Read a revision's comments."""
        found = await self._reviews.comments(request.id, request.revision)
        return wire.ListSopCommentsResponse(comments=[to_comment(one) for one in found])

    async def RetireSop(self, request: wire.RetireSopRequest, context: Any) -> wire.RetireSopResponse:
        """End a SOP."""
        return wire.RetireSopResponse(sop=to_sop(await self._sops.retire(caller(context), request.id, request.reason)))
