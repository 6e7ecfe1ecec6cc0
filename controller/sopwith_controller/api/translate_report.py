"""A rollout's report as it travels: converts, decides nothing."""

from itertools import zip_longest

from sopwith.v1 import rollout_report_pb2 as wire
from sopwith_controller.api.translate import to_timestamp
from sopwith_controller.api.translate_rollout import to_counts, to_rollout
from sopwith_controller.domain.projection import WaveTimes
from sopwith_controller.domain.rollout_entities import WaveProgress
from sopwith_controller.domain.waves import WaveView
from sopwith_controller.services.rollout_reports import RolloutReport


def to_report(report: RolloutReport) -> wire.RolloutReport:
    """Return a report as it travels."""
    status, projection = report.status, report.projection
    rollout, plan = status.rollout, status.plan
    planned = projection.waves if projection else ()
    return wire.RolloutReport(
        rollout=to_rollout(status),
        waves=[
            _to_wave(view, progress or WaveProgress(), times, size or 0)
            for view, progress, times, size in zip_longest(
                status.waves, rollout.waves[: len(status.waves)], planned, (wave.size for wave in plan.waves)
            )
        ],
        failures=[
            wire.FailureReport(outcome=one.outcome, symptom=one.symptom, detail=one.detail, computers=one.computers)
            for one in report.failures
        ],
        durations=[wire.DurationReport(**vars(one)) for one in report.durations],
        attempts=[wire.AttemptsReport(attempts=tries, computers=number) for tries, number in report.attempts],
        generations=[
            wire.GenerationReport(generation=one.number, computers=one.computers, counts=to_counts(one.counts))
            for one in report.generations
        ],
        approvals=[
            wire.ApprovalReport(
                person=one.person,
                time=to_timestamp(one.time),
                plan_sha256=one.plan_sha256,
                fresh=one.plan_sha256 == rollout.plan_sha256,
            )
            for one in rollout.approvals
        ],
        planned_finish_time=to_timestamp(projection.finish if projection else None),
        durations_measured=projection is not None and projection.measured,
    )


def _to_wave(view: WaveView, progress: WaveProgress, times: WaveTimes | None, planned_size: int) -> wire.WaveReport:
    return wire.WaveReport(
        wave=view.name,
        state=view.state,
        planned_size=planned_size,
        size=view.size,
        counts=to_counts(view.counts),
        planned_open_time=to_timestamp(times.opens if times else None),
        planned_end_time=to_timestamp(times.ends if times else None),
        opened_time=to_timestamp(progress.opened_time),
        ended_time=to_timestamp(progress.ended_time),
        passed_time=to_timestamp(progress.passed_time),
    )
