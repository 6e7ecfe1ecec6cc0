"""DeviationService: the wire's side of deviations. Converts and calls; decides nothing."""
# ruff: noqa: N802  gRPC dictates the names of calls

from typing import Any

from sopwith.v1 import deviation_service_pb2 as wire
from sopwith.v1 import deviation_service_pb2_grpc
from sopwith_controller.api.interceptors import caller
from sopwith_controller.api.translate import from_timestamp
from sopwith_controller.api.translate_deviation import to_deviation
from sopwith_controller.services.deviations import Asked, Deviations


class DeviationApi(deviation_service_pb2_grpc.DeviationServiceServicer):
    """Serves the deviations' calls."""

    def __init__(self, deviations: Deviations) -> None:
        self._deviations = deviations

    async def OpenDeviation(self, request: wire.OpenDeviationRequest, context: Any) -> wire.OpenDeviationResponse:
        """Ask for one."""
        asked = Asked(
            gate=request.gate,
            reason=request.reason,
            measure=request.measure,
            rollout=request.rollout,
            selector=request.computers,
            expires_time=from_timestamp(request, "expires_time"),
        )
        found = await self._deviations.open(caller(context), asked)
        return wire.OpenDeviationResponse(deviation=to_deviation(found))

    async def ApproveDeviation(
        self, request: wire.ApproveDeviationRequest, context: Any
    ) -> wire.ApproveDeviationResponse:
        """Let it open its gate."""
        found = await self._deviations.approve(caller(context), request.id)
        return wire.ApproveDeviationResponse(deviation=to_deviation(found))

    async def CloseDeviation(self, request: wire.CloseDeviationRequest, context: Any) -> wire.CloseDeviationResponse:
        """End it."""
        found = await self._deviations.close(caller(context), request.id, request.reason)
        return wire.CloseDeviationResponse(deviation=to_deviation(found))

    async def ListDeviations(self, request: wire.ListDeviationsRequest, context: Any) -> wire.ListDeviationsResponse:
        """Read all."""
        return wire.ListDeviationsResponse(deviations=[to_deviation(one) for one in await self._deviations.all()])
