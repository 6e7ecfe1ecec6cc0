"""PeopleService: the wire's side of the roster and the tokens. Converts and calls; decides nothing."""
# ruff: noqa: N802  gRPC dictates the names of calls

from dataclasses import dataclass
from typing import Any

from sopwith.v1 import people_service_pb2 as wire
from sopwith.v1 import people_service_pb2_grpc
from sopwith_controller.api.interceptors import caller
from sopwith_controller.api.translate import from_duration, from_timestamp, to_person, to_timestamp, to_token
from sopwith_controller.services.absences import Absences
from sopwith_controller.services.enrolment import Enrolment
from sopwith_controller.services.people import Roster
from sopwith_controller.services.tokens import Tokens


@dataclass(frozen=True)
class JoinAddress:
    """Where people and computers enrol, and by what they know the authority."""

    web_address: str
    ca_fingerprint: str
    trust_bundle_pem: bytes


class PeopleApi(people_service_pb2_grpc.PeopleServiceServicer):
    """Serves the roster's calls."""

    def __init__(
        self, roster: Roster, absences: Absences, tokens: Tokens, enrolment: Enrolment, join: JoinAddress
    ) -> None:
        self._roster = roster
        self._absences = absences
        self._tokens = tokens
        self._enrolment = enrolment
        self._join = join

    async def ListPeople(self, request: wire.ListPeopleRequest, context: Any) -> wire.ListPeopleResponse:
        """Read the roster."""
        return wire.ListPeopleResponse(people=[to_person(person) for person in await self._roster.all()])

    async def InvitePerson(self, request: wire.InvitePersonRequest, context: Any) -> wire.InvitePersonResponse:
        """Make a one-time token for a person."""
        person, issued = await self._roster.invite(
            caller(context),
            request.name,
            roles=list(request.roles),
            email=request.email,
            life=from_duration(request, "expires"),
            until=from_timestamp(request, "until_time"),
        )
        return wire.InvitePersonResponse(
            token=issued.secret,
            expires_time=to_timestamp(issued.token.expires_time),
            web_address=self._join.web_address,
            ca_fingerprint=self._join.ca_fingerprint,
            person=to_person(person),
        )

    async def GrantRole(self, request: wire.GrantRoleRequest, context: Any) -> wire.GrantRoleResponse:
        """Give roles."""
        person = await self._roster.grant(caller(context), request.name, list(request.roles))
        return wire.GrantRoleResponse(person=to_person(person))

    async def RevokePerson(self, request: wire.RevokePersonRequest, context: Any) -> wire.RevokePersonResponse:
        """Take roles or everything."""
        person = await self._roster.revoke(caller(context), request.name, list(request.roles), request.reason)
        return wire.RevokePersonResponse(person=to_person(person))

    async def CreateToken(self, request: wire.CreateTokenRequest, context: Any) -> wire.CreateTokenResponse:
        """Make a token for computers."""
        issued = await self._tokens.create(
            caller(context),
            uses=request.uses or 1,
            life=from_duration(request, "expires"),
            labels=dict(request.labels),
        )
        return wire.CreateTokenResponse(
            token=issued.secret,
            id=issued.token.id,
            expires_time=to_timestamp(issued.token.expires_time),
            web_address=self._join.web_address,
            ca_fingerprint=self._join.ca_fingerprint,
        )

    async def ListTokens(self, request: wire.ListTokensRequest, context: Any) -> wire.ListTokensResponse:
        """Read tokens."""
        return wire.ListTokensResponse(tokens=[to_token(token) for token in await self._tokens.all()])

    async def RevokeToken(self, request: wire.RevokeTokenRequest, context: Any) -> wire.RevokeTokenResponse:
        """End a token."""
        return wire.RevokeTokenResponse(token=to_token(await self._tokens.revoke(caller(context), request.id)))

    async def RenewPersonCertificate(
        self, request: wire.RenewPersonCertificateRequest, context: Any
    ) -> wire.RenewPersonCertificateResponse:
        """Exchange the caller's living certificate."""
        issued = await self._enrolment.renew(caller(context), request.certificate_request)
        return wire.RenewPersonCertificateResponse(
            certificate_pem=issued.certificate_pem, trust_bundle_pem=self._join.trust_bundle_pem
        )

    async def LeavePerson(self, request: wire.LeavePersonRequest, context: Any) -> wire.LeavePersonResponse:
        """Take somebody off the roster."""
        person = await self._absences.leave(caller(context), request.name, request.successor, request.reason)
        return wire.LeavePersonResponse(person=to_person(person))

    async def SetPersonAway(self, request: wire.SetPersonAwayRequest, context: Any) -> wire.SetPersonAwayResponse:
        """Let somebody be away or come back."""
        until = from_timestamp(request, "until_time")
        person = await self._absences.away(caller(context), request.name, until, request.deputy)
        return wire.SetPersonAwayResponse(person=to_person(person))

    async def BindSshKey(self, request: wire.BindSshKeyRequest, context: Any) -> wire.BindSshKeyResponse:
        """Bind a key for signing."""
        person = await self._roster.bind_key(caller(context), request.name, request.ssh_key)
        return wire.BindSshKeyResponse(person=to_person(person))
