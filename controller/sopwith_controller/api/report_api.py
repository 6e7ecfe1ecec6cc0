"""ReportService: the wire's side of figures and traces. Converts and calls; decides nothing."""
# ruff: noqa: N802  gRPC dictates the names of calls

from typing import Any

from sopwith.v1 import report_service_pb2 as wire
from sopwith.v1 import report_service_pb2_grpc
from sopwith_controller.api.translate import from_timestamp, to_timestamp
from sopwith_controller.domain.kpi import FORMULAS, Kpi
from sopwith_controller.services.kpis import Kpis
from sopwith_controller.services.rollout_trace import RolloutTraces

_RESULTS = {True: "MET", False: "MISSED", None: "NOTHING_COUNTED"}


class ReportApi(report_service_pb2_grpc.ReportServiceServicer):
    """Serves the reports' calls."""

    def __init__(self, kpis: Kpis, traces: RolloutTraces) -> None:
        self._kpis = kpis
        self._traces = traces

    async def GetKpis(self, request: wire.GetKpisRequest, context: Any) -> wire.GetKpisResponse:
        """Read the figures of a period."""
        report = await self._kpis.get(from_timestamp(request, "since_time"), from_timestamp(request, "until_time"))
        return wire.GetKpisResponse(
            since_time=to_timestamp(report.since),
            until_time=to_timestamp(report.until),
            kpis=[_to_kpi(one) for one in report.kpis],
            objectives=[
                wire.Objective(id=one.id, text=one.text, kpi=one.kpi, target=one.target, result=_RESULTS[met])
                for one, met in report.objectives
            ],
        )

    async def TraceRollout(self, request: wire.TraceRolloutRequest, context: Any) -> wire.TraceRolloutResponse:
        """Read how a rollout kept to each clause."""
        found = await self._traces.get(request.id)
        return wire.TraceRolloutResponse(
            rollout=found.rollout.id,
            name=found.rollout.name,
            lines=[wire.TraceLine(**vars(one)) for one in found.lines],
        )


def _to_kpi(kpi: Kpi) -> wire.Kpi:
    return wire.Kpi(
        id=kpi.id,
        value=kpi.value or 0.0,
        nothing_counted=kpi.value is None,
        unit=kpi.unit,
        numerator=kpi.numerator,
        denominator=kpi.denominator,
        others=dict(kpi.others),
        formula=FORMULAS[kpi.id][1],
    )
