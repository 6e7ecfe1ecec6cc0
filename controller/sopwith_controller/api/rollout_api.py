"""RolloutService: the wire's side of rollouts. Converts and calls; decides nothing."""
# ruff: noqa: N802  gRPC dictates the names of calls

from collections.abc import AsyncIterator
from typing import Any

from sopwith.v1 import rollout_pb2, rollout_service_pb2_grpc
from sopwith.v1 import rollout_service_pb2 as wire
from sopwith_controller.api.interceptors import caller
from sopwith_controller.api.translate_report import to_report
from sopwith_controller.api.translate_rollout import (
    to_assignment,
    to_explanation,
    to_plan,
    to_rollout,
    to_stored_plan,
)
from sopwith_controller.api.watchers import Watchers
from sopwith_controller.domain.rollout import ENDED_STATES
from sopwith_controller.domain.rollout_entities import Rollout
from sopwith_controller.services.rollout_reports import RolloutReports
from sopwith_controller.services.rollout_retry import RolloutRetry
from sopwith_controller.services.rollout_review import RolloutReviews
from sopwith_controller.services.rollout_start import RolloutStart
from sopwith_controller.services.rollout_status import RolloutStatuses
from sopwith_controller.services.rollouts import Rollouts

WATCH_SILENCE_SECONDS = 5.0
"""A watcher hears at least every 10 s; half of it leaves room for a slow line."""


