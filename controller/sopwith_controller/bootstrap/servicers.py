"""The services of the fleet port: each servicer with the use cases that it needs."""

from sopwith.v1 import (
    agent_service_pb2_grpc,
    deviation_service_pb2_grpc,
    fleet_service_pb2_grpc,
    incident_service_pb2_grpc,
    people_service_pb2_grpc,
    practice_service_pb2_grpc,
    release_service_pb2_grpc,
    report_service_pb2_grpc,
    rollout_service_pb2_grpc,
    sop_life_service_pb2_grpc,
    sop_service_pb2_grpc,
    update_log_service_pb2_grpc,
)
from sopwith_controller.api.agent_api import AgentApi, AgentTools
from sopwith_controller.api.arrivals import Arrivals
from sopwith_controller.api.deviation_api import DeviationApi
from sopwith_controller.api.fleet_api import FleetApi
from sopwith_controller.api.incident_api import IncidentApi
from sopwith_controller.api.people_api import JoinAddress, PeopleApi
from sopwith_controller.api.practice_api import PracticeApi
from sopwith_controller.api.release_api import ReleaseApi
from sopwith_controller.api.report_api import ReportApi
from sopwith_controller.api.rollout_api import RolloutApi
from sopwith_controller.api.server import Registration
from sopwith_controller.api.sop_api import SopApi
from sopwith_controller.api.sop_life_api import SopLifeApi, SopTools
from sopwith_controller.api.update_log_api import UpdateLogApi
from sopwith_controller.bootstrap.parts import Parts
from sopwith_controller.services.absences import Absences
from sopwith_controller.services.computers import Fleet
from sopwith_controller.services.coverage import Coverage
from sopwith_controller.services.dispatch import Dispatch
from sopwith_controller.services.doctor import Doctor, Premises
from sopwith_controller.services.overview import Overviews
from sopwith_controller.services.releases import Releases
from sopwith_controller.services.rollout_reports import RolloutReports
from sopwith_controller.services.rollout_retry import RolloutRetry
from sopwith_controller.services.rollout_start import RolloutStart
from sopwith_controller.services.rollout_status import RolloutStatuses
from sopwith_controller.services.rollout_trace import RolloutTraces
from sopwith_controller.services.rollouts import Rollouts
from sopwith_controller.services.tokens import Tokens


def registrations(parts: Parts) -> list[Registration]:
    """Return the services of the fleet port."""
    apis = _Apis(parts)
    return [
        lambda server: agent_service_pb2_grpc.add_AgentServiceServicer_to_server(apis.agents(), server),
        lambda server: fleet_service_pb2_grpc.add_FleetServiceServicer_to_server(apis.fleet(), server),
        lambda server: people_service_pb2_grpc.add_PeopleServiceServicer_to_server(apis.people(), server),
        lambda server: release_service_pb2_grpc.add_ReleaseServiceServicer_to_server(apis.releases(), server),
        lambda server: rollout_service_pb2_grpc.add_RolloutServiceServicer_to_server(apis.rollouts(), server),
        lambda server: deviation_service_pb2_grpc.add_DeviationServiceServicer_to_server(
            DeviationApi(parts.deviations), server
        ),
        lambda server: incident_service_pb2_grpc.add_IncidentServiceServicer_to_server(
            IncidentApi(parts.incidents), server
        ),
        lambda server: sop_service_pb2_grpc.add_SopServiceServicer_to_server(SopApi(parts.sops), server),
        lambda server: sop_life_service_pb2_grpc.add_SopLifeServiceServicer_to_server(
            SopLifeApi(_sop_tools(parts), _join(parts)), server
        ),
        lambda server: practice_service_pb2_grpc.add_PracticeServiceServicer_to_server(
            PracticeApi(parts.trainings, parts.review_clock, parts.sop_feedback), server
        ),
        lambda server: report_service_pb2_grpc.add_ReportServiceServicer_to_server(
            ReportApi(parts.kpis, RolloutTraces(parts.database, parts.records)), server
        ),
        lambda server: update_log_service_pb2_grpc.add_UpdateLogServiceServicer_to_server(
            UpdateLogApi(parts.update_logs), server
        ),
    ]


def _sop_tools(parts: Parts) -> SopTools:
    return SopTools(
        sops=parts.sops,
        reviews=parts.sop_reviews,
        links=parts.signing_links,
        announcing=parts.sop_announcing,
        distribution=parts.sop_distribution,
        profiles=parts.profiles,
    )


def _join(parts: Parts) -> JoinAddress:
    return JoinAddress(parts.config.web_address, parts.authority.fingerprint, parts.authority.trust_bundle_pem)


class _Apis:
    """Makes the servicers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def agents(self) -> AgentApi:
        """Return the computers' service."""
        parts = self._parts
        dispatch = Dispatch(parts.database, parts.clock, parts.presence, parts.records, parts.incidents)
        return AgentApi(
            AgentTools(
                presence=parts.presence,
                writer=parts.writer,
                briefing=parts.briefing,
                dispatch=dispatch,
                arrivals=Arrivals(dispatch),
                advancing=parts.advancing,
                newcomers=parts.newcomers,
                access=parts.access,
                enrolment=parts.enrolment,
                witnesses=parts.witnesses,
                show_log_soon=parts.show_log_soon,
                sop_held=parts.sop_distribution.received,
            )
        )

    def fleet(self) -> FleetApi:
        """Return the service of computers, freezes and the one screen."""
        parts, config = self._parts, self._parts.config
        fleet = Fleet(parts.database, parts.clock, parts.access, parts.presence, parts.computer_changed)
        overviews = Overviews(parts.database, parts.clock, parts.presence, parts.source, version=parts.version)
        premises = Premises(
            web_host=config.advertise,
            web_port=config.web_port,
            ca_fingerprint=parts.authority.fingerprint,
            data=parts.paths.data,
            smtp_configured=bool(config.smtp.address),
        )
        doctor = Doctor(parts.database, parts.clock, parts.source, premises)
        return FleetApi(
            fleet,
            parts.freezes,
            overviews,
            doctor,
            gateway=parts.presence,
            clock=parts.clock,
            coverage=Coverage(parts.database, parts.clock),
            held=parts.sop_distribution.held_by,
        )

    def people(self) -> PeopleApi:
        """Return the roster's service."""
        parts = self._parts
        return PeopleApi(
            parts.roster,
            Absences(parts.database, parts.clock, parts.access),
            Tokens(parts.database, parts.clock, parts.ids),
            parts.enrolment,
            _join(parts),
        )

    def releases(self) -> ReleaseApi:
        """Return the service of releases and of the source."""
        parts = self._parts
        releases = Releases(parts.database, parts.clock, parts.source, parts.presence, changed=parts.release_changed)
        return ReleaseApi(releases, metadata_url=parts.briefing.metadata_url, files_url=parts.briefing.files_url)

    def rollouts(self) -> RolloutApi:
        """Return the rollouts' service."""
        parts = self._parts
        tools = parts.rollout_tools
        statuses = RolloutStatuses(parts.database, parts.clock, parts.records, parts.views)
        start = RolloutStart(tools, parts.presence)
        return RolloutApi(
            Rollouts(tools),
            start,
            RolloutRetry(tools),
            parts.reviews,
            statuses,
            reports=RolloutReports(parts.database, parts.records, statuses),
            watchers=parts.watchers,
        )
