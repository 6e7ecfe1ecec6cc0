"""Rollouts, plans, assignments and explanations as they travel: converts, decides nothing."""

from sopwith.v1 import rollout_pb2, rollout_service_pb2
from sopwith_controller.api.errors import refusal_message
from sopwith_controller.api.translate import to_timestamp
from sopwith_controller.api.translate_deviation import to_deviation
from sopwith_controller.domain.lasting_entities import Baseline
from sopwith_controller.domain.plan import Plan
from sopwith_controller.domain.plan_risk import Risk
from sopwith_controller.domain.planning import member_waves
from sopwith_controller.domain.rollout_entities import Assignment
from sopwith_controller.domain.tick import Explanation
from sopwith_controller.domain.waves import Counts, WaveView, wave_views
from sopwith_controller.services.planning import Drafted
from sopwith_controller.services.rollout_status import RolloutStatus


def to_rollout(status: RolloutStatus) -> rollout_pb2.Rollout:
    """Return a rollout as it travels."""
    rollout = status.rollout
    return rollout_pb2.Rollout(
        id=rollout.id,
        name=rollout.name,
        state=rollout_pb2.RolloutState.Value(f"ROLLOUT_STATE_{rollout.state}"),
        state_reason=rollout.state_reason,
        release=rollout.release,
        sop=rollout_pb2.SopReference(
            id=rollout.sop_id, revision=rollout.sop_revision, policy_sha256=rollout.policy_sha256
        ),
        plan_sha256=rollout.plan_sha256,
        waves=[to_wave(wave) for wave in status.waves],
        counts=to_counts(status.counts),
        change_class=rollout.change_class,
        audience=rollout.audience,
        requester=rollout.requester,
        operator=rollout.operator,
        ticket=rollout.ticket,
        created_time=to_timestamp(rollout.created_time),
        started_time=to_timestamp(rollout.started_time),
        ended_time=to_timestamp(rollout.ended_time),
        deadline_time=to_timestamp(rollout.deadline_time),
        approved_by=[approval.person for approval in rollout.approvals],
        guidance=status.guidance,
        generation=rollout.generation,
        dynamic=status.plan.dynamic,
        joined=status.joined,
        baseline=_baseline_state(status.baseline),
        baseline_reason=(status.baseline.ended_reason or status.baseline.waiting) if status.baseline else "",
        catch_up=status.baseline.catch_up_id if status.baseline else "",
        origin=rollout.origin,
        origin_rollout=rollout.origin_id,
        next_draft_time=to_timestamp(status.repetition.next_time if status.repetition else None),
        stalled=status.stalled,
        deviations=[to_deviation(deviation) for deviation in status.deviations],
        review_due_time=to_timestamp(status.review_due_time),
        reviewed_by=rollout.reviewed_by,
        reviewed_time=to_timestamp(rollout.reviewed_time),
        review_note=rollout.review_note,
    )


def _baseline_state(baseline: Baseline | None) -> str:
    if baseline is None:
        return ""
    return "ENDED" if baseline.ended_time else "IN_FORCE"


def to_stored_plan(status: RolloutStatus) -> rollout_service_pb2.RolloutPlan:
    """Return a frozen plan as it travels: what it dares and what it waits for, without times."""
    rollout, plan = status.rollout, status.plan
    return rollout_service_pb2.RolloutPlan(
        plan_sha256=rollout.plan_sha256,
        plan_json=rollout.plan_json,
        forecast=rollout_service_pb2.PlanForecast(
            computers=len(plan.members),
            waves=[to_wave(wave) for wave in wave_views(rollout, plan, ())],
            risk=_to_risk(status.outlook.risk) if status.outlook else None,
            approvals_missing=status.outlook.approvals_missing if status.outlook else (),
        ),
    )


