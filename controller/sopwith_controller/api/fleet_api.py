"""FleetService: the wire's side of computers, freezes, overview and doctor. Converts and calls; decides nothing."""
# ruff: noqa: N802  gRPC dictates the names of calls

from collections.abc import Awaitable, Callable
from datetime import UTC, timedelta
from typing import Any

from sopwith.v1 import fleet_service_pb2 as wire
from sopwith.v1 import fleet_service_pb2_grpc
from sopwith_controller.api.interceptors import caller
from sopwith_controller.api.translate import from_timestamp, to_computer, to_freeze
from sopwith_controller.domain.coverage import share
from sopwith_controller.domain.entities import Computer
from sopwith_controller.domain.errors import InvalidInputError
from sopwith_controller.domain.freezing import CalendarTime
from sopwith_controller.domain.sop_life_entities import SopReceipt
from sopwith_controller.services.computers import Fleet
from sopwith_controller.services.coverage import Coverage
from sopwith_controller.services.doctor import Doctor
from sopwith_controller.services.freezes import Freezes
from sopwith_controller.services.overview import Overviews
from sopwith_controller.services.ports import AgentGateway, Clock
from sopwith_formats.errors import FormatError
from sopwith_formats.selector import parse_selector

MEASURE_WAIT = timedelta(seconds=8)


