"""SopLifeService: the wire's side of comments, signing links and a SOP's end. Converts and calls; decides nothing."""
# ruff: noqa: N802  gRPC dictates the names of calls

from typing import Any

from sopwith.v1 import sop_life_service_pb2 as wire
from sopwith.v1 import sop_life_service_pb2_grpc
from sopwith_controller.api.interceptors import caller
from sopwith_controller.api.people_api import JoinAddress
from sopwith_controller.api.translate import from_duration, to_timestamp
from sopwith_controller.api.translate_sop import to_sop
from sopwith_controller.api.translate_sop_life import to_comment
from sopwith_controller.services.signing_links import SigningLinks
from sopwith_controller.services.sop_reviews import SopReviews
from sopwith_controller.services.sops import Sops


class SopLifeApi(sop_life_service_pb2_grpc.SopLifeServiceServicer):
    """Serves the calls around a SOP's revisions."""

    def __init__(self, sops: Sops, reviews: SopReviews, links: SigningLinks, join: JoinAddress) -> None:
        self._sops = sops
        self._reviews = reviews
        self._links = links
        self._join = join

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

    async def MakeSigningLink(self, request: wire.MakeSigningLinkRequest, context: Any) -> wire.MakeSigningLinkResponse:
        """Make a one-time link for a signatory."""
        link, secret = await self._links.mint(
            caller(context), request.id, request.person, role=request.role, life=from_duration(request, "expires")
        )
        return wire.MakeSigningLinkResponse(
            id=link.id,
            path=f"/sign/{secret}",
            web_address=self._join.web_address,
            ca_fingerprint=self._join.ca_fingerprint,
            expires_time=to_timestamp(link.expires_time),
            revision=link.revision,
            role=link.role,
        )

    async def SendSigningCode(self, request: wire.SendSigningCodeRequest, context: Any) -> wire.SendSigningCodeResponse:
        """Send the caller a code."""
        address, link = await self._links.send_code(caller(context), request.id)
        return wire.SendSigningCodeResponse(address=address, expires_time=to_timestamp(link.expires_time))