def to_plan(drafted: Drafted) -> rollout_service_pb2.RolloutPlan:
    """Return a fresh plan with what the dry run found."""
    plan, projection = drafted.planning.plan, drafted.planning.projection
    return rollout_service_pb2.RolloutPlan(
        plan_sha256=plan.sha256(),
        plan_json=plan.to_json(),
        forecast=rollout_service_pb2.PlanForecast(
            computers=len(plan.members),
            bytes_per_computer=drafted.bytes_per_computer,
            exclusions=[
                rollout_service_pb2.PlanExclusion(computer=item.computer, reason=item.reason, remedy=item.remedy)
                for item in drafted.planning.exclusions
            ],
            refusals=[refusal_message(refusal) for refusal in drafted.refusals],
            warnings=drafted.warnings,
            deviations=[to_deviation(deviation) for deviation in drafted.deviations],
            materials=[
                rollout_service_pb2.PlanMaterial(name=item.name, present=item.present, message=item.message)
                for item in drafted.planning.materials
            ],
            waves=[
                rollout_pb2.Wave(
                    name=wave.name,
                    state="PENDING",
                    size=wave.size,
                    counts=rollout_pb2.Counts(pending=wave.size),
                    soak_seconds=wave.soak_seconds,
                )
                for wave in plan.waves
            ],
            projected_finish_time=to_timestamp(projection.finish),
            wave_times=[
                rollout_service_pb2.WaveForecast(
                    wave=wave.name, opens_time=to_timestamp(wave.opens), ends_time=to_timestamp(wave.ends)
                )
                for wave in projection.waves
            ],
            deadline_time=to_timestamp(projection.deadline),
            durations_measured=projection.measured,
            install_seconds=int(projection.longest.total_seconds()),
            bytes_total=drafted.bytes_per_computer * len(plan.members),
            members=[
                rollout_service_pb2.PlannedComputer(computer=member.name, wave=plan.wave_name(wave))
                for member, wave in zip(plan.members, member_waves(plan), strict=True)
            ],
            risk=_to_risk(drafted.risk),
            approvals_missing=drafted.approvals_missing,
        ),
    )


def _to_risk(risk: Risk) -> rollout_service_pb2.PlanRisk:
    return rollout_service_pb2.PlanRisk(level=risk.level, reasons=risk.reasons)


def to_assignment(assignment: Assignment, plan: Plan) -> rollout_pb2.Assignment:
    """Return an assignment as it travels."""
    return rollout_pb2.Assignment(
        id=assignment.id,
        computer=assignment.computer,
        wave=plan.wave_name(assignment.wave),
        state=assignment.state,
        outcome=assignment.outcome,
        symptom=assignment.symptom,
        detail=assignment.detail,
        percent=assignment.percent,
        version_before=assignment.version_before,
        version_after=assignment.version_after,
        attempts=assignment.attempts,
        reported_time=to_timestamp(assignment.reported_time),
        attempts_max=plan.attempts_max,
        next_try_time=to_timestamp(assignment.next_try_time),
        generation=assignment.generation,
        stalled_time=to_timestamp(assignment.stalled_time),
        deferrals=assignment.deferrals,
        deferred_until_time=to_timestamp(assignment.deferred_until_time),
    )


def to_explanation(explanation: Explanation) -> rollout_pb2.Explanation:
    """Return an explanation as it travels."""
    return rollout_pb2.Explanation(
        computer=explanation.computer,
        state=explanation.state,
        wave=explanation.wave,
        waits_for=explanation.waits_for,
        message=explanation.message,
        remedy=explanation.remedy,
        until_time=to_timestamp(explanation.until),
    )


def to_wave(wave: WaveView) -> rollout_pb2.Wave:
    """Return a wave as it travels."""
    return rollout_pb2.Wave(
        name=wave.name,
        state=wave.state,
        size=wave.size,
        counts=to_counts(wave.counts),
        soak_seconds=wave.soak_seconds,
    )


def to_counts(counts: Counts) -> rollout_pb2.Counts:
    """Return counts as they travel."""
    return rollout_pb2.Counts(**vars(counts))