class FleetApi(fleet_service_pb2_grpc.FleetServiceServicer):
    """Serves the fleet's calls."""

    def __init__(
        self,
        fleet: Fleet,
        freezes: Freezes,
        overviews: Overviews,
        doctor: Doctor,
        *,
        gateway: AgentGateway,
        clock: Clock,
        coverage: Coverage,
        held: Callable[[list[str]], Awaitable[dict[str, SopReceipt]]],
    ) -> None:
        self._held = held
        self._coverage = coverage
        self._fleet = fleet
        self._freezes = freezes
        self._overviews = overviews
        self._doctor = doctor
        self._gateway = gateway
        self._clock = clock

    async def ListComputers(self, request: wire.ListComputersRequest, context: Any) -> wire.ListComputersResponse:
        """Read computers by name."""
        try:
            selector = parse_selector(request.selector)
        except FormatError as error:
            raise InvalidInputError(f"selector: {error.message}", remedy=error.remedy) from error
        chosen = [c for c in await self._fleet.all() if selector.matches(c.labels, c.facts)]
        held = await self._held([computer.id for computer in chosen])
        shown = [self._shown(computer, held.get(computer.id)) for computer in chosen]
        return wire.ListComputersResponse(computers=shown)

    async def GetComputer(self, request: wire.GetComputerRequest, context: Any) -> wire.GetComputerResponse:
        """Read one computer."""
        computer = await self._fleet.get(request.computer)
        held = (await self._held([computer.id])).get(computer.id)
        return wire.GetComputerResponse(computer=self._shown(computer, held))

    async def MeasureReadiness(
        self, request: wire.MeasureReadinessRequest, context: Any
    ) -> wire.MeasureReadinessResponse:
        """Ask a computer to measure and wait for its answer."""
        computer = await self._fleet.get(request.computer)
        answered = await self._gateway.measure([computer.id], MEASURE_WAIT)
        newest = await self._fleet.get(computer.id)
        return wire.MeasureReadinessResponse(computer=self._shown(newest), fresh=computer.id in answered)

    async def LabelComputer(self, request: wire.LabelComputerRequest, context: Any) -> wire.LabelComputerResponse:
        """Set and remove labels."""
        labels = dict(request.set)
        computer = await self._fleet.label(caller(context), request.computer, labels, list(request.remove))
        return wire.LabelComputerResponse(computer=self._shown(computer))

    async def AcceptComputer(self, request: wire.AcceptComputerRequest, context: Any) -> wire.AcceptComputerResponse:
        """Let a waiting computer in."""
        computer = await self._fleet.accept(caller(context), request.computer, request.key_fingerprint)
        return wire.AcceptComputerResponse(computer=self._shown(computer))

    async def RejectComputer(self, request: wire.RejectComputerRequest, context: Any) -> wire.RejectComputerResponse:
        """Refuse a waiting computer."""
        computer = await self._fleet.reject(caller(context), request.computer, request.reason)
        return wire.RejectComputerResponse(computer=self._shown(computer))

    async def RetireComputer(self, request: wire.RetireComputerRequest, context: Any) -> wire.RetireComputerResponse:
        """Take a computer out of the fleet."""
        computer = await self._fleet.retire(caller(context), request.computer, request.reason)
        return wire.RetireComputerResponse(computer=self._shown(computer))

    async def QuarantineComputer(
        self, request: wire.QuarantineComputerRequest, context: Any
    ) -> wire.QuarantineComputerResponse:
        """Hold a computer apart, or let it back."""
        computer = await self._fleet.quarantine(
            caller(context), request.computer, request.reason, release=request.release
        )
        return wire.QuarantineComputerResponse(computer=self._shown(computer))

    async def StartFreeze(self, request: wire.StartFreezeRequest, context: Any) -> wire.StartFreezeResponse:
        """Forbid new installs."""
        freeze = await self._freezes.start(
            caller(context),
            request.reason,
            from_timestamp(request, "end_time"),
            start_time=from_timestamp(request, "start_time"),
        )
        return wire.StartFreezeResponse(freeze=to_freeze(freeze, self._clock.now()))

    async def ImportFreezes(self, request: wire.ImportFreezesRequest, context: Any) -> wire.ImportFreezesResponse:
        """Bring the freezes of a calendar in line."""
        times = [
            CalendarTime(one.uid, one.reason, one.start_time.ToDatetime(UTC), one.end_time.ToDatetime(UTC))
            for one in request.freezes
        ]
        change = await self._freezes.import_calendar(caller(context), request.calendar, times, dry_run=request.dry_run)
        now = self._clock.now()
        return wire.ImportFreezesResponse(
            freezes=[to_freeze(freeze, now) for freeze in change.freezes],
            added=len(change.added),
            changed=len(change.changed),
            removed=len(change.removed),
            unchanged=change.unchanged,
        )

    async def EndFreeze(self, request: wire.EndFreezeRequest, context: Any) -> wire.EndFreezeResponse:
        """End freezes."""
        ended = await self._freezes.end(caller(context), request.id, request.reason, confirm_time=request.confirm_time)
        now = self._clock.now()
        return wire.EndFreezeResponse(freezes=[to_freeze(freeze, now) for freeze in ended])

    async def ListFreezes(self, request: wire.ListFreezesRequest, context: Any) -> wire.ListFreezesResponse:
        """Read all freezes."""
        now = self._clock.now()
        return wire.ListFreezesResponse(freezes=[to_freeze(freeze, now) for freeze in await self._freezes.all()])

    async def GetOverview(self, request: wire.GetOverviewRequest, context: Any) -> wire.GetOverviewResponse:
        """Read what needs a person."""
        who = caller(context)
        overview = await self._overviews.get()
        return wire.GetOverviewResponse(
            organization=overview.organization,
            profile=overview.profile,
            version=overview.version,
            computers=overview.computers,
            rollouts=overview.rollouts,
            incidents=overview.incidents,
            sop=overview.sop,
            attention=[
                wire.Attention(severity=item.severity, message=item.message, command=item.command)
                for item in overview.attention
            ],
            person=who.name,
            roles=sorted(who.roles),
            banners=overview.banners,
        )

    async def RunDoctor(self, request: wire.RunDoctorRequest, context: Any) -> wire.RunDoctorResponse:
        """Check the controller's own set-up."""
        findings, join = await self._doctor.examine()
        return wire.RunDoctorResponse(
            findings=[
                wire.Finding(check=found.check, level=found.level, message=found.message, remedy=found.remedy)
                for found in findings
            ],
            join=join,
        )

    async def ImportComputers(self, request: wire.ImportComputersRequest, context: Any) -> wire.ImportComputersResponse:
        """Replace the list of known computers."""
        names = [(one.name, one.note) for one in request.computers]
        found = await self._coverage.import_list(caller(context), names, dry_run=request.dry_run)
        return wire.ImportComputersResponse(added=found.added, removed=found.removed, unchanged=found.unchanged)

    async def ExcuseComputer(self, request: wire.ExcuseComputerRequest, context: Any) -> wire.ExcuseComputerResponse:
        """Excuse a known computer until a time."""
        until = from_timestamp(request, "until_time") or self._clock.now()
        found = await self._coverage.excuse(caller(context), request.name, request.reason, until)
        return wire.ExcuseComputerResponse(computer=wire.KnownComputer(**vars(found)))

    async def GetCoverage(self, request: wire.GetCoverageRequest, context: Any) -> wire.GetCoverageResponse:
        """Read where each known computer stands."""
        found = await self._coverage.get()
        covered, listed = share(found)
        computers = [wire.KnownComputer(**vars(one)) for one in found]
        return wire.GetCoverageResponse(computers=computers, covered=covered, listed=listed)

    def _shown(self, computer: Computer, held: SopReceipt | None = None) -> Any:
        return to_computer(computer, self._gateway.presence(computer.id), held)
