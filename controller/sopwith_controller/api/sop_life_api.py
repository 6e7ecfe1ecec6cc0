"""SopLifeService: the wire's side of comments, links, announcements, receipts. Converts and calls; decides nothing."""
# ruff: noqa: N802  gRPC dictates the names of calls

from dataclasses import dataclass
from typing import Any

from sopwith.v1 import sop_life_service_pb2 as wire
from sopwith.v1 import sop_life_service_pb2_grpc
from sopwith_controller.api.interceptors import caller
from sopwith_controller.api.people_api import JoinAddress
from sopwith_controller.api.translate import from_duration, from_timestamp, to_timestamp
from sopwith_controller.api.translate_sop import to_sop
from sopwith_controller.api.translate_sop_life import to_announcement, to_comment, to_distribution
from sopwith_controller.services.profiles import Profiles
from sopwith_controller.services.signing_links import SigningLinks
from sopwith_controller.services.sop_announcing import Asked, SopAnnouncing
from sopwith_controller.services.sop_distribution import SopDistribution
from sopwith_controller.services.sop_reviews import SopReviews
from sopwith_controller.services.sops import Sops


@dataclass(frozen=True)
class SopTools:
    """The use cases around a SOP's revisions."""

    sops: Sops
    reviews: SopReviews
    links: SigningLinks
    announcing: SopAnnouncing
    distribution: SopDistribution
    profiles: Profiles


class SopLifeApi(sop_life_service_pb2_grpc.SopLifeServiceServicer):
    """Serves the calls around a SOP's revisions."""

    def __init__(self, tools: SopTools, join: JoinAddress) -> None:
        self._sops = tools.sops
        self._reviews = tools.reviews
        self._links = tools.links
        self._announcing = tools.announcing
        self._distribution = tools.distribution
        self._profiles = tools.profiles
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

    async def AnnounceSop(self, request: wire.AnnounceSopRequest, context: Any) -> wire.AnnounceSopResponse:
        """Make a revision known."""
        asked = Asked(
            sop_id=request.id,
            channel=request.channel,
            recipients=tuple(request.recipients),
            attendees=tuple(request.attendees),
            note=request.note,
            held_time=from_timestamp(request, "held_time"),
            revision=request.revision,
        )
        made = await self._announcing.announce(caller(context), asked)
        return wire.AnnounceSopResponse(announcement=to_announcement(made))

    async def ListSopAnnouncements(
        self, request: wire.ListSopAnnouncementsRequest, context: Any
    ) -> wire.ListSopAnnouncementsResponse:
        """Read a SOP's announcements."""
        found = await self._announcing.all(request.id)
        return wire.ListSopAnnouncementsResponse(announcements=[to_announcement(one) for one in found])

    async def GetSopDistribution(
        self, request: wire.GetSopDistributionRequest, context: Any
    ) -> wire.GetSopDistributionResponse:
        """Read who holds a revision."""
        return to_distribution(await self._distribution.of(request.id, request.revision))

    async def ConvertProfile(self, request: wire.ConvertProfileRequest, context: Any) -> wire.ConvertProfileResponse:
        """Make the profile stricter."""
        settings, recalled = await self._profiles.convert(caller(context), request.profile, request.reason)
        views = [await self._sops.get(one.id, one.revision) for one in recalled]
        return wire.ConvertProfileResponse(profile=settings.profile, recalled=[to_sop(view) for view in views])
