"""SopService: the wire's side of `services.sops`. Converts and calls; decides nothing."""
# ruff: noqa: N802  gRPC dictates the names of calls

from typing import Any

from sopwith.v1 import sop_service_pb2 as wire
from sopwith.v1 import sop_service_pb2_grpc
from sopwith_controller.api.interceptors import caller
from sopwith_controller.api.translate import from_timestamp
from sopwith_controller.api.translate_sop import to_sop
from sopwith_controller.services.sops import Sops


class SopApi(sop_service_pb2_grpc.SopServiceServicer):
    """Serves the SOP's calls."""

    def __init__(self, sops: Sops) -> None:
        self._sops = sops

    async def ListSops(self, request: wire.ListSopsRequest, context: Any) -> wire.ListSopsResponse:
        """Read the newest revision of each SOP."""
        return wire.ListSopsResponse(sops=[to_sop(view) for view in await self._sops.all()])

    async def GetSop(self, request: wire.GetSopRequest, context: Any) -> wire.GetSopResponse:
        """Read one revision and its document."""
        view = await self._sops.get(request.id, request.revision)
        return wire.GetSopResponse(sop=to_sop(view), document=view.revision.document)

    async def SubmitSop(self, request: wire.SubmitSopRequest, context: Any) -> wire.SubmitSopResponse:
        """Put a revision into review."""
        view = await self._sops.submit(
            caller(context), request.id, request.document, effective_time=from_timestamp(request, "effective_time")
        )
        return wire.SubmitSopResponse(sop=to_sop(view))

    async def SignSop(self, request: wire.SignSopRequest, context: Any) -> wire.SignSopResponse:
        """Take one signature."""
        view = await self._sops.sign(caller(context), request.id, request.revision, request.envelope_json)
        return wire.SignSopResponse(sop=to_sop(view))

    async def ActivateSop(self, request: wire.ActivateSopRequest, context: Any) -> wire.ActivateSopResponse:
        """Bring a future effective time forward."""
        return wire.ActivateSopResponse(sop=to_sop(await self._sops.activate(caller(context), request.id)))

    async def AcknowledgeSop(self, request: wire.AcknowledgeSopRequest, context: Any) -> wire.AcknowledgeSopResponse:
        """Record that the caller has read it."""
        view = await self._sops.acknowledge(caller(context), request.id, request.revision)
        return wire.AcknowledgeSopResponse(sop=to_sop(view))

    async def ListSopRevisions(
        self, request: wire.ListSopRevisionsRequest, context: Any
    ) -> wire.ListSopRevisionsResponse:
        """Read the revision history."""
        return wire.ListSopRevisionsResponse(sops=[to_sop(view) for view in await self._sops.history(request.id)])
