"""A fleet port for tests of the command line: real gRPC over real mTLS, its servicers keeping things in memory."""

# ruff: noqa: N802  methods are named by the wire
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from sopwith.v1 import (
    computer_pb2,
    fleet_service_pb2,
    fleet_service_pb2_grpc,
    incident_pb2,
    incident_service_pb2,
    incident_service_pb2_grpc,
    people_pb2,
    people_service_pb2,
    people_service_pb2_grpc,
    rollout_service_pb2,
)
from sopwith_certs.authority import Authority, Subject, certificate_pem
from sopwith_certs.est_messages import read_request
from sopwith_certs.identity import Kind, identity_of_peer
from tests.certs.fleet import TRUST_DOMAIN, pair

EXPIRES = datetime(2026, 11, 23, 2, 14, 35, tzinfo=UTC)
FINGERPRINT = "sha256:" + "ab" * 32


def stamp(time: datetime) -> Timestamp:
    result = Timestamp()
    result.FromDatetime(time)
    return result


class Memory:
    """What the servicers know; tests change it and look at `requests`."""

    def __init__(self, issuer: Authority) -> None:
        self.issuer = issuer
        self.requests: list[Any] = []
        self.web_address = "127.0.0.1:7445"
        self.ca_fingerprint = issuer.fingerprint
        self.refusal: rollout_service_pb2.Refusal | None = None
        self.people = {"p-owner": people_pb2.Person(id="p-owner", name="owner", roles=["owner"], state="ACTIVE")}
        self.computers = {
            "pc1": computer_pb2.Computer(
                id="c-1",
                name="pc1",
                state=computer_pb2.COMPUTER_STATE_ACCEPTED,
                labels={"site": "berlin"},
                installed={"hello": "2.10-3"},
                connected=True,
                key_fingerprint=FINGERPRINT,
                readiness=computer_pb2.Readiness(
                    verdict=computer_pb2.VERDICT_NOT_READY,
                    reasons=[computer_pb2.Reason(code="DISK_FULL", message="1 MiB is free", remedy="free 50 MiB")],
                    checks=[computer_pb2.Check(name="disk_free", result=computer_pb2.CHECK_RESULT_BLOCKED)],
                    measured_time=stamp(EXPIRES),
                ),
            ),
            "pc2": computer_pb2.Computer(id="c-2", name="pc2", state=computer_pb2.COMPUTER_STATE_PENDING),
        }
        self.incident = incident_pb2.Incident(
            id="i-1",
            severity=1,
            state=incident_pb2.INCIDENT_STATE_OPEN,
            level=1,
            symptom="HEALTH_CHECK_FAILED",
            rollout="r-1",
            release="hello@2",
            computers=["pc1", "pc2", "pc3", "pc4"],
            detected_time=stamp(EXPIRES),
            summary="hello@2 failed its health check on pc1",
            notifications=[incident_pb2.Notification(channel="smtp", target="manager@localhost", delivered=True)],
        )

    def keep(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Remember a request, or refuse as the test wants; return who asks."""
        self.requests.append(request)
        if self.refusal is not None:
            context.set_trailing_metadata((("sopwith-refusal-bin", self.refusal.SerializeToString()),))
            context.abort(grpc.StatusCode.PERMISSION_DENIED, self.refusal.reason)
        if not getattr(request, "reason", "given"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a reason is needed, because it is recorded")
        shown: Any = context.auth_context()
        return identity_of_peer(shown, TRUST_DOMAIN)


class People(people_service_pb2_grpc.PeopleServiceServicer):
    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def ListPeople(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        return people_service_pb2.ListPeopleResponse(people=self.memory.people.values())

    def InvitePerson(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        return people_service_pb2.InvitePersonResponse(
            token="a-secret-of-a-token",
            expires_time=stamp(EXPIRES),
            web_address=self.memory.web_address,
            ca_fingerprint=self.memory.ca_fingerprint,
            person=people_pb2.Person(id="p-2", name=request.name, roles=request.roles, state="INVITED"),
        )

    def GrantRole(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        person = people_pb2.Person(id="p-2", name=request.name, roles=request.roles, state="ACTIVE")
        return people_service_pb2.GrantRoleResponse(person=person)

    def RevokePerson(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        return people_service_pb2.RevokePersonResponse(
            person=people_pb2.Person(id="p-2", name=request.name, state="REVOKED")
        )

    def LeavePerson(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        return people_service_pb2.LeavePersonResponse(
            person=people_pb2.Person(id="p-2", name=request.name, state="REVOKED")
        )

    def SetPersonAway(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        person = people_pb2.Person(id="p-2", name=request.name, state="ACTIVE", deputy_id=request.deputy)
        if request.HasField("until_time"):
            person.away_until_time.CopyFrom(request.until_time)
        return people_service_pb2.SetPersonAwayResponse(person=person)

    def BindSshKey(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        person = people_pb2.Person(id="p-2", name=request.name, state="ACTIVE", ssh_key=request.ssh_key)
        return people_service_pb2.BindSshKeyResponse(person=person)

    def CreateToken(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        return people_service_pb2.CreateTokenResponse(
            token="a-secret-of-a-token",
            id="t-1",
            expires_time=stamp(EXPIRES),
            web_address=self.memory.web_address,
            ca_fingerprint=self.memory.ca_fingerprint,
        )

    def ListTokens(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        token = people_pb2.Token(id="t-1", uses_left=4, labels={"site": "berlin"}, expires_time=stamp(EXPIRES))
        return people_service_pb2.ListTokensResponse(tokens=[token])

    def RevokeToken(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        return people_service_pb2.RevokeTokenResponse(token=people_pb2.Token(id=request.id, revoked=True))

    def RenewPersonCertificate(self, request: Any, context: Any) -> Any:
        identity = self.memory.keep(request, context)
        certificate = self.memory.issuer.issue(
            read_request(request.certificate_request), Subject(Kind.PERSON, identity.id), datetime.now(UTC)
        )
        return people_service_pb2.RenewPersonCertificateResponse(
            certificate_pem=certificate_pem(certificate), trust_bundle_pem=self.memory.issuer.trust_bundle_pem
        )


class Fleet(fleet_service_pb2_grpc.FleetServiceServicer):
    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.freezes: list[Any] = []

    def _change(self, request: Any, context: Any, **changes: Any) -> Any:
        self.memory.keep(request, context)
        computer = self.memory.computers.get(request.computer)
        if computer is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no computer {request.computer}\nsopwith computer list")
        for name, value in changes.items():
            setattr(computer, name, value)
        return computer

    def ListComputers(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        return fleet_service_pb2.ListComputersResponse(computers=self.memory.computers.values())

    def GetComputer(self, request: Any, context: Any) -> Any:
        return fleet_service_pb2.GetComputerResponse(computer=self._change(request, context))

    def MeasureReadiness(self, request: Any, context: Any) -> Any:
        found = self._change(request, context)
        return fleet_service_pb2.MeasureReadinessResponse(computer=found, fresh=found.connected)

    def LabelComputer(self, request: Any, context: Any) -> Any:
        found = self._change(request, context)
        found.labels.update(request.set)
        for key in request.remove:
            found.labels.pop(key, None)
        return fleet_service_pb2.LabelComputerResponse(computer=found)

    def AcceptComputer(self, request: Any, context: Any) -> Any:
        found = self._change(request, context, state=computer_pb2.COMPUTER_STATE_ACCEPTED)
        return fleet_service_pb2.AcceptComputerResponse(computer=found)

    def RejectComputer(self, request: Any, context: Any) -> Any:
        found = self._change(request, context, state=computer_pb2.COMPUTER_STATE_REJECTED)
        return fleet_service_pb2.RejectComputerResponse(computer=found)

    def RetireComputer(self, request: Any, context: Any) -> Any:
        found = self._change(request, context, state=computer_pb2.COMPUTER_STATE_RETIRED)
        return fleet_service_pb2.RetireComputerResponse(computer=found)

    def QuarantineComputer(self, request: Any, context: Any) -> Any:
        state = computer_pb2.COMPUTER_STATE_ACCEPTED if request.release else computer_pb2.COMPUTER_STATE_QUARANTINED
        return fleet_service_pb2.QuarantineComputerResponse(computer=self._change(request, context, state=state))

    def StartFreeze(self, request: Any, context: Any) -> Any:
        identity = self.memory.keep(request, context)
        freeze = fleet_service_pb2.FreezeWindow(
            id="f-1", reason=request.reason, started_by=identity.id, start_time=stamp(EXPIRES), active=True
        )
        if request.HasField("end_time"):
            freeze.end_time.CopyFrom(request.end_time)
        self.freezes.append(freeze)
        return fleet_service_pb2.StartFreezeResponse(freeze=freeze)

    def ImportFreezes(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        freezes = [
            fleet_service_pb2.FreezeWindow(id=f"f-{number}", reason=one.reason, origin=request.calendar)
            for number, one in enumerate(request.freezes)
        ]
        return fleet_service_pb2.ImportFreezesResponse(freezes=freezes, added=len(freezes))

    def EndFreeze(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        ended = [freeze for freeze in self.freezes if request.id in {"", freeze.id}]
        for freeze in ended:
            freeze.active = False
        return fleet_service_pb2.EndFreezeResponse(freezes=ended)

    def ListFreezes(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        return fleet_service_pb2.ListFreezesResponse(freezes=self.freezes)

    def ImportComputers(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        return fleet_service_pb2.ImportComputersResponse(added=len(request.computers))

    def ExcuseComputer(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        return fleet_service_pb2.ExcuseComputerResponse()

    def GetCoverage(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        return fleet_service_pb2.GetCoverageResponse()

    def RunDoctor(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        return fleet_service_pb2.RunDoctorResponse()

    def GetOverview(self, request: Any, context: Any) -> Any:
        person = self.memory.people[self.memory.keep(request, context).id]
        return fleet_service_pb2.GetOverviewResponse(organization="Example", person=person.name, roles=person.roles)


class Incidents(incident_service_pb2_grpc.IncidentServiceServicer):
    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    def ListIncidents(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        return incident_service_pb2.ListIncidentsResponse(incidents=[self.memory.incident])

    def GetIncident(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        return incident_service_pb2.GetIncidentResponse(incident=self.memory.incident)

    def AcknowledgeIncident(self, request: Any, context: Any) -> Any:
        self.memory.incident.acknowledged_by = self.memory.keep(request, context).id
        self.memory.incident.state = incident_pb2.INCIDENT_STATE_ACKNOWLEDGED
        return incident_service_pb2.AcknowledgeIncidentResponse(incident=self.memory.incident)

    def NoteIncident(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        self.memory.incident.notes.add(person="owner", text=request.text, guidance=request.guidance)
        return incident_service_pb2.NoteIncidentResponse(incident=self.memory.incident)

    def ResolveIncident(self, request: Any, context: Any) -> Any:
        self.memory.keep(request, context)
        self.memory.incident.resolution = request.reason
        return incident_service_pb2.ResolveIncidentResponse(incident=self.memory.incident)


@contextmanager
def fleet_port(issuer: Authority) -> Iterator[tuple[str, Memory]]:
    """Serve; give the address and the memory."""
    memory = Memory(issuer)
    shown = pair(issuer, Kind.CONTROLLER, "controller-1")
    server = grpc.server(futures.ThreadPoolExecutor(4))
    people_service_pb2_grpc.add_PeopleServiceServicer_to_server(People(memory), server)
    fleet_service_pb2_grpc.add_FleetServiceServicer_to_server(Fleet(memory), server)
    incident_service_pb2_grpc.add_IncidentServiceServicer_to_server(Incidents(memory), server)
    credentials = grpc.ssl_server_credentials(
        [(shown.key_pem, shown.certificate_pem)], issuer.trust_bundle_pem, require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield f"127.0.0.1:{port}", memory
    finally:
        server.stop(0).wait()