class RolloutApi(rollout_service_pb2_grpc.RolloutServiceServicer):
    """Serves the rollouts' calls."""

    def __init__(
        self,
        rollouts: Rollouts,
        start: RolloutStart,
        retry: RolloutRetry,
        reviews: RolloutReviews,
        statuses: RolloutStatuses,
        *,
        reports: RolloutReports,
        watchers: Watchers,
    ) -> None:
        self._rollouts = rollouts
        self._start = start
        self._retry = retry
        self._reviews = reviews
        self._statuses = statuses
        self._reports = reports
        self._watchers = watchers

    async def PlanRollout(self, request: wire.PlanRolloutRequest, context: Any) -> wire.PlanRolloutResponse:
        """Compute a plan."""
        drafted = await self._rollouts.plan(request.rollout_json)
        return wire.PlanRolloutResponse(plan=to_plan(drafted))

    async def CreateRollout(self, request: wire.CreateRolloutRequest, context: Any) -> wire.CreateRolloutResponse:
        """Store a draft."""
        rollout, drafted = await self._rollouts.create(caller(context), request.rollout_json)
        return wire.CreateRolloutResponse(rollout=await self._shown(rollout), plan=to_plan(drafted))

    async def SubmitRollout(self, request: wire.SubmitRolloutRequest, context: Any) -> wire.SubmitRolloutResponse:
        """Freeze the plan."""
        rollout, drafted = await self._rollouts.submit(caller(context), request.id)
        return wire.SubmitRolloutResponse(rollout=await self._shown(rollout), plan=to_plan(drafted))

    async def ApproveRollout(self, request: wire.ApproveRolloutRequest, context: Any) -> wire.ApproveRolloutResponse:
        """Record an approval."""
        rollout = await self._rollouts.approve(
            caller(context),
            request.id,
            request.plan_sha256,
            request.envelope_json.decode(),
            "".join(pem.decode() for pem in context.auth_context().get("x509_pem_cert", ())),
        )
        return wire.ApproveRolloutResponse(rollout=await self._shown(rollout))

    async def RejectRollout(self, request: wire.RejectRolloutRequest, context: Any) -> wire.RejectRolloutResponse:
        """Send it back."""
        rollout = await self._rollouts.reject(caller(context), request.id, request.reason)
        return wire.RejectRolloutResponse(rollout=await self._shown(rollout))

    async def StartRollout(self, request: wire.StartRolloutRequest, context: Any) -> wire.StartRolloutResponse:
        """Let it run."""
        started = await self._start.start(caller(context), request.id, request.reason)
        return wire.StartRolloutResponse(rollout=await self._shown(started.rollout), warnings=started.warnings)

    async def PauseRollout(self, request: wire.PauseRolloutRequest, context: Any) -> wire.PauseRolloutResponse:
        """Stop new starts."""
        rollout = await self._rollouts.pause(caller(context), request.id, request.reason)
        return wire.PauseRolloutResponse(rollout=await self._shown(rollout))

    async def ResumeRollout(self, request: wire.ResumeRolloutRequest, context: Any) -> wire.ResumeRolloutResponse:
        """Go on."""
        rollout = await self._rollouts.resume(caller(context), request.id, request.reason)
        return wire.ResumeRolloutResponse(rollout=await self._shown(rollout))

    async def AbortRollout(self, request: wire.AbortRolloutRequest, context: Any) -> wire.AbortRolloutResponse:
        """End it."""
        rollout = await self._rollouts.abort(caller(context), request.id, request.reason)
        return wire.AbortRolloutResponse(rollout=await self._shown(rollout))

    async def RetryRollout(self, request: wire.RetryRolloutRequest, context: Any) -> wire.RetryRolloutResponse:
        """Begin anew where it did not succeed."""
        rollout, chosen, exclusions = await self._retry.retry(
            caller(context), request.id, request.computers, request.reason
        )
        return wire.RetryRolloutResponse(
            rollout=await self._shown(rollout),
            computers=chosen,
            exclusions=[wire.PlanExclusion(computer=one.computer, reason=one.reason) for one in exclusions],
        )

    async def ReviewRollout(self, request: wire.ReviewRolloutRequest, context: Any) -> wire.ReviewRolloutResponse:
        """Record the review of an emergency."""
        rollout = await self._reviews.review(caller(context), request.id, request.note)
        return wire.ReviewRolloutResponse(rollout=await self._shown(rollout))

    async def GetRollout(self, request: wire.GetRolloutRequest, context: Any) -> wire.GetRolloutResponse:
        """Read one rollout and its plan."""
        status = await self._statuses.get(request.id)
        return wire.GetRolloutResponse(rollout=to_rollout(status), plan=to_stored_plan(status))

    async def ListRollouts(self, request: wire.ListRolloutsRequest, context: Any) -> wire.ListRolloutsResponse:
        """Read all rollouts."""
        return wire.ListRolloutsResponse(rollouts=[to_rollout(status) for status in await self._statuses.all()])

    async def ListAssignments(self, request: wire.ListAssignmentsRequest, context: Any) -> wire.ListAssignmentsResponse:
        """Read each computer's share."""
        status, assignments = await self._statuses.assignments(request.id)
        return wire.ListAssignmentsResponse(
            assignments=[to_assignment(assignment, status.plan) for assignment in assignments]
        )

    async def WatchRollout(
        self, request: wire.WatchRolloutRequest, context: Any
    ) -> AsyncIterator[wire.WatchRolloutResponse]:
        """Send the rollout now and after each change, until it has ended."""
        rollout_id = (await self._statuses.get(request.id)).rollout.id
        watch = self._watchers.open(rollout_id)
        try:
            status, changed = await self._statuses.assignments(rollout_id)
            while True:
                yield wire.WatchRolloutResponse(
                    rollout=to_rollout(status),
                    assignments=[to_assignment(assignment, status.plan) for assignment in changed],
                )
                if status.rollout.state in ENDED_STATES:
                    return
                changed = await watch.next(WATCH_SILENCE_SECONDS)
                status = await self._statuses.get(rollout_id)
        finally:
            self._watchers.close(rollout_id, watch)

    async def ExplainRollout(self, request: wire.ExplainRolloutRequest, context: Any) -> wire.ExplainRolloutResponse:
        """Read what each waiting computer waits for."""
        rollout, explanations = await self._statuses.explain(request.id, request.computer)
        return wire.ExplainRolloutResponse(
            explanations=[to_explanation(explanation) for explanation in explanations],
            state=rollout_pb2.RolloutState.Value(f"ROLLOUT_STATE_{rollout.state}"),
            state_reason=rollout.state_reason,
        )

    async def GetRolloutReport(
        self, request: wire.GetRolloutReportRequest, context: Any
    ) -> wire.GetRolloutReportResponse:
        """Read how it went."""
        return wire.GetRolloutReportResponse(report=to_report(await self._reports.get(request.id)))

    async def _shown(self, rollout: Rollout) -> rollout_pb2.Rollout:
        self._watchers.changed(rollout.id)
        return to_rollout(await self._statuses.get(rollout.id))
