"""IncidentService: the wire's side of incidents. Converts and calls; decides nothing."""
# ruff: noqa: N802  gRPC dictates the names of calls

from typing import Any

from sopwith.v1 import incident_service_pb2 as wire
from sopwith.v1 import incident_service_pb2_grpc
from sopwith_controller.api.interceptors import caller
from sopwith_controller.api.translate import to_incident
from sopwith_controller.services.incidents import Incidents


class IncidentApi(incident_service_pb2_grpc.IncidentServiceServicer):
    """Serves the incidents' calls."""

    def __init__(self, incidents: Incidents) -> None:
        self._incidents = incidents

    async def ListIncidents(self, request: wire.ListIncidentsRequest, context: Any) -> wire.ListIncidentsResponse:
        """Read incidents, newest first."""
        found = await self._incidents.all(unresolved_only=request.unresolved_only)
        return wire.ListIncidentsResponse(incidents=[to_incident(incident, sent) for incident, sent in found])

    async def GetIncident(self, request: wire.GetIncidentRequest, context: Any) -> wire.GetIncidentResponse:
        """Read one incident."""
        return wire.GetIncidentResponse(incident=to_incident(*await self._incidents.get(request.id)))

    async def AcknowledgeIncident(
        self, request: wire.AcknowledgeIncidentRequest, context: Any
    ) -> wire.AcknowledgeIncidentResponse:
        """Take an incident."""
        found = await self._incidents.acknowledge(caller(context), request.id)
        return wire.AcknowledgeIncidentResponse(incident=to_incident(*found))

    async def NoteIncident(self, request: wire.NoteIncidentRequest, context: Any) -> wire.NoteIncidentResponse:
        """Add a note."""
        found = await self._incidents.note(caller(context), request.id, request.text, guidance=request.guidance)
        return wire.NoteIncidentResponse(incident=to_incident(*found))

    async def ResolveIncident(self, request: wire.ResolveIncidentRequest, context: Any) -> wire.ResolveIncidentResponse:
        """Close an incident."""
        found = await self._incidents.resolve(
            caller(context), request.id, request.reason, ppe_acknowledged=request.ppe_acknowledged
        )
        return wire.ResolveIncidentResponse(incident=to_incident(*found))
